"""When a request is worth asking a second time, and how often that may be. Pure.

"The Tail at Scale" (Dean and Barroso, 2013): a second request is sent when the first has waited
longer than almost all take. The delay is the quantile of response times above which lie just as
many requests as may be asked twice; so none is spent on one that would soon be answered, and those
that a lost packet holds up (by TCP's retransmission time-out, 200 ms and more) are among them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

WINDOW = 200
"""Requests over which the cap holds."""
MEMORY = 1000
"""Response times the delay is drawn from: of fewer, the slowest twentieth is a matter of luck."""
WARM_UP = 40
"""Response times before which nobody knows what is slow."""


class HedgePolicy:
    """Says after how long to ask a second time, and whether that is within the cap.

    Args:
        cap: Largest share of second requests, 0..1: of all requests so far, and of any `WINDOW`
            in a row.

    Attributes:
        delay: Time after which a request is among the slowest, s; infinite at first. Where more
            were never answered than may be asked twice, the longest that any answer took.
    """

    def __init__(self, cap: float) -> None:
        self.delay = math.inf
        self._cap = cap
        self._sent = 0
        self._seconds: deque[int] = deque()  # requests sent before each second one, of late
        self._times: deque[float] = deque()
        self._ordered: list[float] = []

    def sent(self) -> None:
        """Report that a request was sent (a first one)."""
        self._sent += 1
        while self._seconds and self._seconds[0] <= self._sent - WINDOW:
            self._seconds.popleft()

    def take(self) -> bool:
        """Return whether one more second request is within the cap, and count it if so."""
        if len(self._seconds) + 1 > self._cap * min(self._sent, WINDOW):
            return False
        self._seconds.append(self._sent)
        return True

    def answered(self, elapsed: float) -> None:
        """Report the response time of whom was asked first.

        Args:
            elapsed: s; infinite where the second was faster, or nobody answered: too long, by how
                much nobody knows.
        """
        if len(self._times) == MEMORY:
            del self._ordered[bisect_left(self._ordered, self._times.popleft())]
        self._times.append(elapsed)
        insort(self._ordered, elapsed)
        if len(self._ordered) >= WARM_UP:
            rank = math.ceil((1.0 - self._cap) * len(self._ordered))
            answered = bisect_left(self._ordered, math.inf)
            self.delay = self._ordered[max(0, min(rank, answered) - 1)]
