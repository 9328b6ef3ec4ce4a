from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.control.modes import (
    AUTONOMOUS,
    TRANSITIONS,
    Conditions,
    Mode,
    ModeMachine,
    ModeTimes,
)

GOOD = Conditions()
EVENTS = {
    "good": GOOD,
    "lost": Conditions(lost=("/scan (silent)",)),
    "late": Conditions(late=("/fusion/tracks (deadline missed)",)),
    "slow": Conditions(degraded=("fusion misses its budget",)),
    "stopped": Conditions(stopped=True),
    "operated": Conditions(operated=True),
    "withheld": Conditions(waiting=True),
}
TIMES = ModeTimes()


def settle(machine: ModeMachine, conditions: Conditions, now: float, seconds: float = 2.5) -> float:
    for _ in range(round(seconds / 0.02)):
        now += 0.02
        machine.update(conditions, now)
    return now


def started() -> ModeMachine:
    machine = ModeMachine()
    machine.update(GOOD, 0.0)
    assert machine.mode is Mode.NOMINAL
    return machine


def in_mode(mode: Mode) -> tuple[ModeMachine, float]:
    machine = ModeMachine()
    if mode is Mode.INITIALIZING:
        machine.update(Conditions(missing=("/scan",)), 0.0)
        return machine, 0.0
    machine.update(GOOD, 0.0)
    event = {
        Mode.NOMINAL: "good",
        Mode.REDUCED: "slow",
        Mode.LAST_SAFE_PLAN: "late",
        Mode.CONTROLLED_STOP: "lost",
        Mode.EMERGENCY_STOP: "stopped",
        Mode.TELEOPERATION: "operated",
        Mode.WAITING: "withheld",
    }[mode]
    machine.update(EVENTS[event], 0.02)
    assert machine.mode is mode
    return machine, 0.02


def test_it_waits_for_its_inputs_and_names_them() -> None:
    machine = ModeMachine()
    assert machine.update(Conditions(missing=("/scan", "/odom")), 0.0)
    assert machine.mode is Mode.INITIALIZING
    assert machine.cause == "waiting for /scan, /odom"
    assert machine.update(Conditions(missing=("/odom",)), 0.1)
    assert machine.update(GOOD, 0.2)
    assert machine.mode is Mode.NOMINAL


def test_down_the_ladder_when_plans_stay_away_and_up_again_when_they_are_back() -> None:
    machine = started()
    machine.update(EVENTS["late"], 1.0)
    assert machine.mode is Mode.LAST_SAFE_PLAN
    assert machine.cause == "following the last safe plan: /fusion/tracks (deadline missed)"
    now = settle(machine, EVENTS["late"], 1.0, seconds=TIMES.last_plan_time - 0.02)
    assert machine.mode is Mode.LAST_SAFE_PLAN
    machine.update(EVENTS["late"], now + 0.05)
    assert machine.mode is Mode.CONTROLLED_STOP
    assert "/fusion/tracks (deadline missed)" in machine.cause
    now = settle(machine, GOOD, now + 0.05, seconds=TIMES.recovery)
    assert machine.mode is Mode.CONTROLLED_STOP
    assert machine.cause.startswith("recovering: ")
    settle(machine, GOOD, now, seconds=0.1)
    assert machine.mode is Mode.NOMINAL


def test_a_short_hiccup_of_plans_does_not_stop_the_robot() -> None:
    machine = started()
    machine.update(EVENTS["late"], 1.0)
    settle(machine, GOOD, 1.0, seconds=TIMES.plan_recovery + 0.05)
    assert machine.mode is Mode.REDUCED


def test_plans_that_come_and_go_use_up_the_last_safe_plan_as_well() -> None:
    machine, now = started(), 1.0
    for step in range(40):
        machine.update(EVENTS["late"] if step % 5 == 0 else GOOD, now + 0.02 * step)
    assert machine.mode is Mode.CONTROLLED_STOP


@pytest.mark.parametrize("mode", set(Mode) - {Mode.EMERGENCY_STOP})
def test_the_emergency_stop_is_reached_from_everywhere_at_once(mode: Mode) -> None:
    machine, now = in_mode(mode)
    assert machine.update(Conditions(stopped=True, missing=("/scan",), operated=True), now)
    assert machine.mode is Mode.EMERGENCY_STOP


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_can_be_left_and_only_a_human_leaves_the_emergency_stop(mode: Mode) -> None:
    machine, now = in_mode(mode)
    if mode is Mode.EMERGENCY_STOP:
        now = settle(machine, EVENTS["stopped"], now, seconds=60.0)
        assert machine.mode is mode
    settle(machine, GOOD, now)
    assert machine.mode is Mode.NOMINAL
    assert any(mode in transition.sources for transition in TRANSITIONS)


def test_a_flickering_input_does_not_make_it_stutter() -> None:
    machine, now, modes = started(), 0.0, []
    for i in range(400):
        now += 0.02
        machine.update(EVENTS["lost"] if i % 30 == 0 else GOOD, now)
        modes.append(machine.mode)
    assert set(modes[1:]) == {Mode.CONTROLLED_STOP}


def test_what_is_missed_now_and_then_keeps_the_robot_slow_and_not_standing() -> None:
    machine = started()
    now = settle(machine, EVENTS["lost"], 0.0)
    for i in range(70):
        machine.update(EVENTS["slow"] if i % 10 == 0 else GOOD, now + 0.02 * i)
    assert machine.mode is Mode.REDUCED


def test_an_emergency_stop_is_latched_until_reset_and_a_new_goal() -> None:
    machine = started()
    now = settle(machine, Conditions(stopped=True, waiting=True), 0.0)
    assert machine.mode is Mode.EMERGENCY_STOP
    now = settle(machine, EVENTS["withheld"], now, seconds=10.0)
    assert machine.mode is Mode.WAITING
    assert machine.cause == "emergency stop was reset: waiting for a new goal"
    settle(machine, GOOD, now)
    assert machine.mode is Mode.NOMINAL


def test_after_an_operator_it_waits_for_a_word_whatever_else_happens() -> None:
    machine = started()
    now = settle(machine, EVENTS["operated"], 0.0)
    assert machine.mode is Mode.TELEOPERATION
    now = settle(machine, replace(EVENTS["lost"], waiting=True), now)
    now = settle(machine, EVENTS["withheld"], now, seconds=10.0)
    assert machine.mode is Mode.WAITING
    assert machine.cause == "an operator had the wheel; autonomy waits: hand back or give a goal"
    machine.update(GOOD, now)
    assert machine.mode is Mode.CONTROLLED_STOP, "all must be well for a while first"
    settle(machine, GOOD, now)
    assert machine.mode is Mode.NOMINAL


def test_a_manager_that_starts_while_autonomy_waits_still_waits_for_its_inputs_after() -> None:
    machine, unheard = ModeMachine(), Conditions(missing=("/scan",))
    now = settle(machine, replace(unheard, waiting=True), 0.0)
    assert machine.mode is Mode.WAITING
    now = settle(machine, unheard, now, seconds=10.0)
    assert machine.mode is Mode.CONTROLLED_STOP
    assert machine.cause == "waiting for /scan"
    settle(machine, GOOD, now)
    assert machine.mode is Mode.NOMINAL


def test_a_lost_link_changes_the_cause_and_not_the_mode() -> None:
    machine = started()
    assert machine.update(Conditions(notes=("no fleet link: onboard perception alone",)), 1.0)
    assert machine.mode is Mode.NOMINAL
    assert "no fleet link" in machine.cause


_words = st.lists(st.sampled_from(["/scan", "/odom"]), max_size=2, unique=True).map(tuple)
_FREEDOM = {Mode.NOMINAL: 3, Mode.REDUCED: 2, Mode.LAST_SAFE_PLAN: 1}


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.builds(
                Conditions,
                missing=_words,
                lost=_words,
                late=_words,
                degraded=_words,
                stopped=st.booleans(),
                operated=st.booleans(),
                waiting=st.booleans(),
            )
            | st.just(GOOD),
            st.sampled_from([0.02, 0.1, 0.5, 1.1]),
        ),
        max_size=40,
    )
)
def test_whatever_happens_it_is_never_freer_than_its_conditions_allow(sequence) -> None:
    machine, now, begun = ModeMachine(), 0.0, False
    for given_conditions, pause in sequence:
        now += pause
        # What was heard once is never missing again: then it is late or lost.
        begun = begun or machine.mode in AUTONOMOUS
        conditions = replace(given_conditions, missing=()) if begun else given_conditions
        before, entered = (machine.mode, machine.cause), machine.since
        changed = machine.update(conditions, now)
        assert changed == (before != (machine.mode, machine.cause))
        assert machine.cause
        if conditions.stopped:
            assert machine.mode is Mode.EMERGENCY_STOP
        blocked = conditions.lost or conditions.operated or conditions.waiting
        assert not (machine.mode in AUTONOMOUS and blocked)
        assert not (machine.mode is Mode.NOMINAL and (conditions.degraded or conditions.late))
        assert not (machine.mode is Mode.REDUCED and conditions.late)
        rises = _FREEDOM.get(machine.mode, 0) > _FREEDOM.get(before[0], 0)
        if rises and before[0] is not Mode.INITIALIZING:
            held = TIMES.plan_recovery if before[0] is Mode.LAST_SAFE_PLAN else TIMES.recovery
            assert now - entered >= held, "freedom was given back before its time"
