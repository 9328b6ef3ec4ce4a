"""Computes on board what the fleet does not in time."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edge_robot.fleet.estimation import quantile
from edge_robot.fleet.work import Out
from edge_robot.priority import keep_ordinary_priority

WINDOW = 100
GUARD = 0.01
"""Added to what it takes: the next may meet a busier machine, s."""


class Onboard:
    """One thread for local computations; knows how long before a deadline one must begin."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, "fleet-onboard", initializer=keep_ordinary_priority)
        self._took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))

    def lead(self, name: str) -> float:
        """Return how long before the deadline to begin work of a name, s; infinite at first.

        The 99th percentile, from when it was to begin until it was there: the 95th would let one in
        twenty be late.
        """
        took = self._took[name]
        return quantile(sorted(took), 0.99) + GUARD if took else math.inf

    async def compute(self, name: str, local: Callable[[], Out], planned: float) -> Out:
        """Call a function in the worker thread; its errors are the caller's.

        Args:
            name: Of the work.
            local: The function.
            planned: When it was to begin, s of `time.monotonic`.
        """
        value = await asyncio.get_running_loop().run_in_executor(self._worker, local)
        self._took[name].append(time.monotonic() - planned)
        return value

    def close(self) -> None:
        """Wait for what is being computed, drop what is not."""
        self._worker.shutdown(cancel_futures=True)
