"""What the engine costs over a bare call: the same request of 60 kB, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_robot.bench.figures import percentiles
from edge_robot.bench.runtimes import bench_domain, foremost, programs, standalone

WAYS = ("engine", "grpc_aio", "blocking_stub")
BATCH = 20
"""Calls of one kind before it is the next one's turn."""

_WARM_UP = 3
"""Batches of each kind that are not counted."""


def measure(calls: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return p50, p99 and processor time of each kind of call, and the engine's p50 over theirs.

    The three, each in a process of its own, take turns, so that what else the machine does meets
    all alike. Each call is timed from the frame to its detections. Once the model answers at once,
    which leaves nothing but overhead to see, and once it takes as long as on an accelerator.

    Args:
        calls: Of each kind, to the instantaneous model; a quarter of them to the other.
        progress: Is told of the beginning.
    """
    progress(f"overhead: {calls} calls each of {', '.join(WAYS)}")
    return {
        "instantaneous_model": _alternate(0.0, calls),
        "model_of_10_ms": _alternate(0.01, calls // 4),
    }


def _alternate(service: float, calls: int) -> dict[str, Any]:
    durations: dict[str, list[float]] = {way: [] for way in WAYS}
    used = dict.fromkeys(WAYS, 0.0)
    with programs(foremost(standalone(bench_domain()))) as start:
        backend = start("offload_backend", host="127.0.0.1", port=0, service=service)
        endpoint = f"127.0.0.1:{backend.next()['port']}"
        callers = {
            way: start("offload_caller", endpoint=endpoint, way=way, batch=BATCH) for way in WAYS
        }
        for turn in range(_WARM_UP + max(1, calls // BATCH)):
            for way, caller in callers.items():
                caller.go_on()
                batch = caller.next()
                if turn >= _WARM_UP:
                    durations[way] += batch["durations"]
                    used[way] += batch["cpu"]
    figures: dict[str, Any] = {
        way: {**percentiles(times), "cpu_ms_per_call": round(1e3 * used[way] / len(times), 3)}
        for way, times in durations.items()
    }
    for way in WAYS[1:]:
        figures[f"p50_over_{way}"] = round(figures["engine"]["p50_ms"] / figures[way]["p50_ms"], 3)
    return figures
