"""Two tracks of one thing become one, two of two things do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scene import PERSON, Sensors

from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import CameraMeasurement, LidarMeasurement
from edge_robot.fusion.merging import merge_agreeing
from edge_robot.fusion.tracks import TrackSet
from edge_robot.fusion.updates.camera import update_with_camera
from edge_robot.fusion.updates.lidar import update_with_lidar

CONFIG = TrackerConfig()


def followed(measurements: Sequence[CameraMeasurement | LidarMeasurement]) -> TrackSet:
    """Return the tracks after measurements 0.1 s apart, without any merging."""
    tracks = TrackSet.empty(CONFIG.motion.shape).copy_with_classes(1)
    for measurement in measurements:
        mean, covariance, modes = CONFIG.motion.predict(
            tracks.mean, tracks.covariance, tracks.modes, 0.1
        )
        tracks.mean[:], tracks.covariance[:], tracks.modes[:] = mean, covariance, modes
        if isinstance(measurement, LidarMeasurement):
            tracks = update_with_lidar(tracks, measurement, ["person"], CONFIG).tracks
        else:
            tracks = update_with_camera(tracks, measurement, ["person"], CONFIG).tracks
    return tracks


def side_by_side(
    by_camera: tuple[float, float],
    by_lidar: tuple[float, float],
    size: tuple[float, float, float] = PERSON,
    count: int = 15,
) -> TrackSet:
    """Return a track that a camera alone has made and, after it, one of a lidar alone."""
    sensors = Sensors()
    camera = followed([sensors.camera(0.1 * i, [by_camera]) for i in range(count)])
    lidar = followed([sensors.lidar(0.05 + 0.1 * i, [by_lidar], size) for i in range(count)])
    assert (len(camera), len(lidar)) == (1, 1)
    return camera.join(lidar)


def test_one_that_only_the_camera_saw_joins_one_that_only_the_lidar_saw() -> None:
    apart = side_by_side((3.0, 0.2), (3.0, 0.2))
    merged = merge_agreeing(apart, ["person"], CONFIG)
    assert len(merged) == 1
    assert merged.keys[0] == apart.keys[0]  # the older identity
    np.testing.assert_array_equal(merged.mean[0], apart.mean[1])  # the better place
    assert merged.classes[0, 0] == apart.classes[0, 0]
    assert merged.hits[0] == apart.hits.sum()
    assert merged.existence[0] >= apart.existence.max()
    np.testing.assert_array_equal(merged.seen[0], apart.seen.max(axis=0))


@pytest.mark.parametrize(
    ("by_lidar", "size"),
    [((3.0, 1.6), PERSON), ((3.0, 0.2), (2.5, 0.6, 2.0))],
    ids=["another place", "a shelf"],
)
def test_two_things_stay_two(
    by_lidar: tuple[float, float], size: tuple[float, float, float]
) -> None:
    assert len(merge_agreeing(side_by_side((3.0, 0.2), by_lidar, size), ["person"], CONFIG)) == 2


def test_what_has_been_published_keeps_its_identity() -> None:
    apart = side_by_side((3.0, 0.2), (3.0, 0.2))
    apart.confirmed[:] = [False, True]
    merged = merge_agreeing(apart, ["person"], CONFIG)
    assert merged.keys[0] == apart.keys[1]
    assert merged.confirmed[0]
