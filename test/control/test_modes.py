from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_robot.control.modes import Conditions, Mode, ModeMachine

GOOD = Conditions()
EVENTS = {
    "good": GOOD,
    "lost": Conditions(lost=("/scan",)),
    "slow": Conditions(degraded=("fusion misses its budget",)),
    "stopped": Conditions(stopped=True),
    "operated": Conditions(operated=True),
}


def settle(machine: ModeMachine, conditions: Conditions, now: float, seconds: float = 2.0) -> float:
    for _ in range(round(seconds / 0.02)):
        now += 0.02
        machine.update(conditions, now)
    return now


def started() -> tuple[ModeMachine, float]:
    machine = ModeMachine()
    machine.update(GOOD, 0.0)
    assert machine.mode is Mode.NOMINAL
    return machine, 0.0


def test_it_waits_for_its_inputs_and_names_them() -> None:
    machine = ModeMachine()
    assert machine.update(Conditions(missing=("/scan", "/odom")), 0.0)
    assert machine.mode is Mode.INITIALIZING
    assert machine.cause == "waiting for /scan, /odom"
    assert machine.update(Conditions(missing=("/odom",)), 0.1)
    assert machine.update(GOOD, 0.2)
    assert machine.mode is Mode.NOMINAL


def test_every_mode_can_be_reached_from_every_other_and_left() -> None:
    reached = set()
    for first in EVENTS.values():
        for second in EVENTS.values():
            machine, now = started()
            now = settle(machine, first, now)
            before = machine.mode
            now = settle(machine, replace(second, goals=1), now)
            reached.add((before, machine.mode))
            settle(machine, replace(GOOD, goals=2), now)
            assert machine.mode is Mode.NOMINAL
    modes = set(Mode) - {Mode.INITIALIZING}
    assert {mode for pair in reached for mode in pair} == modes
    missing = {(a, b) for a in modes for b in modes} - reached
    assert not missing


@pytest.mark.parametrize("event", ["lost", "slow", "stopped"])
def test_freedom_is_taken_at_once_and_given_back_late(event) -> None:
    machine, now = started()
    assert machine.update(EVENTS[event], now + 0.02)
    assert machine.mode is not Mode.NOMINAL
    now += 0.04
    after = replace(GOOD, goals=1)
    machine.update(after, now)
    assert machine.mode is not Mode.NOMINAL
    settle(machine, after, now, seconds=0.9)
    assert machine.mode is not Mode.NOMINAL
    settle(machine, after, now + 0.9, seconds=0.2)
    assert machine.mode is Mode.NOMINAL


def test_a_flickering_input_does_not_make_it_stutter() -> None:
    machine, now = started()
    modes = []
    for i in range(400):
        now += 0.02
        machine.update(EVENTS["lost"] if i % 30 == 0 else GOOD, now)
        modes.append(machine.mode)
    assert set(modes[1:]) == {Mode.CONTROLLED_STOP}


def test_an_emergency_stop_is_latched_until_reset_and_a_new_goal() -> None:
    machine, now = started()
    now = settle(machine, Conditions(stopped=True, goals=1), now)
    assert machine.mode is Mode.EMERGENCY_STOP
    now = settle(machine, Conditions(stopped=True, goals=2), now)  # a goal during the stop
    now = settle(machine, Conditions(goals=2), now, seconds=10.0)
    assert machine.mode is Mode.CONTROLLED_STOP
    assert "new goal" in machine.cause
    settle(machine, Conditions(goals=3), now)
    assert machine.mode is Mode.NOMINAL


def test_a_lost_link_changes_the_cause_and_not_the_mode() -> None:
    machine, _ = started()
    assert machine.update(Conditions(notes=("no fleet link: onboard perception alone",)), 1.0)
    assert machine.mode is Mode.NOMINAL
    assert "no fleet link" in machine.cause


_words = st.lists(st.sampled_from(["/scan", "/odom"]), max_size=2, unique=True).map(tuple)


@given(
    st.lists(
        st.tuples(
            st.builds(
                Conditions,
                missing=_words,
                lost=_words,
                degraded=_words,
                stopped=st.booleans(),
                operated=st.booleans(),
                goals=st.just(0),
            ),
            st.floats(0.0, 2.0),
        ),
        max_size=40,
    )
)
def test_whatever_happens_it_is_never_freer_than_its_conditions_allow(sequence) -> None:
    machine, now, stopped_once = ModeMachine(), 0.0, False
    for conditions, pause in sequence:
        now += pause
        before = (machine.mode, machine.cause)
        changed = machine.update(conditions, now)
        assert changed == (before != (machine.mode, machine.cause))
        assert machine.cause
        stopped_once |= conditions.stopped
        if conditions.stopped:
            assert machine.mode is Mode.EMERGENCY_STOP
        autonomous = machine.mode in (Mode.NOMINAL, Mode.REDUCED)
        assert not (autonomous and (conditions.lost or conditions.operated or stopped_once))
        assert not (machine.mode is Mode.NOMINAL and conditions.degraded)
