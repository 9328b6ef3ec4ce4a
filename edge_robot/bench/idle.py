"""What a node costs that publishes a small message 100 times a second and does nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

from edge_robot.bench.runtimes import Runtime, bench_domain, peer, programs, standalone

RATE = 100.0


def _measure(runtime: Runtime, seconds: float) -> dict[str, float]:
    with programs(runtime) as start:
        return start("ticker", rate=RATE, seconds=seconds).next()


def measure(
    seconds: float = 10.0,
    rounds: int = 3,
    peer_python: str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Return the share of a core used, start-up excluded; the median of the rounds.

    Args:
        seconds: Time measured per round.
        rounds: Turns of each runtime.
        peer_python: Interpreter that can import ROS 2's rclpy.
        progress: Is told what is being measured.

    Raises:
        UserError: the peer that was asked for cannot be used.
        RuntimeError: a program failed.
    """
    domain = bench_domain()
    theirs = peer(domain, peer_python)
    runtimes = [standalone(domain), *([theirs] if theirs else [])]
    samples: dict[str, dict[str, list[float]]] = {
        runtime.name: defaultdict(list) for runtime in runtimes
    }
    for turn in range(rounds):
        for runtime in runtimes:
            progress(f"idle_100hz, round {turn + 1} of {rounds}, {runtime.name}")
            for name, value in _measure(runtime, seconds).items():
                samples[runtime.name][name].append(value)
    figures = {
        runtime: {"idle_100hz": {name: round(median(values), 4) for name, values in kept.items()}}
        for runtime, kept in samples.items()
    }
    result: dict[str, Any] = figures.pop("standalone")
    if theirs:
        share = result["idle_100hz"]["core_share"]
        result["peers"] = figures
        result["ratios_to_rclpy"] = {
            "idle_100hz": round(share / figures["rclpy"]["idle_100hz"]["core_share"], 3)
        }
    return result
