from __future__ import annotations

from math import cos, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.control.response import BaseResponse
from edge_robot.planning.robot import State

PERIOD = 0.025
FINE = 0.0025


def wanted(time: float) -> tuple[float, float]:
    """A drive with bends, speeding up from rest."""
    return min(1.5, 3.0 * time), 0.9 * sin(2.3 * time) + 0.4 * sin(5.1 * time)


def drive(
    response: BaseResponse, delay: float, gain: float, bend: float, seconds: float = 4.0
) -> tuple[float, State]:
    """Let a base answer commands late, too weakly, and along a bend of its own."""
    state, sent = State(0.0, 0.0, 0.0), []
    per_period = round(PERIOD / FINE)
    for tick in range(round(seconds / FINE)):
        now = tick * FINE
        if tick % per_period == 0:
            response.observe(now, state.x, state.y, state.yaw)
            response.command(now, *wanted(now))
            sent.append((now, wanted(now)))
        v, w = next((u for at, u in reversed(sent) if at <= now - delay + 1e-9), (0.0, 0.0))
        state = State(state.x, state.y, state.yaw, gain * v, gain * w + bend * gain * v).after(FINE)
    return tick * FINE + FINE, state


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 12), st.floats(0.7, 1.0), st.floats(-0.2, 0.2))
def test_it_finds_the_delay_and_the_gain_of_a_base(periods, gain, bend) -> None:
    response = BaseResponse()
    drive(response, periods * PERIOD, gain, bend)
    assert response.delay == pytest.approx(periods * PERIOD, abs=0.015)
    assert response.gain[0] == pytest.approx(gain, abs=0.05)
    assert response.slip[1] == pytest.approx(bend, abs=0.1)


def test_commands_on_their_way_are_predicted() -> None:
    response = BaseResponse()
    now, state = drive(response, 0.15, 0.9, 0.1)
    later, truth = drive(BaseResponse(), 0.15, 0.9, 0.1, seconds=4.15)
    predicted = response.predict(state, now, later)
    naive = state.after(later - now)
    error = np.hypot(predicted.x - truth.x, predicted.y - truth.y)
    assert error < 0.02
    assert abs(predicted.yaw - truth.yaw) < 0.5 * abs(naive.yaw - truth.yaw)


def test_what_it_commands_makes_up_for_gain_and_slip() -> None:
    response = BaseResponse()
    drive(response, 0.1, 0.8, 0.15)
    v, w = response.command_for(1.0, 0.3, 1.0)
    forward, turning = response.gain * (v, w)
    assert (1 + response.slip[0]) * forward == pytest.approx(1.0)
    assert turning + response.slip[1] * forward == pytest.approx(0.3)
    assert response.command_for(0.0, 0.0, 0.0) == (0.0, 0.0)


def test_poses_after_a_pause_are_no_motion() -> None:
    response = BaseResponse()
    response.observe(0.0, 0.0, 0.0, 0.0)
    response.command(0.0, 0.0, 0.0)
    response.observe(5.0, 100.0, cos(1.0), 3.0)
    assert response.slip == pytest.approx((0.0, 0.0))
