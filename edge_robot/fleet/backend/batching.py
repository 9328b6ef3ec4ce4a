"""How many requests are worth computing together: measured, since it depends on model and machine.

A batch pays where a run has a cost of its own, as where weights must come from memory or a graph
has many small steps; it does not where the arithmetic of one request already fills a core, as with
our detectors. So nothing is assumed: sizes are tried, and one is used that costs less per request.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

_SAMPLES = 9
_ENOUGH = 5
_GAIN = 0.9
"""A larger batch must cost less per request than this share of a smaller one's cost: answers of a
batch are late by the work for the others."""
_MEMORY = 60.0  # s; a size that seemed not to pay is tried again after this time
_FRESH = 2.0  # s; older times say nothing against a request's chance: the machine was busy then


class BatchCosts:
    """What batches of a model cost, by their size: a power of two, or the largest.

    Pure: who uses it brings the clock.

    Args:
        largest: Batch that the model takes.
    """

    def __init__(self, largest: int) -> None:
        self.sizes = sorted({1 << power for power in range(largest.bit_length())} | {largest})
        self._times: dict[int, deque[float]] = {size: deque(maxlen=_SAMPLES) for size in self.sizes}
        self._tried = dict.fromkeys(self.sizes, -math.inf)
        self._latest: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)

    def add(self, size: int, seconds: float, now: float) -> None:
        """Remember that a batch of that size took that long.

        Args:
            size: Of which only `sizes` are compared; others are left by requests that fell away.
            seconds: It took, s.
            now: s.
        """
        self._latest.append((now, seconds))
        if size in self._times:
            self._times[size].append(seconds)
            self._tried[size] = now

    def expected(self, size: int) -> float:
        """Return the time a batch probably takes, s: the median; in proportion if never tried."""
        if self._times[size]:
            return median(self._times[size])
        smaller = [other for other in self.sizes if other < size and self._times[other]]
        return median(self._times[smaller[-1]]) * size / smaller[-1] if smaller else 0.0

    def at_worst(self, size: int) -> float:
        """Return the time a batch takes but for one in nine, s; as `expected` if hardly tried."""
        times = self._times[size]
        return sorted(times)[-2] if len(times) >= _ENOUGH else self.expected(size)

    def quickest(self, now: float) -> float:
        """Return the shortest time in which anything was computed just now, s; 0 where nothing was.

        Args:
            now: s.
        """
        return min((took for at, took in self._latest if now - at < _FRESH), default=0.0)

    def best(self, available: int, now: float) -> int:
        """Return the size to compute next.

        Args:
            available: Requests there are, at least 1.
            now: s.
        """
        best = 1
        for size in self.sizes[1:]:
            if size > available:
                break
            if self._untried(size, now):
                return size  # each size is tried while the one below it pays, or in its turn
            if self.expected(size) / size < _GAIN * self.expected(best) / best:
                best = size
        return best

    def wanted(self) -> int:
        """Return the size that is known to cost least per request: worth some waiting for."""
        best = 1
        for size in self.sizes[1:]:
            if len(self._times[size]) < _ENOUGH:
                break
            if self.expected(size) / size < _GAIN * self.expected(best) / best:
                best = size
        return best

    def _untried(self, size: int, now: float) -> bool:
        few = len(self._times[size]) < _ENOUGH
        return few or now - self._tried[size] > _MEMORY
