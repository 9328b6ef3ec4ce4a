"""Whether an answer will come in time: running estimates of one connection, on its own evidence.

Pure: it reads no clock. `edge_robot.fleet.link` feeds `RoundTrips` with heartbeats; whoever sends
requests feeds a `LinkEstimate` for each kind of them and asks it for `chance_in_time`.

The time from sending a request to its answer is taken as

    round trip + service + size · seconds per byte + innovation

The first three are **levels**: running medians with a short memory, so they follow a step within a
second or two. Whatever they do not explain (jitter, retransmission, a queue, their own errors) is
the innovation: the time the request took minus what the levels said *before* it. Innovations are
kept as they are, with a long memory, and the chance to be in time is the share of them that would
have been. Under exchangeability that share is calibrated whatever their distribution (this is
conformal prediction: Vovk, Gammerman, Shafer 2005), and no independence of the parts is assumed, as
a convolution of their distributions would have to: on a congested link they rise together.

A request that was given up is no measurement but a bound: it took longer than it was waited for.
The share is therefore the product-limit estimate (Kaplan, Meier 1958) of right-censored data.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL_MEMORY = 16
"""Requests a level rests on, at most."""
LEVEL_HALF_LIFE = 1.5
"""Age at which a request counts half for a level, s."""
SHAPE_MEMORY = 128
"""Innovations kept."""
SHAPE_HALF_LIFE = 15.0
"""Age at which an innovation counts half beside the newest, s."""
DOUBT_HALF_LIFE = 1.0
"""Time without any request in which the trust in all of them halves, s."""
GIVEN_UP_FACTOR = 1.25
"""What a request that was given up is taken to have needed for a level, times what it was waited
for. More than that, so that a time in which nothing is answered sets a level, from which the next
answer departs, and does not pass for a way in which answers come late."""
SETTLING_PAUSE = 0.05
"""Where requests are many, levels and shape are computed no more often, s."""
ALMOST_SURE = 0.98
"""Share of the requests whose answer is waited for before it is given little hope, 0..1."""
HEARTBEAT_MEMORY = 1.0
"""How far back heartbeats count, s."""


@dataclass(slots=True)
class _Request:
    """One request: answered after `elapsed`, or given up then."""

    at: float
    size: int
    elapsed: float
    service: float
    round_trip: float
    innovation: float
    answered: bool


class RoundTrips:
    """The round trips of a connection's last heartbeats, whatever is sent over it besides."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []

    @property
    def values(self) -> list[float]:
        """The last round trips, s, shortest first."""
        return self._sorted

    @property
    def median(self) -> float:
        """Their median, s; 0 before the first."""
        return self._sorted[len(self._sorted) // 2] if self._sorted else 0.0

    def quantile(self, probability: float) -> float:
        """Return a quantile of the last round trips, s; NaN before the first."""
        return quantile(self._sorted, probability) if self._sorted else math.nan

    def add(self, round_trip: float, now: float) -> None:
        """Take an answered heartbeat into account; both in s."""
        self._recent.append((now, round_trip))
        insort(self._sorted, round_trip)
        while self._recent[0][0] < now - HEARTBEAT_MEMORY:
            _, forgotten = self._recent.popleft()
            del self._sorted[bisect_left(self._sorted, forgotten)]

    def share_within(self, budget: float) -> float:
        """Return the share that took at most `budget` s; 1 before the first."""
        return bisect_right(self._sorted, budget) / len(self._sorted) if self._sorted else 1.0


class LinkEstimate:
    """What requests of one kind over one connection say about the next.

    Before the first request, and ever more as the last one lies back, it believes what the
    heartbeats say: that is the best the link can do. So a link that was too slow is tried again
    without anybody having to remember to.

    Args:
        round_trips: Of the connection's heartbeats.
    """

    def __init__(self, round_trips: RoundTrips) -> None:
        self._round_trips = round_trips
        self._recent: deque[_Request] = deque(maxlen=LEVEL_MEMORY)
        self._kept: deque[_Request] = deque(maxlen=SHAPE_MEMORY)
        self._seconds_per_byte = 0.0
        self._service = 0.0
        # Product-limit curve: share of innovations up to each of these.
        self._innovations: list[float] = []
        self._shares: list[float] = []
        self._weight = 0.0
        self._next_settling = -math.inf

    @property
    def service(self) -> float:
        """Typical time between arrival of a request and its answer at the backend, s."""
        return self._service

    @property
    def bandwidth(self) -> float:
        """Bytes of a request carried per second; NaN while transfers are too fast to be seen."""
        return 1.0 / self._seconds_per_byte if self._seconds_per_byte > 0.0 else math.nan

    def add_answer(self, size: int, elapsed: float, service: float, now: float) -> None:
        """Take an answered request into account.

        Args:
            size: Bytes sent, positive.
            elapsed: From sending to the answer, s.
            service: What the backend says it needed of that, s; 0 where it does not say.
            now: The present time, s.
        """
        self._add(size, elapsed, min(max(service, 0.0), elapsed), now, answered=True)

    def add_unanswered(self, size: int, waited: float, now: float) -> None:
        """Take into account that a request was given up, or cancelled, after `waited` s."""
        self._add(size, waited, min(self._service, waited), now, answered=False)

    def chance_in_time(self, size: int, budget: float, now: float) -> float:
        """Return the chance that a request sent now is answered within a time.

        Args:
            size: Bytes to be sent, positive.
            budget: Time from sending to the answer, s.
            now: The present time, s.
        """
        self._settle(now)
        index = bisect_right(self._innovations, budget - self._level(size))
        by_requests = self._shares[index - 1] if index else 0.0
        trust = self._trust(now)
        return (trust * by_requests + self._round_trips.share_within(budget)) / (trust + 1.0)

    def quantile(self, probability: float, size: int, now: float) -> float:
        """Return the time within which a request is answered with a probability, s.

        Infinite where not as many are answered at all.
        """
        self._settle(now)
        level = self._level(size)
        times = sorted([*self._round_trips.values, *(level + value for value in self._innovations)])
        index = bisect_left(
            times, probability, key=lambda time: self.chance_in_time(size, time + 1e-9, now)
        )
        return times[index] if index < len(times) else math.inf

    def expected(self, size: int, now: float) -> float:
        """Return the median time until a request sent now is answered, s; infinite if never."""
        return self.quantile(0.5, size, now)

    def almost_surely_within(self, size: int, now: float) -> float:
        """Return the time after which an answer that has not come hardly will, s.

        `ALMOST_SURE` of the requests were answered within it: by themselves, for heartbeats say
        nothing of how long a computation takes. Infinite where not as many are answered at all, and
        before there were enough requests to tell: fifty recent ones, so never for a task that is
        asked about less than some three times a second.

        Args:
            size: Bytes to be sent, positive.
            now: The present time, s.
        """
        self._settle(now)
        index = bisect_left(self._shares, ALMOST_SURE)
        if index == len(self._shares) or self._weight * (1.0 - ALMOST_SURE) < 1.0:
            return math.inf
        return self._level(size) + self._innovations[index]

    def _level(self, size: int) -> float:
        return self._round_trips.median + self._service + size * self._seconds_per_byte

    def _trust(self, now: float) -> float:
        """How many requests the innovations are worth, against the one of the heartbeats."""
        if not self._kept:
            return 0.0
        return self._weight * 0.5 ** (max(0.0, now - self._kept[-1].at) / DOUBT_HALF_LIFE)

    def _add(self, size: int, elapsed: float, service: float, now: float, answered: bool) -> None:
        self._settle(now)
        request = _Request(
            now,
            size,
            elapsed,
            service,
            self._round_trips.median,
            elapsed - self._level(size),
            answered,
        )
        self._recent.append(request)
        self._kept.append(request)
        if len(self._kept) <= LEVEL_MEMORY:
            self._next_settling = -math.inf

    def _settle(self, now: float) -> None:
        """Take into account what came since the last time."""
        if self._kept and now >= self._next_settling:
            self._next_settling = now + SETTLING_PAUSE
            self._settle_levels(now)
            self._settle_shape(now)

    def _settle_levels(self, now: float) -> None:
        ages = [0.5 ** ((now - request.at) / LEVEL_HALF_LIFE) for request in self._recent]
        answered = [
            (request.service, weight)
            for request, weight in zip(self._recent, ages, strict=True)
            if request.answered
        ]
        if answered:
            self._service = _weighted_median(answered)
        # The slope of transfer time over size by least absolute deviations through the origin is
        # the median of the ratios weighted by size. One given up says only "at least so much".
        ratios = []
        for request, weight in zip(self._recent, ages, strict=True):
            needed = request.elapsed * (1.0 if request.answered else GIVEN_UP_FACTOR)
            ratio = (needed - request.service - request.round_trip) / request.size
            if request.answered or ratio > self._seconds_per_byte:
                ratios.append((ratio, weight * request.size))
        if ratios:
            self._seconds_per_byte = max(0.0, _weighted_median(ratios))

    def _settle_shape(self, now: float) -> None:
        # At ties answers come before bounds: what was given up then had not come by then.
        kept = sorted((item.innovation, not item.answered, item.at) for item in self._kept)
        innovations, given_up, at = (list(column) for column in zip(*kept, strict=True))
        weights = np.exp2((np.array(at) - now) / SHAPE_HALF_LIFE)
        at_risk = np.cumsum(weights[::-1])[::-1]
        shares = 1.0 - np.cumprod(np.where(given_up, 1.0, 1.0 - weights / at_risk))
        self._innovations = innovations
        self._shares = shares.tolist()
        self._weight = float(at_risk[0])


def quantile(ordered: Sequence[float], probability: float) -> float:
    """Return a quantile of some values, the least first, as NumPy does for many more.

    For so few NumPy takes a hundred times as long.
    """
    place = probability * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _weighted_median(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the lower median of (value, weight) pairs."""
    ordered = sorted(pairs)  # so few of them that NumPy would take longer
    half, passed = sum(weight for _, weight in pairs) / 2.0, 0.0
    return next(value for value, weight in ordered if (passed := passed + weight) >= half)
