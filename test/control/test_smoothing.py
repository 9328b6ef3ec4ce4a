from __future__ import annotations

from math import hypot

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.control.smoothing import SmoothingLimits, VelocitySmoother

LIMITS = SmoothingLimits()
velocities = st.tuples(st.floats(-2, 2), st.floats(-1, 1), st.floats(-3, 3))


@given(st.lists(velocities, min_size=1, max_size=40))
def test_it_limits_every_change_and_comes_ever_nearer(sequence) -> None:
    smoother = VelocitySmoother()
    for wanted in sequence:
        before, now = smoother.velocity, smoother.towards(wanted, 0.02)
        change = hypot(now[0] - before[0], now[1] - before[1])
        assert change <= max(LIMITS.command_accel, LIMITS.command_decel) * 0.02 + 1e-9
        assert abs(now[2] - before[2]) <= LIMITS.command_yaw_accel * 0.02 + 1e-9
        for axis in range(3):
            assert abs(wanted[axis] - now[axis]) <= abs(wanted[axis] - before[axis]) + 1e-9


@pytest.mark.parametrize("full", [(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0), (0.6, 0.8, 0.0)])
def test_it_brakes_harder_than_it_accelerates_and_stops_at_zero(full) -> None:
    smoother = VelocitySmoother()
    ticks = {full: 0, (0.0, 0.0, 0.0): 0}
    for wanted in ticks:
        while smoother.towards(wanted, 0.02) != pytest.approx(wanted):
            ticks[wanted] += 1
    up, down = ticks.values()
    assert down < up
    assert smoother.velocity == (0.0, 0.0, 0.0)


def test_a_stop_overrides_all_limits() -> None:
    smoother = VelocitySmoother()
    smoother.towards((1.0, 1.0, 1.0), 0.5)
    assert smoother.stop() == (0.0, 0.0, 0.0)
    assert smoother.velocity == (0.0, 0.0, 0.0)
