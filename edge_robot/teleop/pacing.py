"""How much a viewer's link takes, so that nothing of ours queues in it.

Whoever fills a narrow link makes everything behind it late, commands of another connection too.
So a viewer's messages leave in pieces, a little slower than the link delivers them, and the queue
before its narrowest place stays empty. What the link delivers is learnt from marks: a mark follows
a piece, and returns as soon as the piece has arrived. `edge_robot.teleop.paced_socket` uses
WebSocket pings for marks: a browser's network process answers them, so that a page which is busy
with itself is not taken for a narrow link.

The control is of the kind of LEDBAT (RFC 6817) and BBR (Cardwell et al., "BBR: Congestion-Based
Congestion Control", 2016). Round trips beyond the shortest known one are queueing; what returns per
time while pieces follow each other closely is what the link delivers. The rate grows by a short
trial of a little more, and falls as soon as a queue stands.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

START_RATE = 24_000.0
"""Rate before anything is known, bytes/s: a poor mobile uplink's."""

MIN_RATE, MAX_RATE = 8_000.0, 8e6
"""Bounds of the rate, bytes/s."""

SHARE = 0.85
"""Of what the link delivers, how much is sent: the rest lets a queue drain."""

TRIAL_GAIN, FIRST_GAIN = 1.2, 1.4
"""What is tried, as a multiple of the known rate: later, and until a trial has failed."""

TRIAL_QUEUE = 0.016
"""What a trial may add to the queue of a link that is full already, s."""

TRIAL_PIECES = 4
"""Pieces by which a trial is judged, at least, that followed another closely."""

MIN_TRIAL_PERIOD, MAX_TRIAL_PERIOD = 0.5, 4.0
"""From a trial that failed to the next, s: doubled each time."""

REACHED = 0.95
"""Of what was sent in a trial per time, how much must have arrived for it to have succeeded."""

PAUSE, PAUSES = 0.005, 3.0
"""How much longer than its size would need, s and times, a piece takes that the link held up."""

DISTURBED_PIECES = 24
"""Pieces by which a trial is judged although the link, or who answers, paused meanwhile."""

LATE = 0.25
"""Of the time that a piece needs, by how much it may be late to tell anything of the link."""

HEAP = 0.8
"""Of the time that pieces were sent in, how much they arrive in at least where none was held up."""

QUEUE_HIGH = 0.008
"""Queue that every piece meets, beside those of its own size, from which less is sent, s."""

QUEUE_ALARM = 0.025
"""Queue upon which less is sent at once if three pieces meet it, each more than the one before, s:
pauses of the link would make it shrink from piece to piece."""

BASE_MEMORY = 10.0
"""How long the shortest round trip is believed, s."""

EPOCH_PIECES, MIN_EPOCH, EPOCH_ROUND_TRIPS = 12, 0.06, 4.0
"""A queue is judged by at least so many pieces, and those of so long, s, and so many round trips:
what TCP repeats holds up the rest for one or two."""

PIECE_TIME = 0.010
"""What the link needs for a piece, s."""

MIN_PIECE, MAX_PIECE = 600, 32_768
"""Bounds of a piece, bytes."""

MAX_IN_FLIGHT = 262_144
"""Most that may be on its way, beside a piece, bytes: what a client that has stalled costs."""


@dataclass
class _Mark:
    """A piece on its way.

    Attributes:
        sent: When it was handed over, s.
        size: Of the piece, bytes.
        follows: Whether it was sent as soon as the pace allowed, close behind the one before.
        trial: Whether it is part of a trial.
    """

    sent: float
    size: int
    follows: bool
    trial: bool


class _Delivery:
    """How fast pieces were sent, and arrived, that followed each other closely."""

    def __init__(self) -> None:
        self._pieces: list[tuple[float, int]] = []  # how long after the one before, s, and bytes
        self._sent = 0
        self._sending = 0.0

    def add(self, before: _Mark, mark: _Mark, arriving: float) -> None:
        """Add a piece, the one before, and how long after that it arrived, s."""
        self._pieces.append((arriving, mark.size))
        self._sent += before.size
        self._sending += mark.sent - before.sent

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def sending(self) -> float:
        """How fast they were sent, bytes/s."""
        return self._sent / (self._sending + 1e-6)

    def rate(self, trimmed: bool = True) -> float:
        """Return how fast they arrived, no faster than they were sent, bytes/s.

        Args:
            trimmed: Whether the longest pauses do not count: a link that repeats what it lost
                pauses, then delivers in a heap. That flatters a link that is full.
        """
        pauses = math.ceil(len(self._pieces) / EPOCH_PIECES)
        counted = sorted(self._pieces)[: -pauses if trimmed else None]
        arrived, arriving = sum(size for _, size in counted), sum(gap for gap, _ in counted)
        return min(self.sending, arrived / (arriving + 1e-6))

    def disturbed(self) -> bool:
        """Return whether the link paused meanwhile, or delivered in a heap what it held up."""
        arriving = sum(gap for gap, _ in self._pieces)
        return arriving < HEAP * self._sending or any(
            gap > PAUSE + PAUSES * size / self.sending for gap, size in self._pieces
        )


class Pacer:
    """Tells when the next piece may be sent, and how large it may be.

    Args:
        now: Time, s, on the clock of all calls.

    Attributes:
        rate: What the link delivers, as far as known, bytes/s.
        sent_bytes: All that was handed over.
        arrived_bytes: Of these, those known to have arrived.
    """

    def __init__(self, now: float) -> None:
        self.rate = START_RATE
        self.sent_bytes = self.arrived_bytes = 0
        self._marks: deque[_Mark] = deque()
        self._free_at = now
        self._follows = False
        self._before = _Mark(now, 0, False, False)  # whose mark returned last
        self._returned = now  # when that was
        self._awaited = now  # since when a mark is out
        self._bases: deque[tuple[float, float]] = deque()  # (time, round trip), both growing
        self._begin_epoch(now)
        self._draining = False
        self._gain = FIRST_GAIN
        self._trial_left = 0  # pieces still to be sent; 0: they are under way, or there is no trial
        self._trial = _Delivery()
        self._next_trial = now
        self._trial_period = MIN_TRIAL_PERIOD

    @property
    def base_round_trip(self) -> float:
        """The shortest round trip of the last ten seconds, s; infinite before the first."""
        return self._bases[0][1] if self._bases else math.inf

    def piece(self, left: int) -> int:
        """Return how large the next piece of a message should be, bytes.

        Args:
            left: What is left of it, bytes: pieces of equal size tell a rate best.
        """
        most = min(max(self.rate * PIECE_TIME, MIN_PIECE), MAX_PIECE)
        return math.ceil(left / max(1, math.ceil(left / most)))

    def wait(self, now: float) -> float:
        """Return how long the next piece must wait, s; infinite: until a mark has returned."""
        in_flight = self.sent_bytes - self.arrived_bytes
        if self._draining:
            self._draining = in_flight > self.rate * self.base_round_trip
        if self._draining or in_flight > self._window():
            return math.inf
        return max(0.0, self._free_at - now)

    def idle(self) -> None:
        """Note that there is nothing to send: the next piece will not follow the last closely."""
        self._follows = False

    def sent(self, now: float, size: int) -> None:
        """Note that a piece of `size` bytes, and its mark, were handed over."""
        if not self._marks:
            self._awaited = now
        if now >= self._next_trial:
            self._trial_left = round(TRIAL_QUEUE / PIECE_TIME / (self._gain - 1.0)) + 1
            self._next_trial = math.inf
        trial = self._trial_left > 0
        self._trial_left -= trial
        needs = size / max(self.rate * (self._gain if trial else SHARE), MIN_RATE)
        late = now - self._free_at
        self._marks.append(_Mark(now, size, self._follows and late < LATE * needs, trial))
        self.sent_bytes += size
        # What the timer was late is made up for, up to a piece.
        self._free_at = needs + (now - min(late, PIECE_TIME) if self._follows else now)
        self._follows = True

    def returned(self, now: float) -> None:
        """Note that the oldest mark has returned."""
        mark = self._marks.popleft()
        self.arrived_bytes += mark.size
        self._note_base(now, now - mark.sent)
        queue = now - mark.sent - self.base_round_trip
        if mark.follows:
            delivery = self._trial if mark.trial else self._delivery
            delivery.add(self._before, mark, now - self._returned)
        self._before, self._returned = mark, now
        if mark.sent >= self._epoch:
            self._queues.append(queue)
            last = self._queues[-3:]
            alarm = len(last) == 3 and last[0] > QUEUE_ALARM and sorted(set(last)) == last
            least = max(MIN_EPOCH, EPOCH_ROUND_TRIPS * self.base_round_trip)
            ripe = len(self._queues) >= EPOCH_PIECES and now - self._epoch >= least
            if alarm or ripe:
                self._judge_queue(now, alarm)
        if mark.trial and not self._trial_left and not any(m.trial for m in self._marks):
            self._judge_trial(now)

    def silence(self, now: float) -> float:
        """Return for how long nothing has returned although something is on its way, s."""
        return now - max(self._awaited, self._returned) if self._marks else 0.0

    def _window(self) -> float:
        """Return how much may be on its way, bytes: twice what the link holds.

        Once would do for a link that never hesitates; one that repeats what it lost does.
        """
        base = min(self.base_round_trip, 0.2)
        held = max(self.rate * (2.0 * base + 0.025), 2 * MIN_PIECE)
        return min(held, 4 * MIN_PIECE + self.arrived_bytes, MAX_IN_FLIGHT)

    def _note_base(self, now: float, round_trip: float) -> None:
        while self._bases and self._bases[-1][1] >= round_trip:
            self._bases.pop()
        self._bases.append((now, round_trip))
        while self._bases[0][0] < now - BASE_MEMORY:
            self._bases.popleft()

    def _begin_epoch(self, now: float) -> None:
        """Judge by what is sent from now on."""
        self._epoch = now
        self._queues: list[float] = []
        self._delivery = _Delivery()

    def _judge_queue(self, now: float, alarm: bool) -> None:
        """Let a queue drain, and send less from then on."""
        self._draining = alarm or min(self._queues) > QUEUE_HIGH + MIN_PIECE / self.rate
        if self._draining:
            # Where a queue stands, what arrives is what the link delivers; but a few pieces are
            # never believed that it is next to nothing.
            arriving = self._delivery.rate() if len(self._delivery) > 2 else 0.0
            self.rate = max(min(self.rate, max(arriving, 0.6 * self.rate)), MIN_RATE)
            self._gain = TRIAL_GAIN
            self._next_trial = now + self._trial_period
        self._begin_epoch(now)

    def _judge_trial(self, now: float) -> None:
        """Believe in a higher rate if it was delivered, and try more at once."""
        trial = self._trial
        self._next_trial = now
        if len(trial) < TRIAL_PIECES or (trial.disturbed() and len(trial) < DISTURBED_PIECES):
            return  # that tells nothing yet: more of the same
        if (
            trial.rate(trimmed=self._gain == FIRST_GAIN or not trial.disturbed())
            >= REACHED * trial.sending
        ):
            faster = min(trial.sending, self._gain * self.rate, MAX_RATE)
            self.rate = max(self.rate, faster)
            self._trial_period = MIN_TRIAL_PERIOD
        else:
            self._gain = TRIAL_GAIN
            self._next_trial = now + self._trial_period
            self._trial_period = min(2.0 * self._trial_period, MAX_TRIAL_PERIOD)
        self._trial = _Delivery()
