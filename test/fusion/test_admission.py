"""Bad input: refused, counted by sensor and reason, and of no consequence to other sensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scene import VIEW, Sensors, ns

from edge_robot.fusion.admission import Admission, AdmissionSettings
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import CameraMeasurement, LidarMeasurement, Measurement
from edge_robot.fusion.refusal import Refusal
from edge_robot.fusion.tracker import Tracker

NAN = float("nan")
NO_POSE = np.full((4, 4), NAN)
PLACES = [(4.0, -1.5), (5.0, 1.0)]


def bad_lidar(t: float) -> LidarMeasurement:
    return replace(Sensors().lidar(t, [(3.0, 2.0)]), sensor="bad")


def bad_camera(t: float) -> CameraMeasurement:
    return replace(Sensors().camera(t, [(3.0, 0.5)]), sensor="bad")


def without_pose(t: float) -> Measurement:
    return replace(bad_lidar(t), fixed_from_sensor=NO_POSE)


def without_view(t: float) -> Measurement:
    return replace(bad_camera(t), view=replace(VIEW, projection=np.full((3, 4), np.inf)))


def of_nan(t: float) -> Measurement:
    return replace(bad_lidar(t), centers=np.full((1, 3), NAN))


def of_infinite_boxes(t: float) -> Measurement:
    return replace(bad_camera(t), boxes=np.array([[0.0, 0.0, np.inf, 50.0]]))


def of_negative_size(t: float) -> Measurement:
    return replace(bad_lidar(t), sizes=np.array([[0.5, -0.5, 1.0]]))


def of_the_future(t: float) -> Measurement:
    return bad_lidar(t + 3600.0)


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (without_pose, Refusal.POSE),
        (without_view, Refusal.POSE),
        (of_nan, Refusal.BOX),
        (of_infinite_boxes, Refusal.BOX),
        (of_negative_size, Refusal.BOX),
        (of_the_future, Refusal.FUTURE),
    ],
)
def test_the_tracks_of_a_good_sensor_are_those_without_the_poisoned_one(
    poison: Callable[[float], Measurement], reason: Refusal
) -> None:
    sensors, alone, both = Sensors(), Tracker(), Tracker()
    for k in range(20):
        good, now = sensors.lidar(0.1 * k, PLACES), ns(0.1 * k) + 50_000_000
        assert alone.process(good, now)
        assert both.process(good, now)
        both.process(poison(0.1 * k - 0.01), now)
    assert both.process(sensors.lidar(2.0, PLACES))
    assert alone.process(replace(sensors.lidar(2.0, PLACES)))
    assert both.admission.refused["lidar"] == {}
    poisoned = "lidar bad" if isinstance(poison(0.0), LidarMeasurement) else "camera bad"
    assert both.admission.refused[poisoned] == {reason: 20}
    assert both.stamp == alone.stamp
    assert [t.id for t in both.tracks()] == [t.id for t in alone.tracks()] == [1, 2]


def test_equal_to_the_good_sensor_alone_to_the_last_digit() -> None:
    """A sensor sends every kind of nonsense, another works."""
    rng, sensors = np.random.default_rng(0), Sensors()
    poisons = [without_pose, without_view, of_the_future]
    alone, both = Tracker(), Tracker()
    for k in range(30):
        good = sensors.lidar(0.1 * k, PLACES)
        now = good.stamp + 20_000_000
        for _ in range(3):
            both.process(poisons[rng.integers(3)](0.1 * k + rng.uniform(-0.05, 0.05)), now)
        alone.process(good, now)
        both.process(good, now)
    for one, other in zip(both.tracks(), alone.tracks(), strict=True):
        assert one.id == other.id
        np.testing.assert_array_equal(one.position, other.position)
        np.testing.assert_array_equal(one.covariance, other.covariance)
        assert one.existence == other.existence


def test_a_flood_is_thinned_and_takes_nothing_from_others() -> None:
    sensors, tracker = Sensors(), Tracker()
    for k in range(10):
        for j in range(200):
            flood = sensors.lidar(0.1 * k + 0.0005 * j + 0.0001, PLACES)
            tracker.process(replace(flood, sensor="bad"))
        assert tracker.process(sensors.lidar(0.1 * k + 0.1, PLACES))
    assert tracker.admission.accepted["lidar bad"] == 100
    assert tracker.admission.refused["lidar bad"][Refusal.TOO_OFTEN] == 1900
    assert "lidar" not in tracker.admission.refused
    assert [track.id for track in tracker.tracks()] == [1, 2]


def test_of_too_many_boxes_the_best_are_used() -> None:
    tracker = Tracker(TrackerConfig(admission=AdmissionSettings(max_boxes=2)))
    for k in range(5):
        crowd = Sensors(k).lidar(0.1 * k, [(3.0, 0.0), (5.0, 0.0), (7.0, 0.0)])
        tracker.process(replace(crowd, scores=np.array([0.3, 0.9, 0.5])))
    assert tracker.rejected == {"too many boxes": 5}
    assert [round(float(track.position[0])) for track in tracker.tracks()] == [5, 7]


def test_reasons_are_told_apart_by_sensor() -> None:
    tracker, sensors = Tracker(), Sensors()
    for k in range(20):
        tracker.process(sensors.lidar(0.1 * k, PLACES))
    tracker.process(sensors.lidar(1.9, PLACES))
    tracker.process(replace(sensors.lidar(0.3, PLACES), sensor="second"))
    tracker.process(sensors.camera(0.4, PLACES))
    assert tracker.admission.refused == {
        "lidar": {Refusal.DUPLICATE: 1},
        "lidar second": {Refusal.TOO_LATE: 1},
        "camera": {Refusal.TOO_LATE: 1},
    }
    assert tracker.admission.accepted == {"lidar": 20}


def test_a_stamp_ahead_of_the_clock_by_less_than_the_limit_is_let_in() -> None:
    admission = Admission(AdmissionSettings(max_lead=0.5), memory=1.0)
    assert admission.stamp_refusal("a", ns(0.4), now=ns(0.0)) is None
    assert admission.stamp_refusal("a", ns(0.6), now=ns(0.0)) is Refusal.FUTURE
    assert admission.stamp_refusal("a", ns(0.6), now=None) is None
