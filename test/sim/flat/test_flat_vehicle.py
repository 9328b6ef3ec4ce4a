from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.sim.flat import lidar
from edge_robot.sim.flat.vehicle import (
    COMMAND_TIMEOUT,
    GRIP,
    HALF_LENGTH,
    HALF_WIDTH,
    STEP,
    Motion,
    clearance,
)

places = st.floats(-3.0, 3.0)


@settings(max_examples=30, deadline=None)
@given(places, places, st.floats(-4.0, 4.0), places, places, st.floats(0.05, 0.5))
def test_clearance_is_that_of_the_outline(
    x: float, y: float, yaw: float, disc_x: float, disc_y: float, radius: float
) -> None:
    side = np.linspace(-1.0, 1.0, 2001)
    edge = np.ones_like(side)
    outline = np.concatenate(
        [np.stack((side, s * edge), 1) for s in (-1, 1)]
        + [np.stack((s * edge, side), 1) for s in (-1, 1)]
    ) * (HALF_LENGTH, HALF_WIDTH)
    c, s = np.cos(yaw), np.sin(yaw)
    points = outline @ np.array([[c, s], [-s, c]]) + (x, y)
    away = np.hypot(*(points - (disc_x, disc_y)).T).min()
    found = clearance(x, y, yaw, np.array([[disc_x, disc_y, radius]]))
    along, across = (disc_x - x) * c + (disc_y - y) * s, (disc_y - y) * c - (disc_x - x) * s
    if abs(along) < HALF_LENGTH and abs(across) < HALF_WIDTH:
        assert found == pytest.approx(-radius)
    else:
        assert found == pytest.approx(away - radius, abs=1e-6 + 3e-4**2 / max(away, 1e-3))


def test_without_discs_nothing_is_near() -> None:
    assert clearance(0.0, 0.0, 0.0, np.empty((0, 3))) == np.inf


def test_tyres_and_limits_bound_the_motion() -> None:
    motion = Motion(0.0, 0.0, 0.0)
    before, fastest = 0.0, 0.0
    for _ in range(400):
        motion.step((9.0, 9.0), 1.0, (0.0, 0.0))
        assert abs(motion.v - before) <= GRIP * STEP + 1e-12
        before = motion.v
        fastest = max(fastest, motion.v)
    assert fastest == pytest.approx(2.0, abs=1e-6)
    assert motion.v * motion.w == pytest.approx(GRIP, rel=1e-6)


def test_slip_of_one_side_turns_the_robot_and_gain_slows_it() -> None:
    straight, slipping = Motion(0.0, 0.0, 0.0), Motion(0.0, 0.0, 0.0)
    for _ in range(400):
        straight.step((1.0, 0.0), 0.93, (0.0, 0.0))
        slipping.step((1.0, 0.0), 0.93, (0.2, 0.0))
    assert straight.v == pytest.approx(0.93, abs=1e-6) and straight.w == 0.0
    assert slipping.v == pytest.approx(0.93 * 0.9, abs=1e-6)
    assert slipping.w > 0.1


def test_beams_end_at_the_nearest_disc() -> None:
    x, y, yaw = 1.0, -2.0, 2.5
    random = np.random.default_rng(1)
    discs = np.column_stack((random.uniform(-6, 8, (40, 2)), random.uniform(0.05, 0.4, 40)))
    discs = discs[np.hypot(discs[:, 0] - x, discs[:, 1] - y) > 0.9]
    ranges = lidar.cast(x, y, yaw, discs)
    sensor = np.array((x + lidar.MOUNT_X * np.cos(yaw), y + lidar.MOUNT_X * np.sin(yaw)))
    expected = []
    for angle in lidar.ANGLES + yaw:
        way = np.array((np.cos(angle), np.sin(angle)))
        to = discs[:, :2] - sensor
        along, aside = to @ way, to @ (-way[1], way[0])
        met = (np.abs(aside) < discs[:, 2]) & (along > 0)
        hits = along[met] - np.sqrt(discs[met, 2] ** 2 - aside[met] ** 2)
        nearest = hits.min(initial=np.inf)
        expected.append(nearest if nearest <= lidar.RANGE else np.inf)
    np.testing.assert_allclose(ranges, expected, atol=1e-9)
    assert np.isfinite(ranges).any() and np.isinf(ranges).any()


def test_commands_expire_long_before_a_drive_does() -> None:
    assert STEP < COMMAND_TIMEOUT < 1.0
