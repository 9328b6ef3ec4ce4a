from __future__ import annotations

from math import hypot

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.teleop.messages import Input
from edge_robot.teleop.ticks import Ticks
from edge_robot.teleop.watchdog import (
    ZERO,
    Refusal,
    Watchdog,
    WatchdogSettings,
    blind_speed,
    bounded,
)

LIMITS = WatchdogSettings()
WANTED = (0.4, 0.1, -0.3)


class Hand:
    """An operator whose page is one link away, 50 ms there and back, at 25 Hz."""

    def __init__(self) -> None:
        self.watchdog = Watchdog(LIMITS, 0.0)
        self.ticks = Ticks(0.0)
        self.now = 0.0
        self.link = 0.05
        self.n = 0
        self.tick = 0

    def answer(self, held: bool, age: float = 0.0, new: bool = True) -> Refusal | None:
        self.tick = self.ticks.send(self.now)
        self.now += self.link
        self.n += new
        return self.send(held, age)

    def send(self, held: bool, age: float = 0.0) -> Refusal | None:
        read = Input(self.tick, self.n, held, *WANTED, age)
        return self.watchdog.judge(read, self.ticks, self.now)

    @property
    def demand(self) -> tuple[float, float, float]:
        return self.watchdog.demand(self.now)

    def drive(self) -> None:
        assert self.answer(held=False) is None
        assert self.answer(held=True) is None
        assert self.demand == WANTED


def test_nothing_moves_before_the_operator_has_let_go_once() -> None:
    hand = Hand()
    for _ in range(5):
        assert hand.answer(held=True) is None
        assert hand.demand == ZERO
        assert hand.watchdog.awaits_neutral
    hand.drive()


def test_neutral_counts_only_if_it_was_sampled_after_what_demands_it() -> None:
    hand = Hand()
    hand.drive()
    hand.tick = hand.ticks.send(hand.now)
    hand.now += 0.01
    hand.watchdog.lose(hand.now)
    hand.n += 1
    hand.now += 0.01
    assert hand.send(held=False) is None  # left the page before, or after: nobody knows
    assert hand.answer(held=True) is None
    assert hand.demand == ZERO
    hand.drive()


def test_silence_means_zero_and_lasting_silence_that_the_operator_must_let_go() -> None:
    hand = Hand()
    hand.drive()
    hand.now += LIMITS.input_silence - 0.001
    assert hand.demand == WANTED
    hand.now += 0.002
    assert hand.demand == ZERO
    assert hand.answer(held=True) is None
    assert hand.demand == WANTED, "a hiccup, through which the operator held on"
    hand.now += LIMITS.input_loss - 0.04  # and 50 ms until the next is heard
    assert hand.answer(held=True) is None
    assert hand.demand == ZERO
    assert hand.answer(held=True) is None
    assert hand.demand == ZERO
    hand.drive()


def test_packets_without_new_samples_are_silence() -> None:
    hand = Hand()
    hand.drive()
    for _ in range(3):
        assert hand.answer(held=True, new=False) is Refusal.FROZEN
    assert hand.demand == ZERO


def test_what_the_sample_waited_in_the_page_is_part_of_the_silence() -> None:
    hand = Hand()
    hand.drive()
    hand.now += 0.1
    assert hand.answer(held=True, age=0.1) is None
    assert hand.demand == WANTED
    hand.now += LIMITS.input_silence - 0.1 + 0.001
    assert hand.demand == ZERO


def test_an_answer_that_was_held_up_is_late_and_a_slow_link_is_not() -> None:
    hand = Hand()
    hand.drive()
    hand.tick = hand.ticks.send(hand.now)
    hand.now += 0.05 + LIMITS.input_silence + 0.01
    hand.n += 1
    assert hand.send(held=True) is None
    assert hand.demand == ZERO, "as long after the sample as if it had come in time"
    assert hand.answer(held=True) is None
    assert hand.demand == WANTED
    slow = Hand()
    slow.link = 0.3
    slow.drive()
    assert slow.answer(held=True) is None
    assert slow.demand == WANTED


def test_old_repeated_and_forged_inputs_count_for_nothing() -> None:
    hand = Hand()
    hand.drive()
    first, old_n = hand.tick, hand.n
    assert hand.send(held=True) is Refusal.FROZEN
    hand.n = old_n - 1
    assert hand.send(held=True) is Refusal.REPEATED
    hand.n = old_n
    assert hand.answer(held=True) is None
    hand.tick, hand.n = first, hand.n + 1
    assert hand.send(held=True) is Refusal.UNKNOWN_TICK, "a tick before the one answered last"
    hand.tick = 12345
    assert hand.send(held=True) is Refusal.UNKNOWN_TICK
    assert hand.answer(held=True, age=LIMITS.input_max_age) is Refusal.OLD


def test_nobody_is_too_late_to_let_go() -> None:
    hand = Hand()
    hand.drive()
    assert hand.answer(held=False, age=10.0) is Refusal.OLD
    assert hand.demand == ZERO


def test_outstanding_ticks_are_bounded_and_differ_between_connections() -> None:
    ticks, other = Ticks(0.0), Ticks(0.0)
    sent = [ticks.send(1.0) for _ in range(10_000)]
    assert len(set(sent)) == 10_000
    assert ticks.answer(sent[0], 1.5) is None
    assert ticks.answer(sent[-1], 1.5) == 1.0
    assert other.answer(sent[-1], 1.5) is None


def test_of_two_connections_the_one_that_is_not_held_up_drives() -> None:
    hand = Hand()
    hand.drive()
    held_up, other = hand.ticks, Ticks(hand.now)
    late_tick, late_n = held_up.send(hand.now), hand.n + 1
    hand.ticks, hand.n = other, late_n
    for _ in range(25):
        assert hand.answer(held=True) is None
        assert hand.demand == WANTED
        assert not hand.watchdog.is_lost(hand.now)
    assert hand.watchdog.age == pytest.approx(hand.link)
    late = Input(late_tick, late_n, True, *WANTED, 0.0)
    assert hand.watchdog.judge(late, held_up, hand.now) is Refusal.REPEATED
    assert held_up.lateness(hand.now) > 1.0
    assert hand.demand == WANTED


def test_what_one_connection_held_up_takes_nothing_from_what_the_other_brought() -> None:
    hand = Hand()
    hand.drive()
    held_up, late_n = hand.ticks, hand.n + 1
    ticks = [held_up.send(hand.now), held_up.send(hand.now)]
    hand.ticks, hand.n = Ticks(hand.now), late_n
    for _ in range(6):
        assert hand.answer(held=True) is None
    let_go = Input(ticks[0], late_n, False, *WANTED, 0.0)
    assert hand.watchdog.judge(let_go, held_up, hand.now) is Refusal.REPEATED
    assert hand.demand == WANTED, "took hold again since"
    hand.n += 1
    newer = Input(ticks[1], hand.n, True, *WANTED, 0.0)  # answered when it came at last
    assert hand.watchdog.judge(newer, held_up, hand.now) is None
    assert hand.demand == WANTED
    hand.n -= 1
    assert hand.send(held=False) is Refusal.REPEATED
    assert hand.demand == WANTED
    hand.n += 1
    assert hand.send(held=False) is Refusal.REPEATED
    assert hand.demand == ZERO


def test_the_round_trip_is_that_of_ticks_and_not_of_pauses_between_them() -> None:
    hand = Hand()
    for _ in range(5):
        hand.answer(held=False)
        hand.now += 0.03
        hand.n += 1
        hand.send(held=False)
    assert hand.ticks.round_trip == pytest.approx(0.05)


_positive = st.floats(0.01, 10.0)


@settings(deadline=None)
@given(st.floats(0.0, 5.0), _positive, _positive)
def test_what_is_driven_blind_fits_into_its_distance(lag, distance, decel) -> None:
    v = blind_speed(lag, distance, decel)
    assert v > 0.0
    assert v * lag + v * v / (2.0 * decel) == pytest.approx(distance, rel=1e-6)
    assert blind_speed(lag + 0.1, distance, decel) < v


_speeds = st.floats(-10.0, 10.0)


@settings(deadline=None)
@given(st.tuples(_speeds, _speeds, _speeds), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_bounds_keep_the_curve(wanted, speed, yaw_rate) -> None:
    vx, vy, wz = bounded(wanted, speed, yaw_rate)
    assert hypot(vx, vy) <= speed * (1 + 1e-9)
    assert abs(wz) <= yaw_rate * (1 + 1e-9)
    assert vx * wanted[2] == pytest.approx(wz * wanted[0], abs=1e-9)
