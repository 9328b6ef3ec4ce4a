"""The pacer on simulated links: what queues, what is used of the link, what it is not fooled by."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.teleop.pacing import MAX_IN_FLIGHT, MAX_PIECE, PIECE_TIME, Pacer


@dataclass
class Link:
    """A queue before a narrow place, a way, and the way back.

    Attributes:
        rate: What passes at a time, bytes/s.
        round_trip: Without any queue, s.
        jitter: Largest additional time on the way back, s; order is kept.
        loss: Chance of a piece to be lost; it is repeated a round trip later, and holds up, as TCP
            does it, what comes behind it.
    """

    rate: Callable[[float], float]
    round_trip: float
    jitter: float = 0.0
    loss: float = 0.0
    random: random.Random = field(default_factory=lambda: random.Random(1))
    free_at: float = 0.0
    arrived_at: float = 0.0
    returned_at: float = 0.0

    def queue(self, now: float) -> float:
        """Return how long what is sent now would wait before the narrow place, s."""
        return max(0.0, self.free_at - now)

    def send(self, now: float, size: int) -> float:
        """Return when the mark of a piece is back."""
        self.free_at = max(self.free_at, now) + size / self.rate(now)
        way = self.round_trip / 2
        repeats = 0
        while self.random.random() < self.loss:
            repeats += 1
        self.arrived_at = max(self.arrived_at, self.free_at + way + repeats * self.round_trip)
        back = self.arrived_at + way + self.random.uniform(0.0, self.jitter)
        self.returned_at = max(self.returned_at, back)
        return self.returned_at


@dataclass
class Run:
    """What happened on a link: queue met by each piece, and bytes sent, with their times."""

    pacer: Pacer
    times: list[float] = field(default_factory=list)
    queues: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def queue(self, share: float, after: float = 0.0) -> float:
        """Return the quantile of the queue that pieces met from a time on, s."""
        return float(np.quantile(np.array(self.queues)[np.array(self.times) >= after], share))

    def used(self, start: float, end: float) -> float:
        """Return what was sent in a time, bytes/s."""
        times, sizes = np.array(self.times), np.array(self.sizes)
        return float(sizes[(times >= start) & (times < end)].sum() / (end - start))


def drive(link: Link, seconds: float, message: Callable[[Pacer], int], period: float = 0.1) -> Run:
    """Send a message of so many bytes every period, in pieces, as a viewer's socket does it."""
    pacer = Pacer(0.0)
    run = Run(pacer)
    returns: deque[float] = deque()
    now = due = 0.0
    left = 0
    while now < seconds:
        while returns and returns[0] <= now:
            pacer.returned(returns.popleft())
        if not left:
            if now >= due:
                left, due = message(pacer), max(due + period, now)
            else:
                pacer.idle()
                now = due
                continue
        wait = pacer.wait(now)
        if wait > 0.0:
            now = min(now + wait, returns[0] if returns else math.inf)
            continue
        size = pacer.piece(left)
        left -= size
        run.times.append(now)
        run.queues.append(link.queue(now))
        run.sizes.append(size)
        returns.append(link.send(now, size))
        pacer.sent(now, size)
        assert pacer.sent_bytes - pacer.arrived_bytes <= MAX_IN_FLIGHT + MAX_PIECE
    return run


def picture(pacer: Pacer) -> int:
    """Return the bytes of a picture that fills most of a tenth of a second, and of some state."""
    return int(0.1 * 0.85 * 0.85 * pacer.rate)


MEGABIT = 125_000.0
rates = st.floats(30e3, 600e3)
round_trips = st.floats(0.0005, 0.25)


@settings(max_examples=15, deadline=None)
@given(rates, round_trips)
def test_nothing_queues_on_a_steady_link_and_most_of_it_is_used(
    rate: float, round_trip: float
) -> None:
    run = drive(Link(lambda _: rate, round_trip), 20.0, picture)
    assert run.queue(1.0, after=1.0) <= 0.025
    # A picture fills 85 % of a tenth of a second at 85 % of the rate.
    assert run.used(15.0, 20.0) >= 0.5 * rate


@settings(max_examples=10, deadline=None)
@given(st.floats(0.3, 0.8), st.floats(0.01, 0.2))
def test_when_the_link_narrows_the_queue_is_gone_within_seconds(
    share: float, round_trip: float
) -> None:
    link = Link(lambda t: MEGABIT if t < 15.0 else share * MEGABIT, round_trip)
    run = drive(link, 30.0, picture)
    assert run.queue(0.99, after=18.0) <= 0.025
    assert run.used(25.0, 30.0) >= 0.45 * share * MEGABIT


def test_when_the_link_widens_that_is_used() -> None:
    link = Link(lambda t: 50e3 if t < 10.0 else 200e3, 0.05)
    assert drive(link, 30.0, picture).used(25.0, 30.0) > 120e3


@pytest.mark.parametrize(("jitter", "loss"), [(0.010, 0.0), (0.0, 0.01), (0.0, 0.05)])
def test_jitter_and_loss_are_not_taken_for_a_narrow_link(jitter: float, loss: float) -> None:
    link = Link(lambda _: MEGABIT, 0.15, jitter, loss)
    run = drive(link, 40.0, picture)
    assert run.used(20.0, 40.0) > 0.4 * MEGABIT
    assert run.queue(0.99, after=5.0) <= 0.025


def test_a_viewer_who_takes_little_is_not_taken_for_a_narrow_link() -> None:
    run = drive(Link(lambda _: MEGABIT, 0.05), 20.0, lambda _: 2000)
    assert run.pacer.rate > 0.8 * MEGABIT


def test_a_dead_link_costs_no_more_than_was_under_way() -> None:
    pacer = Pacer(0.0)
    now = 0.0
    while math.isfinite(wait := pacer.wait(now)):
        now += wait
        pacer.sent(now, pacer.piece(10_000))
    assert pacer.sent_bytes < 10_000
    assert pacer.silence(now + 5.0) > 4.0
    pacer.returned(now + 5.0)
    assert pacer.silence(now + 5.0) == 0.0


@settings(deadline=None)
@given(st.integers(1, 200_000), st.integers(1, 60))
def test_pieces_make_up_the_message(size: int, successes: int) -> None:
    pacer = Pacer(0.0)
    pacer.rate *= 1.1**successes
    left, pieces = size, []
    while left:
        pieces.append(pacer.piece(left))
        left -= pieces[-1]
    assert sum(pieces) == size
    assert max(pieces) - min(pieces) <= 1
    assert max(pieces) <= max(600, math.ceil(pacer.rate * PIECE_TIME))
