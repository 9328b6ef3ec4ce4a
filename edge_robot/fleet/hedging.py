"""When a request is worth asking twice, and how often that may be. Pure."""

from __future__ import annotations

import math
from collections import deque

WINDOW = 200
WARM_UP = 40


class HedgePolicy:
    """Asks the slowest few a second time ("The Tail at Scale", Dean and Barroso, 2013).

    The delay before a second request is the quantile of response times above which lie just as
    many requests as may be asked twice, so that none is spent on one that would soon be answered.

    Args:
        cap: Largest share of extra requests in any `WINDOW` requests in a row, 0..1.

    Attributes:
        delay: Time after which a request is among the slowest, s; infinite at first.
    """

    def __init__(self, cap: float = 0.05) -> None:
        self._cap = cap
        self._most = int(cap * WINDOW)
        self._sent = 0
        self._extra: deque[int] = deque()
        self._times: deque[float] = deque(maxlen=WINDOW)
        self.delay = math.inf

    def sent(self) -> None:
        """Report that a request was sent."""
        self._sent += 1

    def answered(self, elapsed: float) -> None:
        """Report how long a request took to be answered by whom it was sent to first, s.

        One that was answered by the second first, or never, took too long: infinity.
        """
        self._times.append(elapsed)
        if len(self._times) >= WARM_UP:
            ordered = sorted(self._times)
            self.delay = ordered[math.ceil((1.0 - self._cap) * len(ordered)) - 1]

    def take(self) -> bool:
        """Return whether one more extra request is within the cap, and count it if so."""
        while self._extra and self._extra[0] <= self._sent - WINDOW:
            self._extra.popleft()
        if len(self._extra) >= self._most:
            return False
        self._extra.append(self._sent)
        return True
