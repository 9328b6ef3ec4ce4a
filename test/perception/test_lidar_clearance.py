"""How far a sweep sees past everything, by direction."""

from __future__ import annotations

import numpy as np
import pytest
from lidar_scene import Block, sweep

from edge_robot.errors import UserError
from edge_robot.perception.lidar.clearance import COLUMNS, ClearanceConfig, clearance
from edge_robot.perception.lidar.detector import LidarConfig
from edge_robot.perception.lidar.ground import Ground, estimate_plane
from edge_robot.perception.lidar.points import Sweep

WALL = Block(9.0, 0.0, 0.2, 20.0, 3.0)
LEVEL = Ground(np.array([0.0, 0.0, -0.55]), estimated=True)
HEIGHTS = ClearanceConfig()


def reach(blocks: list[Block], bearing: float = 0.0, **sensor: float) -> float:
    """Return how far a sweep among blocks sees past everything towards `bearing`, rad."""
    points = Sweep.of(sweep(blocks, **sensor))  # type: ignore[arg-type]
    ground = estimate_plane(points, LidarConfig().ground)
    told = clearance(points, ground, HEIGHTS)
    return float(told[int((bearing + np.pi) / (2 * np.pi) * COLUMNS)])


def test_it_sees_as_far_as_the_nearest_thing_that_is_as_tall_as_people() -> None:
    assert reach([WALL]) == pytest.approx(8.9, abs=0.1)
    person = Block(4.0, 0.0, 0.4, 0.4, 1.7)
    assert reach([WALL, person]) == pytest.approx(3.8, abs=0.05)
    assert reach([WALL, person], np.radians(10.0)) == pytest.approx(9.0, abs=0.2)


def test_it_sees_over_what_is_low_and_not_through_what_is_tall() -> None:
    assert reach([WALL, Block(4.0, 0.0, 0.4, 0.4, 0.5)]) == pytest.approx(8.9, abs=0.1)
    # Over a box at breast height, beams rise above the smallest people soon after.
    assert 4.2 < reach([WALL, Block(4.0, 0.0, 0.4, 0.4, 0.85)]) < 6.0


def test_a_slope_is_no_obstacle() -> None:
    assert reach([WALL], slope=(0.05, 0.0)) == pytest.approx(8.9, abs=0.1)


def test_beams_that_do_not_come_back_tell_nothing() -> None:
    # Only the floor returns them: up to there they are low enough.
    assert reach([]) == pytest.approx(0.15 / np.tan(np.radians(3.0)), rel=0.1)
    assert not clearance(np.empty((0, 3), np.float32), LEVEL, HEIGHTS).any()
    huge = np.array([[3e38, 0.0, 0.0], [4.0, 0.0, 0.0]], np.float32)
    told = clearance(huge, LEVEL, HEIGHTS)
    assert np.flatnonzero(told).tolist() == [COLUMNS // 2]
    assert told.max() == pytest.approx(4.0)


def test_a_sensor_above_peoples_heads_tells_nothing() -> None:
    points = sweep([WALL], mount_height=1.8)
    high = Ground(np.array([0.0, 0.0, -1.8]), estimated=True)
    assert not clearance(points, high, HEIGHTS).any()


def test_heights_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(UserError, match="is below clear_from"):
        ClearanceConfig(clear_to=0.3)
