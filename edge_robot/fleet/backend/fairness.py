"""What a robot may ask of a backend that it shares with others: a quota, and a fair share.

The quota bounds what one robot may ask at all. The share says who is next when all together ask
for more than there is. It is counted in seconds of computing, so that a plan of 200 ms weighs as
much as twenty images of 10 ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge_robot.token_bucket import TokenBucket

_MANY = 1024
"""Robots remembered before those that are no different from unknown ones are forgotten: names come
from outside, and may be without end."""


@dataclass(frozen=True)
class Quota:
    """What a robot may ask for.

    Attributes:
        requests: On average, 1/s.
        bytes: Of inputs, on average, B/s.
        burst: How much of both may be saved up, s of the average.
        places: Requests that may wait at a time.
    """

    requests: float = math.inf
    bytes: float = math.inf
    burst: float = 2.0
    places: int = 16


class Quotas:
    """Keeps robots to their quotas.

    Args:
        default: Of every robot that is not named.
        named: Of some robots.
    """

    def __init__(self, default: Quota, named: Mapping[str, Quota]) -> None:
        self._default = default
        self._named = named
        self._buckets: dict[str, tuple[TokenBucket, TokenBucket]] = {}

    def of(self, robot: str) -> Quota:
        """Return a robot's quota."""
        return self._named.get(robot, self._default)

    def refusal(self, robot: str, size: int, waiting: int, now: float) -> str:
        """Return why a request is refused; empty, and it is counted, where it is not.

        Args:
            robot: Who asks.
            size: Of the inputs, B.
            waiting: Requests of that robot which wait already.
            now: s, on a clock that never goes back.
        """
        quota = self.of(robot)
        who = f"robot {robot!r}"
        if waiting >= quota.places:
            return f"{who} has {waiting} requests waiting, its quota"
        if math.isinf(quota.requests) and math.isinf(quota.bytes):
            return ""
        requests, bytes_ = self._buckets_of(robot, quota, now)
        if requests.left(now) < 1.0:
            return f"{who} asks more often than its quota, {quota.requests:g} a second"
        if bytes_.left(now) < size:
            return f"{who} sends more than its quota, {quota.bytes:g} bytes a second"
        requests.take(1.0, now)
        bytes_.take(size, now)
        return ""

    def _buckets_of(self, robot: str, quota: Quota, now: float) -> tuple[TokenBucket, TokenBucket]:
        if robot not in self._buckets:
            if len(self._buckets) >= _MANY:
                self._buckets = {
                    name: both
                    for name, both in self._buckets.items()
                    if any(bucket.left(now) < bucket.burst for bucket in both)
                }
            self._buckets[robot] = (
                TokenBucket(quota.requests, max(1.0, quota.requests * quota.burst)),
                TokenBucket(quota.bytes, quota.bytes * quota.burst),
            )
        return self._buckets[robot]


class FairShares:
    """Who has had more than the others, of what is shared.

    Virtual time, as in start-time fair queueing (Goyal, Vin and Cheng 1996): each robot's clock
    runs by what it is served, and a robot that comes back is set to the slowest clock of those
    that wait, so that nobody saves up. A robot may be served while its clock is ahead of the
    slowest one by no more than `lead`. Within that, deadlines decide: with little to do everybody
    is within, and the order is the earliest deadline's; with too much, two robots that always wait
    are never apart by more than `lead` and one request each.

    Args:
        lead: s of computing.
    """

    def __init__(self, lead: float) -> None:
        self._lead = lead
        self._clocks: dict[str, float] = {}
        self._slowest = 0.0

    def arrive(self, robot: str) -> None:
        """Take note that a robot waits, which did not."""
        if len(self._clocks) >= _MANY:  # who is not ahead is as one who was never here
            self._clocks = {k: v for k, v in self._clocks.items() if v > self._slowest}
        self._clocks[robot] = max(self._clocks.get(robot, 0.0), self._slowest)

    def charge(self, robot: str, seconds: float) -> None:
        """Count what a robot is served, s of computing; less than nothing: a correction."""
        self._clocks[robot] = self._clocks.get(robot, self._slowest) + seconds

    def within(self, waiting: Iterable[str]) -> set[str]:
        """Return those of the robots that wait who may be served now: at least one of them."""
        clocks = {robot: self._clocks.get(robot, self._slowest) for robot in waiting}
        # The slowest clock only goes on: a robot that was forgotten cannot set others back.
        self._slowest = max(self._slowest, min(clocks.values(), default=0.0))
        return {robot for robot, clock in clocks.items() if clock <= self._slowest + self._lead}


def jain_index(amounts: Iterable[float]) -> float:
    """Return how evenly something is shared: 1 where all have the same, 1/n where one has all.

    Jain, Chiu and Hawe 1984: (Σx)² / (n Σx²).
    """
    values = list(amounts)
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0
