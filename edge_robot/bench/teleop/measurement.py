"""The dashboard over bad links, with bad clients and with rivals, part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from edge_robot.bench.bad_link import BadLink, bad_link
from edge_robot.bench.chromium import browser_path
from edge_robot.bench.runtimes import Runtime, bench_domain, standalone
from edge_robot.bench.teleop import commands, load, page, takeovers
from edge_robot.bench.teleop.goals import goals
from edge_robot.bench.teleop.link import outage, round_trips
from edge_robot.errors import UserError

PARTS = ("commands", "stalled", "takeovers", "roundtrip", "outage", "page", "processor")
"""In the order in which they are measured."""

_NEED_LINK = ("commands", "roundtrip", "outage")
_LOSSES = {"5_percent_lost": 0.05, "none_lost": 0.0}
_TRIPS = [0.02, 0.08, 0.15, 0.3]  # s
_VIEWERS = [0, 1, 4, 16]

Progress = Callable[[str], None]


def check(parts: Sequence[str]) -> None:
    """Check that there are such parts.

    Raises:
        UserError: there are not.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise UserError(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")


def measure(
    parts: Sequence[str],
    scale: float,
    congestion_control: str,
    seed: int,
    progress: Progress,
    sofar: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Return the figures of parts; `left_out` says what could not be measured here, and why.

    Args:
        parts: Some of `PARTS`.
        scale: Of all lengths and numbers; 1 takes about 14 minutes.
        congestion_control: TCP's, on the bad link.
        seed: Of the packets that are lost.
        progress: Is told how far it is.
        sofar: Is given the figures after each part.

    Raises:
        RuntimeError: a process failed.
    """
    runtime = standalone(bench_domain())
    left_out: dict[str, str] = {}
    figures: dict[str, Any] = {"congestion_control": congestion_control, "left_out": left_out}
    with ExitStack() as stack:
        link: BadLink | None = None
        try:
            link = stack.enter_context(bad_link(runtime, congestion_control, seed))
        except OSError as error:
            left_out |= {part: str(error) for part in parts if part in _NEED_LINK}
        if "page" in parts:
            try:
                browser_path()
            except UserError as error:
                left_out["page"] = str(error)
        for part, why in left_out.items():
            progress(f"{part} is left out: {why}")
        for part in PARTS:
            if part in parts and part not in left_out:
                figures[part] = _measure(part, link, runtime, scale, progress)
                sofar(figures)
    return {**figures, "goals": goals(figures)}


def _measure(
    part: str, link: BadLink | None, runtime: Runtime, scale: float, progress: Progress
) -> Any:
    if part in _NEED_LINK:
        assert link is not None
        if part == "roundtrip":
            return round_trips(link, _TRIPS, 12.0 * scale, progress)
        if part == "outage":
            return outage(link, 60.0 * scale, progress)
        cycles, seconds = max(1, round(3 * scale)), min(10.0, 30.0 * scale)
        return {
            name: commands.measure(link, loss, cycles, seconds, progress)
            for name, loss in _LOSSES.items()
        }
    # Where there is a link, its end has a loopback on which nobody else is.
    here = link.robot if link is not None else runtime
    if part == "takeovers":
        return takeovers.measure(here, round(10_000 * scale), progress)
    if part == "stalled":
        return load.stalled(here, 4, 8.0 * scale, progress)
    if part == "processor":
        return load.processor(here, _VIEWERS, 8.0 * scale, progress)
    return page.picture_age(here, 30.0 * scale, progress)
