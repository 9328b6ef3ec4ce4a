"""Makes requests of work, off the engine's thread where that takes long, and knows their sizes."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from edge_robot.fleet.adaptation import Encoding, size_of
from edge_robot.fleet.boundary import Cleared
from edge_robot.fleet.work import Encoded, Task
from edge_robot.priority import yield_to_others

_LESS_THAN_A_SWITCH = 200e-6
"""An encoder that takes less than this would only wait for another thread, s."""
_GAIN = 0.125
"""Weight of the newest in running means."""


class Encoder:
    """One thread of low priority for what takes long."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(
            1, thread_name_prefix="fleet-encode", initializer=yield_to_others
        )
        self._times: dict[str, float] = {}
        self._best_sizes: dict[str, float] = {}

    def close(self) -> None:
        """Wait for what is being encoded, and end the thread."""
        self._worker.shutdown()

    def time(self, task: Task[Any, Any]) -> float:
        """Return how long encoding takes, s; 0 before the first time."""
        return self._times.get(task.name, 0.0)

    def size(self, task: Task[Any, Any], encoding: Encoding) -> int:
        """Return how long a request will be in an encoding, bytes; 1 before the first."""
        return max(1, round(self._best_sizes.get(task.name, 0.0) * _share(task, encoding)))

    def best_size(self, task: Task[Any, Any]) -> int:
        """Return how long a request would be in the best encoding, bytes; 0 before the first."""
        return round(self._best_sizes.get(task.name, 0.0))

    async def encode(
        self, task: Task[Any, Any], cleared: Cleared[Any], encoding: Encoding
    ) -> Encoded[Any]:
        """Return the request, and what reads its answer."""
        if self._times.get(task.name, math.inf) < _LESS_THAN_A_SWITCH:
            encoded, took = _timed(task, cleared, encoding)
        else:
            loop = asyncio.get_running_loop()
            encoded, took = await loop.run_in_executor(
                self._worker, _timed, task, cleared, encoding
            )
        _blend(self._times, task.name, took)
        return encoded

    def made(self, task: Task[Any, Any], encoding: Encoding, size: int) -> None:
        """Learn from how long a request has become, bytes."""
        _blend(self._best_sizes, task.name, size / _share(task, encoding))


def _share(task: Task[Any, Any], encoding: Encoding) -> float:
    return size_of(encoding) if task.adaptive else 1.0


def _timed(
    task: Task[Any, Any], cleared: Cleared[Any], encoding: Encoding
) -> tuple[Encoded[Any], float]:
    begun = time.monotonic()
    return task.encode(cleared, encoding), time.monotonic() - begun


def _blend(means: dict[str, float], name: str, value: float) -> None:
    mean = means.get(name, value)
    means[name] = mean + _GAIN * (value - mean)
