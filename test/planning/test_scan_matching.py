from __future__ import annotations

from math import hypot

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.planning.costmap import Costmap, RangeScan
from edge_robot.planning.robot import MovingObjects
from edge_robot.planning.scan_matching import compose, inverse, match
from edge_robot.planning.senses import Scan
from edge_robot.sim.flat import lidar

ERRORS = st.floats(-0.08, 0.08)
RANDOM = np.random.default_rng(3)
COLUMNS = np.column_stack((RANDOM.uniform(-4, 4, (40, 2)), np.full(40, 0.15)))
COLUMNS = COLUMNS[np.hypot(COLUMNS[:, 0], COLUMNS[:, 1]) > 0.8]


def scan(discs: np.ndarray, x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> Scan:
    return Scan(0.0, lidar.ANGLES, lidar.cast(x, y, yaw, discs), lidar.MOUNT_X)


def field(discs: np.ndarray):
    """Return the distance field of a map of one scan from the origin."""
    costmap = Costmap(layers=("scan",))
    seen = RangeScan(lidar.MOUNT_X, 0.0, 0.0, lidar.ANGLES, scan(discs).ranges)
    costmap.integrate("scan", seen, MovingObjects.none())
    return costmap.distance_field(0.0, 0.0, 6.0)


@given(ERRORS, ERRORS, ERRORS)
def test_it_finds_the_pose_that_odometry_missed(x, y, yaw) -> None:
    points = scan(COLUMNS, 0.2, 0.1, 0.1).points(0.05, 5.0)
    found = match(field(COLUMNS), points, (0.2 + x, 0.1 + y, 0.1 + yaw), (0.3, 0.3, 0.3))
    assert hypot(found[0] - 0.2, found[1] - 0.1) < 0.03
    assert found[2] == pytest.approx(0.1, abs=0.02)


def test_along_a_corridor_odometry_is_believed() -> None:
    along = np.arange(-12, 12, 0.05)
    walls = np.concatenate(
        [
            np.column_stack((along, np.full_like(along, s), np.full_like(along, 0.05)))
            for s in (-1, 1)
        ]
    )
    points = scan(walls).points(0.05, 3.0)
    x, y, _ = match(field(walls), points, (0.2, 0.06, 0.0), (0.02, 0.1, 0.05))
    assert x == pytest.approx(0.2, abs=0.01)
    assert abs(y) < 0.03


def test_where_nothing_is_known_it_does_not_guess() -> None:
    nothing = Costmap(layers=("scan",)).distance_field(0.0, 0.0, 3.0)
    assert match(nothing, scan(COLUMNS).points(0.05, 5.0), (1.0, 2.0, 3.0), (1, 1, 1)) == (1, 2, 3)


@given(*[st.floats(-3, 3)] * 6)
def test_a_pose_composed_with_its_inverse_is_none(x, y, yaw, u, v, turn) -> None:
    pose = compose((x, y, yaw), (u, v, turn))
    assert compose(inverse((x, y, yaw)), pose) == pytest.approx((u, v, turn))
