"""What second opinions may cost: bytes, energy, frames; and how choosy that makes the policy."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque


class TokenBucket:
    """A budget that refills steadily: over any time t at most `burst` + `rate` × t is spent.

    Args:
        rate: Refilled a second, in whatever unit; positive.
        burst: Most that is saved up, and what there is at first; positive.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._left = burst
        self._at = -math.inf

    def left(self, now: float) -> float:
        """Return what may be spent now.

        Args:
            now: s, on a clock that never goes back.
        """
        if now > self._at:
            if math.isfinite(self._at):
                self._left = min(self.burst, self._left + (now - self._at) * self.rate)
            self._at = now
        return self._left

    def take(self, amount: float, now: float) -> bool:
        """Spend an amount if it is there; return whether it was."""
        if amount > self.left(now):
            return False
        self._left -= amount
        return True

    def give_back(self, amount: float) -> None:
        """Return what was taken and not spent."""
        self._left = min(self.burst, self._left + amount)


class Selection:
    """Tells whether a value is among the best of late: an online quantile.

    Values of another camera or another place are on another scale; their order is what counts.

    Args:
        window: Recent values compared with.
        warm_up: Values before which every one is among the best.
    """

    def __init__(self, window: int = 100, warm_up: int = 10) -> None:
        self._warm_up = warm_up
        self._recent: deque[float] = deque(maxlen=window)
        self._sorted: list[float] = []

    def choose(self, value: float, share: float) -> bool:
        """Return whether a value is among the best `share` of the recent ones, then remember it.

        Args:
            value: Finite.
            share: 0..1.
        """
        better = len(self._sorted) - bisect_right(self._sorted, value)
        chosen = len(self._sorted) < self._warm_up or better < share * len(self._sorted)
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect_right(self._sorted, self._recent[0]) - 1]
        self._recent.append(value)
        insort(self._sorted, value)
        return chosen
