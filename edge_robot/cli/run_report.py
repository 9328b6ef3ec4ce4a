"""What is told of a finished run: its page, its figures, and whether the drive was a success."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge_robot.errors import UserError
from edge_robot.report.metrics import run_metrics
from edge_robot.report.page import write_report

RECORDING = "recording.mcap"
FACTS = "facts.json"
"""In a run's folder: what the recorder wrote, and what `mission` says of the drive."""


def report_run(
    console: Console,
    folder: Path,
    json_file: Path | None,
    usage: Mapping[str, Mapping[str, float]],
) -> int:
    """Compute the figures of a run from its folder; write page and JSON, show the summary.

    Args:
        console: Where the summary is shown.
        folder: With recording and facts; gets page and figures.
        json_file: Gets the figures, too.
        usage: Processor time, s, and peak memory, MB, of each process; empty where nobody
            measured it.

    Returns:
        The exit status: 0 if the goal was reached without a collision.

    Raises:
        UserError: The recording or the facts are missing or damaged.
    """
    known = {**_facts(folder / FACTS), "usage": usage}
    metrics = {**run_metrics(folder / RECORDING, processes=len(usage) or None), **known}
    page = write_report(folder / RECORDING, folder, metrics)
    for file in (folder / "metrics.json", json_file):
        if file is not None:
            file.write_text(json.dumps(metrics, indent=2) + "\n")
    console.print(_summary(metrics))
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if reason := _failure(metrics["referee"]):
        print(f"error: {reason}", file=sys.stderr)
        return 1
    return 0


def _facts(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text())
        return {
            "seed": int(facts["seed"]),
            "pace": float(facts["pace"]),
            "referee": facts["referee"],
        }
    except OSError as error:
        raise UserError(
            f"cannot read what the referee said, {file}: {error.strerror}; the run did not come to "
            "its end, or give the recording itself"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is not what the node mission of this version writes: {error!r}"
        ) from error


def require_writable(file: Path) -> None:
    """Refuse at once what would fail when all is done."""
    try:
        with file.open("a"):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write the figures to {file}: {error.strerror}; give another file with --json"
        ) from error


def _failure(facts: Mapping[str, Any]) -> str | None:
    """Return in one line what went wrong with the drive; None if nothing did."""
    if facts["collisions"]:
        touched = ", ".join(facts["collided_with"])
        return f"the robot collided {facts['collisions']} times: with {touched}"
    if not facts["reached_goal"]:
        left, mode = facts["distance_to_goal"], facts["last_mode"]
        return f"the goal was not reached: {left:.1f} m were left, the last mode was {mode}"
    return None


def _summary(metrics: Mapping[str, Any]) -> Table:
    """Return the figures of a run for people."""
    link, latency = metrics["link"], metrics["camera_to_cmd_ms"]
    usage = metrics["usage"].values()
    cpu = sum(item["cpu_seconds"] for item in usage) if usage else None
    memory = sum(item["peak_memory_mb"] for item in usage) if usage else None
    factor = _figure(metrics["real_time_factor"], ".2f")
    table = Table(title=f"Run of seed {metrics['seed']}", show_header=False, title_justify="left")
    for name, value in (
        ("goal reached", "yes" if metrics["reached_goal"] else "NO"),
        ("collisions", _figure(metrics["collisions"])),
        ("simulated time", _figure(metrics["sim_seconds"], ".1f", " s")),
        ("real-time factor", f"{factor} of {metrics['pace']:g} asked for"),
        ("camera to command, median", _figure(latency["p50"], ".0f", " ms")),
        ("camera to command, 99th percentile", _figure(latency["p99"], ".0f", " ms")),
        ("commands later than their deadline", _figure(metrics["cmd_deadline_misses"])),
        ("link cut", f"{link['cuts']} times"),
        ("fallback after the cut", _figure(link["fallback_ms"], ".0f", " ms")),
        ("answers before the cut", _figure(link["offloaded_before"])),
        ("answers after restoring", _figure(link["offloaded_after"])),
        ("processes", _figure(metrics["processes"])),
        ("processor time of all", _figure(cpu, ".0f", " s")),
        ("peak memory of all, shared pages counted often", _figure(memory, ".0f", " MB")),
    ):
        table.add_row(name, value)
    return table


def _figure(value: float | None, form: str = "", unit: str = "") -> str:
    return "no data" if value is None else f"{value:{form}}{unit}"
