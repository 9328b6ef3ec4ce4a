"""`edge-robot demo`: the closed loop in the embedded world, with a report of the run."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_robot.cli.launch import parse_arguments
from edge_robot.errors import UserError
from edge_robot.listening import free_port

if TYPE_CHECKING:
    from rich.console import Console

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

        from edge_robot.cli.run_report import require_writable
        from edge_robot.perception.model_card import find_model

        console = Console(force_terminal=False if headless else None)
        folder = report or Path("runs") / f"demo-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        given = {"seed": str(seed), "drive_timeout": str(float(duration))}
        if model is not None:
            # Found here, before anything starts: a node would say it late, among eighteen others.
            given["model"] = str(find_model(model).resolve())
        given |= parse_arguments(arguments or [])
        if json_file is not None:
            require_writable(json_file)
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
    from edge_robot.cli.run_report import FACTS, report_run
    from edge_robot.nodes.urgency import permits_real_time
    from edge_robot.standalone.launch import LaunchService, find_launch_file, load
    from edge_robot.standalone.launch.exclusive import claim_nodes
    from edge_robot.standalone.launch.usage import UsageMeter

    filled = {
        "folder": str(folder.resolve()),
        "fleet_port": str(free_port()),
        "link_port": str(free_port()),
        "dashboard_port": str(free_port()),
        **arguments,
    }
    folder = Path(filled["folder"])
    environment = dict(os.environ)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment.setdefault("EDGE_ROBOT_TOKEN", secrets.token_urlsafe(9))
    if domain is not None:
        environment["ROS_DOMAIN_ID"] = str(domain)
    processes = load(find_launch_file("demo"), filled, environment).processes
    with claim_nodes(processes):
        pass  # a second copy is refused before anything is made for it
    logs = folder / "logs"
    _make_folder(folder, logs)

    console.print(f"{len(processes)} processes; logs in {logs}", highlight=False, soft_wrap=True)
    if show_url:
        url = f"http://127.0.0.1:{filled['dashboard_port']}/"
        token = environment["EDGE_ROBOT_TOKEN"]
        console.print(f"dashboard: [bold]{url}[/bold]  access token: {token}", soft_wrap=True)
    if not permits_real_time():
        hint = "no real-time priority here, so a busy machine will be late (docs/architecture.md)"
        console.print(hint, style="dim", highlight=False, soft_wrap=True)
    meter = UsageMeter()
    with DemoOutput(console, logs, lambda: meter.sample(service.running)) as output:
        service = LaunchService(processes, output, fail_fast=True)
        status = service.run()
    if service.interrupted:
        console.print("interrupted: no report was made")
        return INTERRUPTED
    if status != 0 or not (folder / FACTS).is_file():
        raise UserError(_why_it_ended(console, output, logs))

    usage = {
        name: {"cpu_seconds": usage.cpu, "peak_memory_mb": round(usage.memory / 2**20, 1)}
        for name, usage in meter.usage.items()
    }
    return report_run(console, folder, json_file, usage)


def _make_folder(folder: Path, logs: Path) -> None:
    """Make the run's folder, without what an earlier run has left there."""
    from edge_robot.cli.run_report import FACTS, RECORDING

    try:
        logs.mkdir(parents=True, exist_ok=True)
        for stale in (folder / RECORDING, folder / FACTS, *logs.glob("*.log")):
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the report folder {folder}: {error.strerror}; give another with --report"
        ) from error


def _why_it_ended(console: Console, output: DemoOutput, logs: Path) -> str:
    """Return in one line why there was no run; show what a process that crashed said last."""
    if output.mistake is not None:
        return output.mistake
    if output.casualty:
        console.print("\n".join(output.casualty), markup=False, highlight=False, style="dim")
        return f"{output.casualty[0]}; its log is in {logs}"
    return f"the run ended before the referee had judged it; the logs are in {logs}"
