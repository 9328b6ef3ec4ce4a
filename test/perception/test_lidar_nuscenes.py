"""One labelled sweep of a 32-beam lidar in traffic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import road

from edge_robot.perception.lidar.detector import LidarConfig, LidarDetector

MANY = 18  # points of a label that a box ought to be found for
NO_CLASS = -1


def config() -> LidarConfig:
    """The road's settings, with this lidar's mount and angles."""
    settings = road.lidar_config()
    uncertainty = replace(settings.objects.uncertainty, elevation_step=0.0233)
    return replace(
        settings,
        ground=replace(settings.ground, mount_height=1.84),
        objects=replace(settings.objects, azimuth_step=0.0058, uncertainty=uncertainty),
    )


def test_labelled_objects_are_found(shared_data: Path) -> None:
    folder = shared_data / "nuscenes_sample"
    (file,) = folder.glob("LIDAR_TOP*.bin")
    found = LidarDetector(config()).detect(np.fromfile(file, np.float32).reshape(-1, 5))
    assert found.ground is not None
    assert found.ground.estimated
    labels, hits, errors = 0, 0, []
    for label in json.loads((folder / "sample.json").read_text())["sample"]["instances"]:
        x, y, _, length, width, _, yaw = label["bbox_3d"]
        if label["bbox_label_3d"] == NO_CLASS or label["num_lidar_pts"] < MANY:
            continue
        labels += 1
        offset = found.centers[:, :2] - (x, y)
        along = np.abs(offset @ (np.cos(yaw), np.sin(yaw))) < length / 2 + 0.3
        across = np.abs(offset @ (-np.sin(yaw), np.cos(yaw))) < width / 2 + 0.3
        if (along & across).any():
            hits += 1
            errors.append(np.hypot(*offset[along & across].T).min())
    print(f"{hits} of {labels} found; median error of the centre {np.median(errors):.2f} m")
    assert labels >= 8
    assert hits >= 0.7 * labels
    assert np.median(errors) < 1.0
