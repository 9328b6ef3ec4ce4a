"""Tracks are no surer of themselves than their sensors are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scene import Sensors

from edge_robot.fusion.measurements import LidarMeasurement
from edge_robot.fusion.motion import MotionModel
from edge_robot.fusion.tracker import Tracker

HIDDEN = np.diag([0.09, 0.0025])  # a box of which the far side is out of sight
PALLET = (1.2, 0.8, 0.5)


def told(measurement: LidarMeasurement, covariance: NDArray[np.float64]) -> LidarMeasurement:
    """Return the measurement with this covariance of every box."""
    return replace(measurement, covariances=np.tile(covariance, (len(measurement), 1, 1)))


def test_what_is_hidden_stays_unknown_however_often_one_looks() -> None:
    sensors, tracker = Sensors(), Tracker()
    for k in range(100):
        tracker.process(told(sensors.lidar(0.1 * k, [(5.0, 0.0)], PALLET), HIDDEN))
    (track,) = tracker.tracks()
    assert track.covariance[0, 0] == pytest.approx(HIDDEN[0, 0], rel=0.05)
    assert track.covariance[1, 1] == pytest.approx(HIDDEN[1, 1], abs=0.001)


def test_it_turns_with_the_sensor() -> None:
    sensors, tracker = Sensors(), Tracker()
    pose = np.eye(4)
    pose[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    for k in range(10):
        seen = told(sensors.lidar(0.1 * k, [(5.0, 0.0)], PALLET), HIDDEN)
        tracker.process(replace(seen, fixed_from_sensor=pose))
    (track,) = tracker.tracks()
    assert track.covariance[1, 1] > 0.09 > 0.01 > track.covariance[0, 0]


def test_of_a_person_the_middle_is_known() -> None:
    """Their front half is seen: the middle lies a little behind it, and no guess more."""
    sensors, tracker = Sensors(lidar_noise=0.02), Tracker()
    for k in range(30):
        tracker.process(told(sensors.lidar(0.1 * k, [(5.0, 0.0)]), HIDDEN))
        tracker.process(sensors.camera(0.1 * k + 0.02, [(5.0, 0.0)]))
    (track,) = tracker.tracks()
    assert track.position[0] == pytest.approx(5.05, abs=0.02)
    assert track.covariance[0, 0] < 0.005


def test_swinging_limbs_move_nobody() -> None:
    """The outline of one who walks swells and shrinks about a middle that does not."""
    sensors, tracker = Sensors(lidar_noise=0.01), Tracker()
    for k in range(40):
        size = (0.4 + 0.3 * (k % 2), 0.4, 1.7)
        tracker.process(sensors.lidar(0.1 * k, [(5.0, 0.0)], size))
        tracker.process(sensors.camera(0.1 * k + 0.02, [(5.0, 0.0)]))
        if k > 5:
            (track,) = tracker.tracks()
            assert track.position[0] == pytest.approx(5.05, abs=0.04)


@pytest.mark.parametrize(
    "covariance", [np.diag([0.01, -0.01]), np.diag([0.01, np.nan]), [[0.01, 0.02], [0.02, 0.01]]]
)
def test_impossible_covariances_are_refused_and_counted(covariance: NDArray[np.float64]) -> None:
    measurement = told(Sensors().lidar(0.0, [(3.0, 0.0), (5.0, 0.0)]), HIDDEN)
    assert measurement.covariances is not None
    measurement.covariances[0] = covariance
    tracker = Tracker()
    assert tracker.process(measurement)
    assert tracker.rejected == {"unsound box": 1}


def test_speed_denied_is_owned_up_to() -> None:
    """What is said to stand, though it may be moving, has that in its covariance."""
    sensors, tracker = Sensors(lidar_noise=0.01), Tracker()
    for k in range(30):
        tracker.process(sensors.lidar(0.1 * k, [(5.0, 0.0)]))
    (before,) = tracker.tracks()
    for k in range(30, 33):
        tracker.process(sensors.lidar(0.1 * k, [(5.0, 0.12 * (k - 29))]))
    (after,) = tracker.tracks()
    assert np.hypot(*after.velocity) == 0.0
    assert np.sqrt(after.covariance[3, 3]) > 0.5 > 10 * np.sqrt(before.covariance[3, 3])


def test_people_start_sooner_than_things() -> None:
    model, alone = MotionModel(still_time=20.0, restless_still_time=4.0), np.eye(1, 2)
    state = np.zeros((2, 2, 4)), np.tile(np.eye(4), (2, 2, 1, 1)), np.repeat(alone, 2, axis=0)
    *_, modes = model.predict(*state, 0.1, np.array([False, True]))
    assert modes[:, 1] == pytest.approx([0.1 / 20.0, 0.1 / 4.0], rel=0.05)
