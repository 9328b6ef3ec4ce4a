"""Processes that are killed while others work: what do the others notice?

The graph of `soak` runs beside a second one with the same topics and services, whose processes
are killed (SIGKILL) and replaced at random.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from statistics import mean
from typing import Any

from edge_robot.bench.runtimes import Program, Start, bench_domain, programs, standalone
from edge_robot.bench.soak import start_graph

PERIOD = 1.0
"""Time between two reports of the survivors, and between two kills, s."""

QUIET = 10
"""Reports before the first kill, to compare with, and after the last one."""

_RATES = {
    "source": ("image", "cloud", "twist", "tf"),
    "sink": ("image", "cloud", "twist", "lookups"),
    "caller": ("call", "set"),
}
_FAULTS = {
    "sink": ("failed_lookups",),
    "caller": (
        "call_unanswered",
        "call_refused",
        "call_no_server",
        "set_unanswered",
        "set_refused",
        "set_no_server",
    ),
}


def _victim(start: Start, kind: str, number: int) -> Program:
    name = f"victim_{number}"
    options = {"sink": {"source": "soak_source"}, "caller": {"keeper": "/soak_keeper"}}
    return start(kind, name=name, period=PERIOD, **options.get(kind, {}))


def _rates(reports: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, float]:
    """Return events per second between the first and the last report."""
    span = (len(reports) - 1) * PERIOD
    return {
        name: round((reports[-1].get(name, 0) - reports[0].get(name, 0)) / span, 1)
        for name in names
    }


def _longest(reports: list[dict[str, Any]]) -> dict[str, float]:
    """Return the longest gap or call in any report, s."""
    worst: dict[str, float] = {}
    for report in reports:
        values = {**report.get("gaps_s", {})}
        values.update({name: report[name] for name in report if name.startswith("longest")})
        for name, value in values.items():
            worst[name] = round(max(worst.get(name, 0.0), value), 3)
    return worst


def measure(
    kills: int = 60,
    progress: Callable[[str], None] = lambda text: None,
    quiet: int = QUIET,
    seed: int = 1,
) -> dict[str, Any]:
    """Kill processes, one a second; return the survivors' rates and faults, before and during.

    Args:
        kills: How many.
        progress: Is told of every kill.
        quiet: Reports before the first kill, and after the last.
        seed: Of the choice of victims.

    Raises:
        RuntimeError: a survivor ended.
    """
    choice = random.Random(seed)
    killed: dict[str, int] = {}
    reports: dict[str, list[dict[str, Any]]] = {}
    with programs(standalone(bench_domain())) as start:
        graph = start_graph(start, PERIOD)
        victims = [(kind, _victim(start, kind, number)) for number, kind in enumerate(graph)]

        def collect(seconds: float) -> None:
            until = time.monotonic() + seconds
            for name, program in graph.items():
                reports.setdefault(name, []).append(program.next(60.0))
            time.sleep(max(until - time.monotonic(), 0.0))
            for name, program in graph.items():
                reports[name] += program.waiting()

        for _ in range(quiet):
            collect(PERIOD)
        calm = {name: len(kept) for name, kept in reports.items()}
        for number in range(kills):
            index = choice.randrange(len(victims))
            kind, victim = victims[index]
            progress(f"kill {number + 1} of {kills}: {kind}")
            victim.kill()
            killed[kind] = killed.get(kind, 0) + 1
            victims[index] = kind, _victim(start, kind, len(graph) + number)
            collect(PERIOD)
        # Endpoints of the killed are forgotten when their lease ends: look a while longer.
        for _ in range(quiet):
            collect(PERIOD)
    survivors = {}
    for name, kept in reports.items():
        before, during = kept[: calm[name]], kept[calm[name] - 1 :]
        wanted = _RATES.get(name, ("answered",))
        survivors[name] = {
            "rates_hz_before": _rates(before[len(before) // 2 :], wanted),
            "rates_hz_during": _rates(during, wanted),
            "longest_s_before": _longest(before[len(before) // 2 :]),
            "longest_s_during": _longest(during),
            "faults": {
                fault: during[-1].get(fault, 0) - during[0].get(fault, 0)
                for fault in _FAULTS.get(name, ())
            },
        }
    ratios = [
        during / before
        for figures in survivors.values()
        for before, during in zip(
            figures["rates_hz_before"].values(), figures["rates_hz_during"].values(), strict=True
        )
        if before
    ]
    return {
        "kills": kills,
        "killed": killed,
        "survivors_ended": 0,
        "rate_during_to_before": round(mean(ratios), 3),
        "survivors": survivors,
    }
