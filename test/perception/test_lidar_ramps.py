"""Ground that leaves the plane is ground, and what stands on it is found there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import road
from lidar_scene import BEAMS_64, Block, sweep

from edge_robot.perception.lidar.detector import LidarConfig, LidarDetections, LidarDetector
from edge_robot.perception.lidar.ramps import find_ramps, sector_of

INDOOR = LidarConfig()
Profile = list[tuple[float, float]]


def person(x: float, y: float) -> Block:
    return Block(x, y, 0.4, 0.5, 1.7)


def ramp_ahead(slope: float) -> Profile:
    return [(-60.0, 0.0), (3.0, 0.0), (11.0, 8 * slope), (60.0, 8 * slope)]


def without_ramps(config: LidarConfig) -> LidarDetector:
    return LidarDetector(replace(config, ground=replace(config.ground, max_slope=0.0)))


def assert_only(found: LidarDetections, blocks: list[Block], depth: float = 0.3) -> None:
    """Assert that the boxes are those of the blocks and that nothing else was found."""
    assert found.structures == 0
    assert len(found) == len(blocks)
    for block in blocks:
        assert np.hypot(found.centers[:, 0] - block.x, found.centers[:, 1] - block.y).min() < depth


@pytest.mark.parametrize("slope", [0.08, 0.12, 0.15])
def test_a_ramp_ahead_is_no_obstacle_and_hides_nobody(slope: float) -> None:
    detector = LidarDetector(INDOOR)
    assert_only(detector.detect(sweep([], profile=ramp_ahead(slope))), [])
    for who in (person(3.2, 0.0), person(6.0, 0.5), person(12.0, 1.0)):
        found = detector.detect(sweep([who], profile=ramp_ahead(slope)))
        assert_only(found, [who])
        # The box stands on the ramp, not on the floor before it.
        below = np.interp(who.x, *np.transpose(ramp_ahead(slope))) - 0.55
        assert found.centers[0, 2] - found.sizes[0, 2] / 2 == pytest.approx(below, abs=0.15)


def test_the_same_ramp_is_an_obstacle_to_the_plane_alone() -> None:
    found = without_ramps(INDOOR).detect(sweep([person(6.0, 0.5)], profile=ramp_ahead(0.1)))
    assert found.structures > 0


@pytest.mark.parametrize("slope", [0.08, 0.12])
def test_on_a_ramp_the_floor_is_what_bends(slope: float) -> None:
    people = [person(6.0, 1.0), person(-4.0, 1.0)]
    down = [(-5.0, 5 * slope), (4.0, -4 * slope), (60.0, -4 * slope)]
    found = LidarDetector(INDOOR).detect(sweep(people, profile=down, pitch=-np.arctan(slope)))
    assert_only(found, people)
    people = [person(-5.0, 1.0), person(4.0, 0.0)]
    up = [(-60.0, -3 * slope), (-3.0, -3 * slope), (5.0, 5 * slope), (60.0, 5 * slope)]
    found = LidarDetector(INDOOR).detect(sweep(people, profile=up, pitch=np.arctan(slope)))
    assert_only(found, people)


def test_who_stands_in_the_shadow_of_a_crate_stands_on_the_ramp_too() -> None:
    crate, who = Block(3.4, 0.0, 0.3, 0.7, 0.5), person(7.0, 0.0)
    found = LidarDetector(INDOOR).detect(sweep([crate, who], profile=ramp_ahead(0.12)))
    assert_only(found, [crate, who])
    far = int(found.centers[:, 0].argmax())
    bottom = found.centers[far, 2] - found.sizes[far, 2] / 2
    assert bottom == pytest.approx(0.48 - 0.55, abs=0.15)


def test_a_narrow_ramp_straight_ahead_is_one() -> None:
    """It lies half in the last sector of the grid and half in the first."""
    ramp, floor = sweep([], profile=ramp_ahead(0.12)), sweep([])
    beside = np.abs(floor[:, 1]) > 0.9
    points = np.vstack([ramp[np.abs(ramp[:, 1]) <= 0.9], floor[beside]])
    assert without_ramps(INDOOR).detect(points).structures > 0
    assert_only(LidarDetector(INDOOR).detect(points), [])


def test_pavement_behind_a_low_kerb_is_ground() -> None:
    who = person(5.0, 1.0)
    kerb = [(-60.0, 0.0), (4.0, 0.0), (4.001, 0.12), (60.0, 0.12)]
    assert_only(LidarDetector(INDOOR).detect(sweep([who], profile=kerb)), [who])


def test_the_edge_of_a_dock_stays_an_obstacle() -> None:
    dock = [(-60.0, 0.0), (4.0, 0.0), (4.001, 0.8), (60.0, 0.8)]
    assert LidarDetector(INDOOR).detect(sweep([], profile=dock)).structures > 0


def test_a_road_that_bends_upward_hides_no_car() -> None:
    car, walker = Block(20.0, 3.0, 4.2, 1.8, 1.5), Block(15.0, -3.0, 0.6, 0.6, 1.75)
    bend = [(-60.0, 0.0), (8.0, 0.0), (60.0, 5.2)]
    points = sweep(
        [car, walker], profile=bend, mount_height=1.73, elevations=BEAMS_64, columns=2000
    )
    assert_only(LidarDetector(road.lidar_config()).detect(points), [car, walker], depth=2.2)
    assert without_ramps(road.lidar_config()).detect(points).structures > 0


def test_on_level_ground_nothing_changes() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        things = [
            Block(*rng.uniform(-8, 8, 2), *rng.uniform(0.3, 1.4, 2), rng.uniform(0.25, 1.9), a)
            for a in rng.uniform(-3, 3, 20)
        ]
        points = sweep(things, noise=0.02, seed=seed)
        found, before = LidarDetector(INDOOR).detect(points), without_ramps(INDOOR).detect(points)
        np.testing.assert_array_equal(found.centers, before.centers)
        np.testing.assert_array_equal(found.sizes, before.sizes)
        assert found.structures == before.structures


def test_a_platform_behind_its_edge_is_no_ramp() -> None:
    """Its top rises no faster than a ramp from the floor before it would, but its edge stands."""
    deck = Block(5.5, 0.0, 5.0, 6.0, 0.3)
    points = sweep([deck])
    radius = np.hypot(points[:, 0], points[:, 1])
    ramps = find_ramps(
        sector_of(np.arctan2(points[:, 1], points[:, 0])),
        radius,
        points[:, 2] + np.float32(0.55),
        tolerance=(0.05, 0.0),
        max_slope=0.2,
        min_width=1.2,
        noise=0.04,
    )
    assert ramps is None
