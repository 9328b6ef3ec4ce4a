"""How choosy a policy is: whether a value is among the best of late."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque


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
