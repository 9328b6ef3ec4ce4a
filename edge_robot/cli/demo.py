"""`edge-robot demo`: the closed loop in the embedded world, with a report of the run."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.launch import parse_arguments
from edge_robot.errors import UserError
from edge_robot.listening import free_port

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edge_robot.cli.demo_output import DemoOutput

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def demo(
        arguments: Annotated[
            list[str] | None,
            typer.Argument(metavar="[NAME:=VALUE]...", help="Arguments of demo.launch.xml."),
        ] = None,
        headless: Annotated[
            bool, typer.Option("--headless", help="Do not offer the dashboard; plain output.")
        ] = False,
        model: Annotated[
            str | None,
            typer.Option(
                help="Onboard detector: a name from `edge-robot model list`, or the path of an "
                ".onnx file; by default that of demo.launch.xml."
            ),
        ] = None,
        seed: Annotated[int, typer.Option(min=0, help="Seed of warehouse, people, drive.")] = 1,
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")
        ] = None,
        report: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="Report folder; by default runs/demo-SEED-TIME."),
        ] = None,
        duration: Annotated[float, typer.Option(min=1.0, help="Longest drive, s.")] = 180.0,
        domain: Annotated[
            int | None,
            typer.Option(min=0, max=232, help="DDS domain; by default ROS_DOMAIN_ID, or 0."),
        ] = None,
    ) -> None:
        """Drive through a simulated warehouse, and lose the fleet backend on the way.

        Starts world, robot and backend as separate processes that talk DDS on this machine only,
        cuts the link to the backend for ten seconds, and writes a report. Ends with status 0 if
        the goal was reached without touching anything.
        """
        from rich.console import Console

        from edge_robot.perception.model_card import find_model

        console = Console(force_terminal=False if headless else None)
        folder = report or Path("runs") / f"demo-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        given = {"seed": str(seed), "drive_timeout": str(float(duration))}
        if model is not None:
            # Found here, before anything starts: a node would say it late, among eighteen others.
            given["model"] = str(find_model(model).resolve())
        given |= parse_arguments(arguments or [])
        if json_file is not None:
            _require_writable(json_file)
        sys.exit(run_demo(console, folder, given, json_file, domain, show_url=not headless))


def run_demo(
    console: Console,
    folder: Path,
    arguments: Mapping[str, str],
    json_file: Path | None,
    domain: int | None,
    show_url: bool,
) -> int:
    """Run the demo and write its report.

    Args:
        console: Where progress and summary are shown.
        folder: Gets recording, report and logs.
        arguments: Launch arguments given by the user; what is not among them is chosen here.
        json_file: Gets the figures.
        domain: DDS domain; None for the environment's.
        show_url: Whether to say where the dashboard is.

    Returns:
        The exit status: 0 if the goal was reached without a collision.

    Raises:
        UserError: something the user can mend kept the run from taking place.
    """
    from edge_robot.cli.demo_output import DemoOutput
    from edge_robot.standalone.launch import LaunchService, find_launch_file, load
    from edge_robot.standalone.launch.exclusive import claim_nodes
    from edge_robot.standalone.launch.usage import UsageMeter

    filled = {
        "recording": str((folder / "recording.mcap").resolve()),
        "facts": str((folder / "facts.json").resolve()),
        "spool": str((folder / "spool").resolve()),
        "audit": str((folder / "audit").resolve()),
        "archive": str((folder / "archive").resolve()),
        "fleet_port": str(free_port()),
        "link_port": str(free_port()),
        "dashboard_port": str(free_port()),
        **arguments,
    }
    recording, facts = Path(filled["recording"]), Path(filled["facts"])
    environment = dict(os.environ)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment.setdefault("EDGE_ROBOT_TOKEN", secrets.token_urlsafe(9))
    if domain is not None:
        environment["ROS_DOMAIN_ID"] = str(domain)
    processes = load(find_launch_file("demo"), filled, environment).processes
    with claim_nodes(processes):
        pass  # a second copy is refused before anything is made for it
    logs = folder / "logs"
    _make_folder(folder, logs, recording, facts)

    console.print(f"{len(processes)} processes; logs in {logs}", highlight=False, soft_wrap=True)
    if show_url:
        url = f"http://127.0.0.1:{filled['dashboard_port']}/"
        token = environment["EDGE_ROBOT_TOKEN"]
        console.print(f"dashboard: [bold]{url}[/bold]  access token: {token}", soft_wrap=True)
    meter = UsageMeter()
    with DemoOutput(console, logs, lambda: meter.sample(service.running)) as output:
        service = LaunchService(processes, output, fail_fast=True)
        status = service.run()
    if service.interrupted:
        console.print("interrupted: no report was made")
        return INTERRUPTED
    if status != 0 or not facts.is_file():
        raise UserError(_why_it_ended(console, output, logs))

    usage = {
        name: {"cpu_seconds": usage.cpu, "peak_memory_mb": round(usage.memory / 2**20, 1)}
        for name, usage in meter.usage.items()
    }
    referee = json.loads(facts.read_text())
    known = {"seed": int(filled["seed"]), "referee": referee, "usage": usage}
    _report(console, folder, recording, len(processes), known, json_file)
    if reason := _failure(referee):
        print(f"error: {reason}", file=sys.stderr)
        return 1
    return 0


def _make_folder(folder: Path, logs: Path, *results: Path) -> None:
    """Make the run's folder, without what an earlier run has left there."""
    try:
        logs.mkdir(parents=True, exist_ok=True)
        for stale in (*results, *logs.glob("*.log")):
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the report folder {folder}: {error.strerror}; give another with --report"
        ) from error


def _report(
    console: Console,
    folder: Path,
    recording: Path,
    processes: int,
    known: Mapping[str, Any],
    json_file: Path | None,
) -> None:
    """Compute the figures from the recording; write page and JSON, show the summary."""
    from edge_robot.report.metrics import run_metrics
    from edge_robot.report.page import write_report

    metrics = {**run_metrics(recording, processes=processes), **known}
    page = write_report(recording, folder, metrics)
    for file in (folder / "metrics.json", json_file):
        if file is not None:
            file.write_text(json.dumps(metrics, indent=2) + "\n")
    console.print(_summary(metrics))
    console.print(f"report: {page}", highlight=False, soft_wrap=True)


def _require_writable(file: Path) -> None:
    """Refuse before the run what would fail after it."""
    try:
        with file.open("a"):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write the figures to {file}: {error.strerror}; give another file with --json"
        ) from error


def _why_it_ended(console: Console, output: DemoOutput, logs: Path) -> str:
    """Return in one line why there was no run; show what a process that crashed said last."""
    if output.mistake is not None:
        return output.mistake
    if output.casualty:
        console.print("\n".join(output.casualty), markup=False, highlight=False, style="dim")
        return f"{output.casualty[0]}; its log is in {logs}"
    return f"the run ended before the referee had judged it; the logs are in {logs}"


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
    from rich.table import Table

    link, latency = metrics["link"], metrics["camera_to_cmd_ms"]
    cpu = sum(usage["cpu_seconds"] for usage in metrics["usage"].values())
    memory = sum(usage["peak_memory_mb"] for usage in metrics["usage"].values())
    table = Table(title=f"Run of seed {metrics['seed']}", show_header=False, title_justify="left")
    for name, value in (
        ("goal reached", "yes" if metrics["reached_goal"] else "NO"),
        ("collisions", _figure(metrics["collisions"])),
        ("simulated time", _figure(metrics["sim_seconds"], ".1f", " s")),
        ("real-time factor", _figure(metrics["real_time_factor"], ".2f")),
        ("camera to command, median", _figure(latency["p50"], ".0f", " ms")),
        ("camera to command, 99th percentile", _figure(latency["p99"], ".0f", " ms")),
        ("commands later than their deadline", _figure(metrics["cmd_deadline_misses"])),
        ("link cut", f"{link['cuts']} times"),
        ("fallback after the cut", _figure(link["fallback_ms"], ".0f", " ms")),
        ("answers before the cut", _figure(link["offloaded_before"])),
        ("answers after restoring", _figure(link["offloaded_after"])),
        ("processes", _figure(metrics["processes"])),
        ("processor time of all", f"{cpu:.0f} s"),
        ("peak memory of all, shared pages counted often", f"{memory:.0f} MB"),
    ):
        table.add_row(name, value)
    return table


def _figure(value: float | None, form: str = "", unit: str = "") -> str:
    return "no data" if value is None else f"{value:{form}}{unit}"
