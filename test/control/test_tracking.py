from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.control.tracking import TrackingGains, track
from edge_robot.planning.robot import Limits, State
from edge_robot.planning.trajectory import Trajectory

LIMITS, GAINS = Limits(), TrackingGains()


def curve() -> Trajectory:
    v = np.minimum(0.2 * np.arange(1, 61), 1.0)
    w = 0.8 * np.sin(np.arange(1, 61) / 8)
    return Trajectory.from_velocities(State(0, 0, 0), v, w, 0.1)


def test_on_the_trajectory_it_feeds_the_velocities_forward() -> None:
    t = curve()
    for now in (0.3, 1.7, 4.02):
        v, w = track(t, now, t.at(now), GAINS, LIMITS)
        ahead = t.at(now + GAINS.latency)
        assert (v, w) == pytest.approx((ahead.v, ahead.w))


def test_it_comes_back_to_the_trajectory_from_beside_it() -> None:
    t = curve()
    state = State(-0.1, 0.2, -0.3)
    for step in range(290):
        v, w = track(t, step * 0.02, state, GAINS, LIMITS)
        state = State(state.x, state.y, state.yaw, v, w).after(0.02)
    wanted = t.at(5.8)
    assert np.hypot(state.x - wanted.x, state.y - wanted.y) < 0.05
    assert abs(state.yaw - wanted.yaw) < 0.08


def test_a_heading_error_across_the_turn_of_the_circle_is_small() -> None:
    straight = Trajectory.from_velocities(State(0, 0, np.pi, 1.0), np.ones(10), np.zeros(10), 0.1)
    _, w = track(straight, 0.0, State(0, 0, -np.pi + 0.01), GAINS, LIMITS)
    assert abs(w) < 0.05


def test_a_stop_is_a_stop_wherever_the_robot_stands() -> None:
    stop = Trajectory.stop(State(1.0, 1.0, 0.0), LIMITS, 0.1, 30)
    assert track(stop, 1.0, State(0.7, 1.4, 0.5), GAINS, LIMITS) == (0.0, 0.0)


@given(*[st.floats(-5, 5)] * 3, st.floats(0, 8))
def test_commands_stay_within_limits(x, y, yaw, time) -> None:
    v, w = track(curve(), time, State(x, y, yaw), GAINS, LIMITS)
    assert -LIMITS.max_reverse <= v <= LIMITS.max_speed
    assert abs(w) <= LIMITS.max_yaw_rate
