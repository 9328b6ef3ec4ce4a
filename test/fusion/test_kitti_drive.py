"""Forty frames on the road: real lidar, real images, a real detector."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import road

from edge_robot.fusion.boxes import range_to_boxes
from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.measurements import CameraMeasurement, LidarMeasurement, Source
from edge_robot.fusion.tracker import Tracker
from edge_robot.perception.detector import Detector
from edge_robot.perception.lidar.detector import LidarDetector

FRAMES = 40
BOTH = Source.CAMERA | Source.LIDAR
LIDAR_HEIGHT = 1.73


@dataclass
class Life:
    """What one track was through the drive."""

    classes: Counter[str] = field(default_factory=Counter)
    both: list[int] = field(default_factory=list)
    ranges: dict[int, float] = field(default_factory=dict)
    side: dict[int, float] = field(default_factory=dict)
    speeds: dict[int, float] = field(default_factory=dict)


@pytest.fixture(scope="module")
def lives(shared_data: Path) -> dict[int, Life]:
    folder = shared_data / "kitti_drive"
    calibration = json.loads((folder / "calibration.json").read_text())
    rectified_from_lidar = np.eye(4)
    rectified_from_lidar[:3] = calibration["rectification"] @ np.array(
        calibration["lidar_to_camera"]
    )
    fixed_from_lidar = np.eye(4)
    fixed_from_lidar[2, 3] = LIDAR_HEIGHT
    view = CameraView(
        np.array(calibration["projection"]),
        calibration["image"]["width"],
        calibration["image"]["height"],
        fixed_from_lidar @ np.linalg.inv(rectified_from_lidar),
    )
    camera = Detector(str(shared_data / "models/yolox_nano_416.onnx"))
    lidar = LidarDetector(road.lidar_config())
    tracker = Tracker(road.tracker_config())
    found: dict[int, Life] = defaultdict(Life)
    for frame in range(FRAMES):
        stamp = 10**9 + frame * 10**8
        points = np.fromfile(folder / f"lidar/{frame:06d}.bin", np.float32).reshape(-1, 4)
        boxes = lidar.detect(points)
        seen = camera.detect(cv2.imread(str(folder / f"image/{frame:06d}.jpg")))
        assert tracker.process(
            LidarMeasurement(
                stamp, boxes.centers, boxes.sizes, boxes.yaws, boxes.scores, fixed_from_lidar
            )
        )
        assert tracker.process(CameraMeasurement(stamp, seen.boxes, seen.scores, seen.labels, view))
        for track in tracker.tracks():
            life = found[track.id]
            life.classes[track.class_name] += 1
            life.ranges[frame] = float(
                range_to_boxes(
                    np.zeros(2), track.position[None], track.size[None], np.array([track.yaw])
                )[0]
            )
            life.side[frame] = float(track.position[1])
            life.speeds[frame] = float(np.hypot(*track.velocity))
            if track.recent_sources & BOTH == BOTH:
                life.both.append(frame)
    assert not tracker.rejected
    return dict(found)


def test_at_least_two_vehicles_are_one_fused_track_each(lives: dict[int, Life]) -> None:
    vehicles = [
        life
        for life in lives.values()
        if len(life.both) >= 30 and life.classes.most_common(1)[0][0] in ("car", "truck", "bus")
    ]
    assert len(vehicles) >= 2


def test_the_estate_car_ahead_is_one_track_throughout(lives: dict[int, Life]) -> None:
    """Its rear comes from about 8 m to about 5 m while the own car rolls up.

    Range is from base_link, below the lidar on the roof, to the nearest face of the box.
    """
    owners = {
        frame: [
            identity
            for identity, life in lives.items()
            if frame in life.both and abs(life.side[frame]) < 1.0 and life.ranges[frame] < 10.0
        ]
        for frame in range(2, FRAMES)
    }
    assert all(len(owner) == 1 for owner in owners.values()), owners
    assert len({owner[0] for owner in owners.values()}) == 1
    life = lives[owners[2][0]]
    assert life.classes.most_common(1)[0][0] == "car"
    assert len(life.both) >= 38
    assert life.ranges[2] == pytest.approx(7.7, abs=0.6)
    assert life.ranges[39] == pytest.approx(5.1, abs=0.6)
    steps = np.abs(np.diff([life.ranges[frame] for frame in range(2, FRAMES)]))
    assert steps.max() < 0.5
    assert max(life.speeds.values()) < 4.0
