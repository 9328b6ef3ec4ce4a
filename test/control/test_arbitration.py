from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.control.arbitration import (
    DEFAULT_SOURCES,
    EMERGENCY_STOP,
    NOBODY,
    WAITING,
    Arbiter,
    Outcome,
    SourceSettings,
)
from edge_robot.control.commands import Refusal
from edge_robot.errors import UserError

AUTONOMY, TELEOPERATION = "autonomy", "teleoperation"
FORWARD, ZERO, IGNORE = Outcome.FORWARD, Outcome.ZERO, Outcome.IGNORE
LIFESPAN = 0.1


@dataclass
class Wheel:
    """An arbiter whose clocks agree, and commands that are made when they are heard."""

    arbiter: Arbiter = field(default_factory=lambda: Arbiter(lifespan=LIFESPAN))

    def heard(
        self, source: str, now: float, age: float = 0.0, speed: float = 0.5, turn: float = 0.1
    ) -> Outcome:
        stamp = round((now - age) * 1e9)
        return self.arbiter.command(source, (speed, 0.0, turn), stamp, round(now * 1e9), now)

    def refused(self, source: str) -> dict[Refusal, int]:
        return {why: n for (name, why), n in self.arbiter.refused.items() if name == source}


@pytest.mark.parametrize(
    ("stopped", "operator", "autonomy"), list(product((False, True), repeat=3))
)
def test_truth_table(stopped, operator, autonomy) -> None:
    wheel = Wheel()
    if autonomy:
        wheel.heard(AUTONOMY, 9.95)
    if operator:
        wheel.heard(TELEOPERATION, 9.95)
    if stopped:
        wheel.arbiter.stop()
    claims = ((stopped, EMERGENCY_STOP), (operator, TELEOPERATION), (autonomy, AUTONOMY))
    assert wheel.arbiter.holder(10.0) == next((who for there, who in claims if there), NOBODY)
    assert wheel.arbiter.holder(11.0) == (
        EMERGENCY_STOP if stopped else WAITING if operator else NOBODY
    )


def test_a_command_is_forwarded_only_for_the_holder_while_its_lease_lasts() -> None:
    wheel = Wheel()
    assert wheel.heard(AUTONOMY, 1.0) is FORWARD
    assert wheel.heard(TELEOPERATION, 1.01) is FORWARD
    assert wheel.heard(AUTONOMY, 1.02) is IGNORE
    assert wheel.arbiter.holder(1.20) == TELEOPERATION
    assert wheel.arbiter.holder(1.22) == WAITING


@pytest.mark.parametrize("word", ["hand back", "goal"])
def test_autonomy_goes_on_after_a_human_only_when_told(word) -> None:
    wheel = Wheel()

    def say(now: float) -> None:
        if word == "goal":
            wheel.arbiter.new_goal(now)
        else:
            assert wheel.arbiter.hand_back()

    wheel.heard(TELEOPERATION, 1.0)
    say(1.01)
    wheel.heard(TELEOPERATION, 1.02)  # goes on driving: takes the wheel anew
    assert wheel.heard(AUTONOMY, 9.0) is IGNORE
    assert wheel.arbiter.holder(9.0) == WAITING
    say(9.01)
    assert wheel.heard(AUTONOMY, 9.02) is FORWARD
    wheel.arbiter.stop()
    assert not wheel.arbiter.hand_back()


def test_after_a_stop_autonomy_needs_a_new_goal() -> None:
    wheel = Wheel()
    wheel.heard(AUTONOMY, 0.0)
    wheel.arbiter.stop()
    wheel.arbiter.new_goal(0.5)  # given while stopped: nobody has looked yet
    wheel.arbiter.reset()
    assert wheel.heard(AUTONOMY, 1.0) is IGNORE
    assert wheel.arbiter.holder(1.0) == WAITING
    wheel.arbiter.new_goal(1.05)
    assert wheel.heard(AUTONOMY, 1.1) is FORWARD


def test_who_held_on_through_a_stop_and_lets_go_sets_nothing_in_motion() -> None:
    wheel = Wheel()
    wheel.heard(TELEOPERATION, 0.9)
    wheel.arbiter.stop()
    wheel.arbiter.reset()
    wheel.heard(TELEOPERATION, 1.0)  # not obeyed: it has not let go since the stop
    wheel.arbiter.new_goal(1.05)
    assert wheel.heard(TELEOPERATION, 1.1) is IGNORE
    assert wheel.heard(AUTONOMY, 1.15) is IGNORE
    assert wheel.heard(AUTONOMY, 9.0) is IGNORE and wheel.arbiter.holder(9.0) == WAITING
    wheel.arbiter.new_goal(9.05)
    assert wheel.heard(AUTONOMY, 9.1) is FORWARD


@pytest.mark.parametrize("by", ["silence", "an explicit zero"])
@pytest.mark.parametrize("first", [0.0, 0.1], ids=["held before", "taken during the stop"])
def test_after_a_stop_the_operator_must_let_go_first(first, by) -> None:
    wheel = Wheel()
    if first == 0.0:
        wheel.heard(TELEOPERATION, 0.0)
    wheel.arbiter.stop()
    wheel.heard(TELEOPERATION, 0.1)
    wheel.arbiter.reset()
    for tick in range(10):
        assert wheel.heard(TELEOPERATION, 0.2 + 0.05 * tick) is IGNORE
    if by == "silence":
        assert wheel.heard(TELEOPERATION, 1.0) is FORWARD
    else:
        assert wheel.heard(TELEOPERATION, 0.7, speed=0.0, turn=0.0) is FORWARD
        assert wheel.heard(TELEOPERATION, 0.75) is FORWARD


@pytest.mark.parametrize("taken_by_hand", [False, True])
def test_an_arbiter_that_starts_anew_lets_nobody_drive_on_by_hand(taken_by_hand) -> None:
    wheel = Wheel()
    wheel.arbiter.begin(5.0, taken_by_hand)
    assert wheel.heard(AUTONOMY, 5.01) is (IGNORE if taken_by_hand else FORWARD)
    for tick in range(20):
        assert wheel.heard(TELEOPERATION, 5.02 + 0.02 * tick) is IGNORE
    # Who holds on believes to drive: autonomy waits, and a goal given meanwhile does not count.
    wheel.arbiter.new_goal(5.45)
    assert wheel.heard(AUTONOMY, 5.5) is IGNORE
    assert wheel.heard(TELEOPERATION, 5.51, speed=0.0, turn=0.0) is FORWARD
    assert wheel.heard(TELEOPERATION, 5.53) is FORWARD


def test_what_is_late_repeated_or_of_the_future_is_never_forwarded_and_holds_nothing() -> None:
    wheel = Wheel()
    assert wheel.heard(TELEOPERATION, 1.0, age=0.101) is IGNORE
    assert wheel.heard(TELEOPERATION, 1.0, age=-0.2) is IGNORE
    assert wheel.arbiter.holder(1.0) == NOBODY
    assert wheel.heard(AUTONOMY, 1.0, age=0.02) is FORWARD
    assert wheel.heard(AUTONOMY, 1.01, age=0.03) is IGNORE
    assert wheel.heard(AUTONOMY, 1.02, age=0.05) is IGNORE  # overtaken on the way
    assert wheel.refused(TELEOPERATION) == {Refusal.LATE: 1, Refusal.FUTURE: 1}
    assert wheel.refused(AUTONOMY) == {Refusal.REPEATED: 2}


@pytest.mark.parametrize("value", [nan, inf, -inf, 1e30])
def test_no_velocity_from_the_holder_is_a_zero_and_from_another_nothing(value) -> None:
    wheel = Wheel()
    assert wheel.heard(TELEOPERATION, 1.0) is FORWARD
    assert wheel.heard(AUTONOMY, 1.01, speed=value) is IGNORE
    assert wheel.heard(TELEOPERATION, 1.02, speed=value) is ZERO
    assert wheel.heard(AUTONOMY, 1.03) is IGNORE, "the operator still holds on"
    assert wheel.refused(TELEOPERATION) == {Refusal.NO_VELOCITY: 1}


def test_a_clock_that_is_set_back_does_not_lock_anybody_out() -> None:
    arbiter = Arbiter(lifespan=LIFESPAN)
    second = 1_000_000_000
    assert arbiter.command(AUTONOMY, (1.0,), 100 * second, 100 * second, 1.0) is FORWARD
    # In flight across the jump: of the future now.
    assert arbiter.command(AUTONOMY, (1.0,), 100 * second + 1, 10 * second, 1.02) is IGNORE
    assert arbiter.command(AUTONOMY, (1.0,), 10 * second, 10 * second, 1.04) is FORWARD


def test_more_sources_are_ordered_by_priority_alone() -> None:
    joystick = SourceSettings("/joystick", priority=200, lease=0.5)
    wheel = Wheel(Arbiter({"joystick": joystick, **DEFAULT_SOURCES}, LIFESPAN))
    assert wheel.heard(TELEOPERATION, 1.0) is FORWARD
    assert wheel.heard("joystick", 1.01) is FORWARD
    assert wheel.heard(TELEOPERATION, 1.02) is IGNORE
    with pytest.raises(UserError, match="same priority"):
        Arbiter({"a": joystick, "b": joystick})


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([AUTONOMY, TELEOPERATION, "stop", "reset", "goal", "hand back"]),
            st.floats(0.0, 0.5),
            st.floats(-0.3, 0.3),
            st.sampled_from([0.5, nan]),
        ),
        max_size=60,
    )
)
def test_no_order_of_events_lets_drive_who_may_not_or_forwards_what_is_late(events) -> None:
    wheel, now, latched, autonomy_free = Wheel(), 1.0, False, True
    newest = dict.fromkeys((AUTONOMY, TELEOPERATION), -inf)
    for event, pause, age, speed in events:
        now += pause
        if event == "stop":
            wheel.arbiter.stop()
            latched, autonomy_free = True, False
        elif event == "reset":
            wheel.arbiter.reset()
            latched = False
        elif event in ("goal", "hand back"):
            wheel.arbiter.new_goal(now) if event == "goal" else wheel.arbiter.hand_back()
            autonomy_free |= not latched
        else:
            outcome = wheel.heard(event, now, age, speed)
            if outcome is FORWARD:
                assert not latched
                assert event != AUTONOMY or autonomy_free
                autonomy_free &= event != TELEOPERATION
                assert age <= LIFESPAN + 1e-9
                assert now - age > newest[event], "an older command after a newer one"
                assert speed == speed
                newest[event] = now - age
        assert (wheel.arbiter.holder(now) == EMERGENCY_STOP) == latched
