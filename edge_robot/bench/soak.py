"""A graph at full rate for a long time: does it stay as it was?

Four processes: sensors (image, cloud, velocity, transforms), their listener with a transform
buffer, a server with parameters, and a client that calls it and sets its parameter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from edge_robot.bench.processes import Usage, interruptible, usage
from edge_robot.bench.runtimes import Program, Start, bench_domain, programs, standalone

PERIOD = 10.0
"""Time between two samples, s."""

WARM_UP = 0.1
"""Share of the samples left out at the start, at least `MIN_WARM_UP`."""

MIN_WARM_UP = 6

FLAT_KB = 128
"""Growth of the resident memory within the last third of the time that passes for none, kB.

Only there: each receiving thread of Cyclone has two buffers of 1 MB that it fills in turn, from end
to end, and where little comes in, their pages are touched for the first time in the course of more
than half an hour.
"""


def start_graph(start: Start, period: float = PERIOD) -> dict[str, Program]:
    """Start the four processes, which print what they counted every `period` s."""
    return {
        "source": start("source", name="soak_source", period=period),
        "sink": start("sink", name="soak_sink", source="soak_source", period=period),
        "keeper": start("keeper", name="soak_keeper", period=period),
        "caller": start("caller", name="soak_caller", keeper="/soak_keeper", period=period),
    }


def trend(times: list[float], series: list[Usage]) -> dict[str, Any]:
    """Return whether a process came to stay as it was; times in s."""
    skip = max(MIN_WARM_UP, int(len(series) * WARM_UP))
    settled, at = series[skip:], times[skip:]
    result: dict[str, Any] = {"first": asdict(series[0]), "last": asdict(series[-1])}
    if len(settled) < 4:
        return {**result, "flat": None}
    memory = [sample.rss_kb for sample in settled]
    third = memory[-max(len(memory) // 3, 2) :]
    late = median(third[len(third) // 2 :]) - median(third[: len(third) // 2])
    steady = all(
        len({getattr(sample, what) for sample in (settled[0], settled[-1])}) == 1
        for what in ("threads", "descriptors")
    )
    return {
        **result,
        "settled": asdict(settled[0]),
        "rss_growth_kb": memory[-1] - memory[0],
        "rss_growth_in_last_third_kb": round(late),
        "rss_slope_kb_per_hour": round(float(np.polyfit(at, memory, 1)[0]) * 3600),
        "flat": late <= FLAT_KB and steady,
    }


def measure(
    minutes: float,
    progress: Callable[[str], None] = lambda text: None,
    so_far: Callable[[dict[str, Any]], None] = lambda figures: None,
) -> dict[str, Any]:
    """Run the graph and return how its processes fared; SIGINT and SIGTERM end it early.

    Args:
        minutes: How long.
        progress: Is told of every sample.
        so_far: Is given the figures so far after every sample.

    Raises:
        RuntimeError: a process ended.
    """
    times: list[float] = []
    series: dict[str, list[Usage]] = {}
    counts: dict[str, list[dict[str, Any]]] = {}

    def figures(ended: str) -> dict[str, Any]:
        trends = {name: trend(times, kept) for name, kept in series.items()}
        verdicts = [trend["flat"] for trend in trends.values()]
        return {
            "minutes": round((times[-1] if times else 0.0) / 60, 2),
            "ended": ended,
            "flat": None if None in verdicts else all(verdicts),
            "processes": trends,
            "totals": {name: kept[-1] for name, kept in counts.items() if kept},
            "samples": {
                "at_s": [round(at, 1) for at in times],
                "rss_kb": {name: [one.rss_kb for one in kept] for name, kept in series.items()},
                "per_minute": {name: _per_minute(kept) for name, kept in counts.items()},
            },
        }

    begin = time.monotonic()
    ended = "in time"
    with interruptible(), programs(standalone(bench_domain())) as start:
        graph = start_graph(start)
        try:
            while time.monotonic() - begin < minutes * 60:
                for name, program in graph.items():
                    counts.setdefault(name, []).append(program.next(PERIOD * 6))
                times.append(time.monotonic() - begin)
                for name, program in graph.items():
                    series.setdefault(name, []).append(usage(program.process.pid))
                progress(_line(times[-1], series, counts))
                so_far(figures("still running"))
        except KeyboardInterrupt:
            ended = "interrupted"
        except (RuntimeError, ProcessLookupError) as error:
            ended = f"a process failed: {error}"
    return figures(ended)


def _per_minute(counts: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the growth of each counter per minute, one value a minute."""
    marks = counts[:: max(round(60 / PERIOD), 1)]
    names = [name for name, value in counts[-1].items() if isinstance(value, int)] if counts else []
    return {
        name: [after.get(name, 0) - before.get(name, 0) for before, after in pairwise(marks)]
        for name in names
    }


def _line(
    at: float, series: dict[str, list[Usage]], counts: dict[str, list[dict[str, Any]]]
) -> str:
    held = "  ".join(
        f"{name} {kept[-1].rss_kb} kB, {kept[-1].threads} threads, {kept[-1].descriptors} fds"
        for name, kept in series.items()
    )
    heard = counts["sink"][-1]
    return (
        f"{at / 60:6.1f} min  {held}  images {heard.get('image', 0)}, clouds "
        f"{heard.get('cloud', 0)}, calls {counts['caller'][-1].get('call', 0)}, "
        f"parameters set {counts['caller'][-1].get('set', 0)}"
    )
