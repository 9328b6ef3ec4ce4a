"""Objects in planar scans, and scans that contradict themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.perception.lidar.scan_geometry import ScanError, check_scan, scan_ranges
from edge_robot.perception.lidar.scans import ScanDetector
from edge_robot.sim.lidar import Scanner
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.simulation import Simulation

ANGLES = np.linspace(-np.pi, np.pi, 720, endpoint=False)
GOOD = {
    "angle_min": -np.pi,
    "angle_max": np.pi - 2 * np.pi / 720,
    "angle_increment": 2 * np.pi / 720,
    "range_min": 0.1,
    "range_max": 25.0,
}


def circles(*places: tuple[float, float, float], room: float = 7.0) -> np.ndarray:
    """Return the ranges of a scan of circles (x, y, radius) in a round room."""
    ranges = np.full(len(ANGLES), room)
    rays = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
    for x, y, radius in places:
        along = rays @ (x, y)
        squared = radius**2 - (x * x + y * y - along**2)
        hit = (squared > 0) & (along > 0)
        ranges[hit] = np.minimum(ranges[hit], (along - np.sqrt(np.maximum(squared, 0)))[hit])
    return ranges + np.random.default_rng(0).normal(0, 0.01, len(ranges))


def test_two_legs_are_one_person_and_two_people_are_two() -> None:
    legs = [(3.0, 0.1, 0.07), (3.0, -0.1, 0.07), (2.0, 2.5, 0.07), (2.2, 2.6, 0.07)]
    found, points = ScanDetector().detect(circles(*legs), ANGLES)
    assert len(found) == 2
    assert found.structures >= 1  # the wall of the room, in pieces
    assert len(points) == len(ANGLES)
    for x, y in ((3.0, 0.0), (2.1, 2.55)):
        assert np.hypot(found.centers[:, 0] - x, found.centers[:, 1] - y).min() < 0.12
    assert (found.sizes[:, 2] == 0.0).all()
    assert found.ground is None


def test_rays_that_tell_nothing_are_no_edges_and_rays_that_met_nothing_are() -> None:
    ranges = circles((3.0, 0.0, 0.2), room=np.inf)
    in_the_open, _ = ScanDetector().detect(ranges, ANGLES)
    masked, _ = ScanDetector().detect(np.where(ANGLES > 0.0, np.nan, ranges), ANGLES)
    assert len(in_the_open) == len(masked) == 1
    assert masked.uncertainty.covariance[0, 1, 1] > 10 * in_the_open.uncertainty.covariance[0, 1, 1]


def test_the_simulated_scanner_sees_the_people() -> None:
    detector, seen, found = ScanDetector(), 0, 0
    for seed in (3, 5):
        simulation = Simulation(Scenario.generate(seed=seed))
        while not simulation.step():
            pass
        world, data = simulation.world, simulation.world.data
        scanner = Scanner(world, seed=0)
        for x, y in simulation.crowd.place[:, :2]:
            for angle in np.arange(0.0, 6.0, 1.2):
                # The robot is put near every person in turn, on all sides.
                snapshot = simulation.snapshot()
                snapshot.qpos[:2] = x - 2.5 * np.cos(angle), y - 2.5 * np.sin(angle)
                snapshot.qpos[3:7] = np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)
                snapshot.restore(world.model, data)
                boxes, points = detector.detect(scan_ranges(scanner.scan(data), 0.1, 25.0), ANGLES)
                legs = np.hypot(points[:, 0] - 2.5, points[:, 1]) < 0.4
                if legs.sum() < 10:
                    continue  # behind something
                seen += 1
                offset = boxes.centers[:, :2] - (2.5, 0.0)
                found += bool(np.hypot(*offset.T).min(initial=np.inf) < 0.4)
    assert seen >= 20
    assert found >= 0.8 * seen


def test_a_blind_scanner_is_not_an_empty_room() -> None:
    with pytest.raises(ScanError, match="covered"):
        ScanDetector().detect(np.full(720, np.nan), ANGLES)
    found, points = ScanDetector().detect(np.full(720, np.inf), ANGLES)
    assert len(found) == len(points) == 0


def test_ranges_out_of_limits() -> None:
    given_ranges = [np.nan, np.inf, -np.inf, 0.05, 0.1, 24.9, 25.0, 99.0, -1.0]
    expected = [np.nan, np.inf, np.nan, np.nan, 0.1, 24.9, np.inf, np.inf, np.nan]
    np.testing.assert_array_equal(scan_ranges(given_ranges, 0.1, 25.0), expected)


@pytest.mark.parametrize(
    ("count", "wrong", "message"),
    [
        (0, {}, "without ranges"),
        (720, {"angle_increment": 0.0}, "increment 0"),
        (720, {"angle_increment": float("nan")}, "not all numbers"),
        (720, {"range_max": float("nan")}, "not all numbers"),
        (720, {"range_max": 0.05}, "range_min"),
        (700, {}, "promise 720"),
        (725, {}, "more than a turn"),
        (720, {"angle_max": 1.0}, "promise"),
        (720, {"angle_increment": -0.0087}, "promise"),
    ],
)
def test_contradictions_are_named(count: int, wrong: dict[str, float], message: str) -> None:
    check_scan(720, **GOOD)
    check_scan(721, **GOOD)  # the closing ray counted twice
    with pytest.raises(ScanError, match=message):
        check_scan(count, **{**GOOD, **wrong})


anything = st.floats(width=32)


@settings(max_examples=200, deadline=None)
@given(
    ranges=st.lists(anything, max_size=40),
    limits=st.tuples(anything, anything, anything, anything, anything),
)
def test_arbitrary_scans_give_finite_boxes_or_a_scan_error(
    ranges: list[float], limits: tuple[float, ...]
) -> None:
    header = dict(zip(GOOD, limits, strict=True))
    try:
        check_scan(len(ranges), **header)
        angles = header["angle_min"] + header["angle_increment"] * np.arange(len(ranges))
        found, _ = ScanDetector().detect(
            scan_ranges(ranges, header["range_min"], header["range_max"]), angles
        )
    except ScanError:
        return
    assert np.isfinite(found.centers).all()
    assert np.isfinite(found.uncertainty.covariance).all()
