"""Commands over a narrow link, by themselves, beside our video, and beside naive video."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import Any

import numpy as np

from edge_robot.bench.bad_link import ROBOT, BadLink
from edge_robot.bench.figures import percentiles
from edge_robot.bench.runtimes import Program
from edge_robot.bench.teleop.delays import Delays, command_delays
from edge_robot.bench.teleop.link import DELAY, QUEUE, RATE, Progress, quality
from edge_robot.bench.teleop.site import CAMERA_RATE, ask, on_link

QUIET, PACED, FLOOD = "no video", "video", "video as fast as TCP takes it"
SETTLE = {QUIET: 2.0, PACED: 10.0, FLOOD: 2.0}
"""After a change of what is watched, s, in which nothing is counted: our video feels its way."""

Window = tuple[str, float, float]
"""What was watched, from when, until when, s."""


class _Link:
    """The link, and what is counted on it for each kind of window."""

    def __init__(self, link: BadLink) -> None:
        self._link = link
        self.waits: dict[tuple[str, str], list[float]] = {}
        self.bytes: dict[str, list[float]] = {kind: [] for kind in SETTLE}

    def count(self, kind: str, seconds: float) -> Window:
        """Count for so long."""
        self._link.report()
        begun = time.monotonic()
        time.sleep(seconds)
        ended = time.monotonic()
        for way, report in self._link.report().items():
            self.waits.setdefault((kind, way), []).extend(report["watched"])
            if way == "to_operator":
                self.bytes[kind].append(report["bytes"] / seconds)
        return kind, begun, ended


def measure(
    link: BadLink, loss: float, cycles: int, seconds: float, progress: Progress
) -> dict[str, Any]:
    """Return the delays of commands without video, beside ours, and beside naive video.

    `queue_…` is what the packets of the control connections waited before the bottleneck, as the
    link itself notes it; the other delays hold the recovery of lost packets, and this machine.

    Args:
        link: The link.
        loss: Chance of a packet to be lost, each way.
        cycles: How often each is had, in turn.
        seconds: How long.
        progress: Is told how far it is.
    """
    link.set(quality(loss), quality(loss))
    counted = _Link(link)
    windows: list[Window] = []
    with on_link(link) as site:
        flood = site.near("teleop_flood", host=ROBOT, rate=CAMERA_RATE)
        port = flood.next()["port"]
        operator, audience = site.people()
        ask(operator, do="drive")
        link.watch(operator)
        site.notes(), ask(operator, do="report")
        for cycle in range(cycles):
            for turn in range(len(SETTLE)):
                kind = list(SETTLE)[(turn + cycle) % len(SETTLE)]
                progress(f"commands, {100 * loss:g} % lost: {kind} ({cycle + 1}/{cycles})")
                _show(audience, kind, port)
                windows.append(counted.count(kind, seconds))
        time.sleep(SETTLE[QUIET])  # what was sent last arrives
        notes, told = site.notes(), ask(operator, do="report")
    delays = command_delays(notes, told["samples"])
    figures = {kind: _summary(kind, counted, windows, delays, notes) for kind in SETTLE}
    for kind in (PACED, FLOOD):
        figures[kind]["more_than_without"] = _more(figures[kind], figures[QUIET])
    return {
        "loss": loss,
        "round_trip_ms": 2e3 * DELAY,
        "kbit_s": RATE * 8e-3,
        "queue_bytes": QUEUE,
        "windows_of_each": cycles,
        "window_s": seconds,
        "had_to_let_go": told["released"],
        **figures,
    }


def _show(audience: Program, kind: str, port: int) -> None:
    """Have the audience watch this, and nothing else."""
    ask(audience, do="watch", viewers=int(kind == PACED))
    ask(audience, do="flood", **{"from": [ROBOT, port] if kind == FLOOD else None})
    time.sleep(SETTLE[kind])


def _summary(
    kind: str,
    counted: _Link,
    windows: list[Window],
    delays: dict[str, Delays],
    notes: dict[str, Any],
) -> dict[str, Any]:
    mine = {name: _split(found, windows, kind) for name, found in delays.items()}
    commands = [bool(speed) for part in _split(notes["commands"], windows, kind) for speed in part]
    return {
        "link_kbit_s": round(float(np.mean(counted.bytes[kind])) * 8e-3),
        "obeyed_percent": round(100.0 * float(np.mean(commands)), 1) if commands else None,
        "queue_to_operator": percentiles(counted.waits[kind, "to_operator"]),
        "queue_to_robot": percentiles(counted.waits[kind, "to_robot"]),
        **{name: percentiles([x for part in parts for x in part]) for name, parts in mine.items()},
        "loop_p99_ms_by_window": [
            round(float(np.quantile(part, 0.99)) * 1e3, 1) for part in mine["loop"] if part
        ],
    }


def _split(found: Delays, windows: list[Window], kind: str) -> list[list[float]]:
    """Return what began in the windows of a kind, window by window."""
    begins = [at for at, _ in found]
    values = [value for _, value in found]
    return [
        values[bisect_right(begins, begun) : bisect_right(begins, ended)]
        for which, begun, ended in windows
        if which == kind
    ]


def _more(figures: dict[str, Any], quiet: dict[str, Any]) -> dict[str, dict[str, float] | None]:
    """Return by how much percentiles are larger than without video, ms."""
    names = [name for name, value in quiet.items() if isinstance(value, dict)]
    return {
        name: {
            part: round(figures[name][part] - quiet[name][part], 1)
            for part in ("p50_ms", "p99_ms", "max_ms")
        }
        if figures[name] and quiet[name]
        else None
        for name in names
    }
