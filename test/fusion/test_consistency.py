"""Honesty of the filter, and what becomes of a sensor that contradicts the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scene import Sensors, ns

from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.consistency import (
    ConsistencyMonitor,
    ConsistencySettings,
    mean_bounds,
)
from edge_robot.fusion.kalman import squared_distance
from edge_robot.fusion.measurements import TRUSTED, LidarMeasurement, Measurement, Treatment
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track

WINDOW = ConsistencySettings(consistency_window=2.0)
PLACES = [(4.0, -1.5), (5.0, 1.0), (7.0, 3.0)]


def test_bounds_are_those_of_the_table_of_chi_squared() -> None:
    low, high = mean_bounds(10)
    assert (10 * low, 10 * high) == pytest.approx((3.247, 20.483), abs=1e-3)


def test_nees_of_an_honest_estimate_lies_in_its_bounds_and_of_an_overconfident_one_does_not() -> (
    None
):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T
    errors = rng.multivariate_normal(np.zeros(4), covariance, 500)
    low, high = mean_bounds(4 * 500)
    assert low < squared_distance(errors, covariance).sum() / 2000 < high
    assert squared_distance(errors, 0.8 * covariance).sum() / 2000 > high


def judge(monitor: ConsistencyMonitor, sensor: str, t: float, mean: float) -> None:
    monitor.judge(sensor, ns(t), np.full(10, 2.0 * mean), np.full(10, 2))


def test_the_worst_of_two_is_weighed_down_and_comes_back_when_it_agrees() -> None:
    monitor = ConsistencyMonitor(WINDOW, delay=1.0)
    for k in range(30):
        judge(monitor, "a", 0.1 * k, 3.0)
        judge(monitor, "b", 0.1 * k, 9.0)
    assert monitor.reports()["b"].treatment == Treatment(noise_scale=9.0)
    assert not monitor.reports()["a"].disagrees  # within the window the first may have done it
    for k in range(30, 100):
        judge(monitor, "a", 0.1 * k, 1.0)
        judge(monitor, "b", 0.1 * k, 9.0)
    assert monitor.reports()["b"].disagrees
    for k in range(100, 140):
        judge(monitor, "a", 0.1 * k, 1.0)
        judge(monitor, "b", 0.1 * k, 1.1)
    assert not any(report.disagrees for report in monitor.reports().values())
    report = monitor.reports()["b"]
    assert report.mean_nis == pytest.approx(1.1)
    assert report.boxes == 210
    assert report.bounds == mean_bounds(420)


def test_a_verdict_holds_for_what_was_taken_a_delay_later_and_not_before() -> None:
    monitor = ConsistencyMonitor(WINDOW, delay=1.0)
    for k in range(10):
        judge(monitor, "a", 0.1 * k, 1.0)
        judge(monitor, "b", 0.1 * k, 4.0)
    # The fourth measurement of b brings 40 boxes.
    assert monitor.treatment("b", ns(1.3)) == TRUSTED
    assert monitor.treatment("b", ns(1.3) + 1) == Treatment(noise_scale=4.0)
    assert monitor.treatment("a", ns(1.5)) == TRUSTED
    assert monitor.treatment("c", ns(1.5)) == TRUSTED


def test_a_sensor_alone_is_never_weighed_down() -> None:
    monitor = ConsistencyMonitor(WINDOW, delay=1.0)
    for k in range(40):
        judge(monitor, "a", 0.1 * k, 9.0)
    assert not monitor.reports()["a"].disagrees


def turned(measurement: LidarMeasurement, rng: np.random.Generator) -> LidarMeasurement:
    """Return what a lidar says whose boxes are off by 0.2 m, each its own way."""
    noise = np.zeros_like(measurement.centers)
    noise[:, :2] = rng.normal(0.0, 0.2, (len(measurement), 2))
    return replace(measurement, centers=measurement.centers + noise)


def two_lidars(bad: tuple[float, float], seconds: float) -> list[Measurement]:
    """Return two lidars and a camera at 10 Hz; lidar "b" is noisy between two times."""
    sensors, rng, found = Sensors(1), np.random.default_rng(2), list[Measurement]()
    for k in range(round(10 * seconds)):
        t = 0.1 * k
        found.append(replace(sensors.lidar(t, PLACES), sensor="a"))
        second = replace(sensors.lidar(t + 0.05, PLACES), sensor="b")
        found.append(turned(second, rng) if bad[0] <= t < bad[1] else second)
        found.append(sensors.camera(t + 0.03, PLACES))
    return found


def test_a_noisy_lidar_is_found_among_three_sensors_and_forgiven() -> None:
    tracker = Tracker(TrackerConfig(consistency=WINDOW))
    scales = []
    for measurement in two_lidars((2.0, 6.0), 10.0):
        assert tracker.process(measurement)
        scales.append(
            [
                tracker.consistency.treatment(sensor, measurement.stamp + 1).noise_scale
                for sensor in ("lidar a", "lidar b", "camera")
            ]
        )
    a, b, camera = np.array(scales).T
    assert a.max() == camera.max() == 1.0
    assert b[: 20 * 3].max() == 1.0
    assert b[55 * 3 : 65 * 3].min() > 2.2
    assert b[-1] == 1.0
    assert len(tracker.tracks()) == 3


def test_an_excluded_sensor_changes_nothing_and_is_still_compared() -> None:
    config = TrackerConfig(consistency=replace(WINDOW, exclude_disagreeing=True))
    tracker = Tracker(config)
    for measurement in two_lidars((0.0, 6.0), 6.0):
        tracker.process(measurement)
    before = tracker.tracks()
    far = replace(Sensors(3).lidar(5.96, [(9.0, -3.0), (4.0, -1.5)]), sensor="b")
    assert tracker.process(far)
    after = tracker.tracks()
    assert [track.id for track in after] == [track.id for track in before]
    report = tracker.consistency.reports()["lidar b"]
    assert report.treatment.excluded
    assert report.boxes > 40
    assert all(track.coasting > 0.0 for track in after)  # it updated none


def by_place(tracker: Tracker) -> list[Track]:
    return sorted(tracker.tracks(), key=lambda track: float(track.position[1]))


def test_the_treatment_does_not_depend_on_the_order_of_arrival() -> None:
    measurements = two_lidars((0.0, 5.0), 5.0)
    delays = np.random.default_rng(0).uniform(0.0, 0.4, len(measurements))
    arrival = [m.stamp * 1e-9 + d for m, d in zip(measurements, delays, strict=True)]
    in_order, late = (Tracker(TrackerConfig(consistency=WINDOW)) for _ in range(2))
    for measurement in measurements:
        in_order.process(measurement)
    for index in np.argsort(arrival):
        assert late.process(measurements[index])
    assert in_order.consistency.reports()["lidar b"].disagrees
    pairs = zip(by_place(late), by_place(in_order), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one.position, other.position, atol=1e-9)
        np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-9)
