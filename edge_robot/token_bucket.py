"""What may be spent a second of anything: bytes, energy, requests; and how much of it at once."""

from __future__ import annotations

import math


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
