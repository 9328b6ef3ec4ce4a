from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.control.arbitration import Arbiter, Source

AUTONOMY, TELEOPERATION = Source.AUTONOMY, Source.TELEOPERATION


@pytest.mark.parametrize(
    ("stopped", "operator", "autonomy"), list(product((False, True), repeat=3))
)
def test_truth_table(stopped, operator, autonomy) -> None:
    arbiter = Arbiter()
    now = 10.0
    if autonomy:
        arbiter.heard(AUTONOMY, now - 0.05)
    if operator:
        arbiter.heard(TELEOPERATION, now - 0.05)
    if stopped:
        arbiter.stop()
    expected = (
        Source.EMERGENCY_STOP
        if stopped
        else TELEOPERATION
        if operator
        else AUTONOMY
        if autonomy
        else Source.NONE
    )
    assert arbiter.winner(now) is expected


def test_a_command_is_forwarded_only_for_the_winner() -> None:
    arbiter = Arbiter()
    assert arbiter.heard(AUTONOMY, 0.0)
    assert arbiter.heard(TELEOPERATION, 0.01)
    assert not arbiter.heard(AUTONOMY, 0.02)
    # Autonomy goes on by itself 0.2 s after the operator's last command.
    assert not arbiter.heard(AUTONOMY, 0.20)
    assert arbiter.heard(AUTONOMY, 0.22)


def test_leases_end() -> None:
    arbiter = Arbiter()
    arbiter.heard(AUTONOMY, 0.0)
    assert arbiter.winner(0.1) is AUTONOMY
    assert arbiter.winner(0.11) is Source.NONE
    arbiter.heard(TELEOPERATION, 1.0)
    assert arbiter.winner(1.2) is TELEOPERATION
    assert arbiter.winner(1.21) is Source.NONE


def test_after_a_stop_autonomy_needs_a_new_goal() -> None:
    arbiter = Arbiter()
    arbiter.heard(AUTONOMY, 0.0)
    arbiter.stop()
    arbiter.new_goal()  # given while stopped: nobody has looked yet
    arbiter.reset()
    assert not arbiter.heard(AUTONOMY, 1.0)
    assert arbiter.winner(1.0) is Source.NONE
    arbiter.new_goal()
    assert arbiter.heard(AUTONOMY, 1.1)


def test_after_a_stop_the_operator_must_let_go_first() -> None:
    arbiter = Arbiter()
    arbiter.heard(TELEOPERATION, 0.0)
    arbiter.stop()
    arbiter.heard(TELEOPERATION, 0.1)
    arbiter.reset()
    for tick in range(10):
        assert not arbiter.heard(TELEOPERATION, 0.2 + 0.05 * tick)
    assert arbiter.heard(TELEOPERATION, 1.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["autonomy", "teleoperation", "stop", "reset", "goal"]),
            st.floats(0.0, 0.5),
        ),
        max_size=60,
    )
)
def test_no_sequence_of_events_moves_a_stopped_robot(events) -> None:
    arbiter, now, latched, goal_since_reset = Arbiter(), 0.0, False, True
    for event, pause in events:
        now += pause
        if event == "stop":
            arbiter.stop()
            latched, goal_since_reset = True, False
        elif event == "reset":
            arbiter.reset()
            latched = False
        elif event == "goal":
            arbiter.new_goal()
            goal_since_reset |= not latched
        else:
            source = AUTONOMY if event == "autonomy" else TELEOPERATION
            forwarded = arbiter.heard(source, now)
            assert not (forwarded and latched)
            assert not (forwarded and source is AUTONOMY and not goal_since_reset)
        assert (arbiter.winner(now) is Source.EMERGENCY_STOP) == latched
