"""`edge-robot report`: rebuilds the report of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def report(
        run: Annotated[
            Path, typer.Argument(help="Folder of a run of demo.launch.xml; or any run's MCAP file.")
        ],
        output: Annotated[
            Path | None,
            typer.Option(help="Folder for the page of a file; by default the file's own."),
        ] = None,
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")
        ] = None,
        namespace: Annotated[
            str, typer.Option(help="Of the robot, in a file that holds several.")
        ] = "",
    ) -> None:
        """Compute the figures of a recorded run and write its report page.

        Of a run's folder it tells what `edge-robot demo` tells at its end, and ends with status 0
        if the goal was reached without touching anything.
        """
        import json

        from rich.console import Console

        from edge_robot.cli.run_report import report_run, require_writable
        from edge_robot.errors import UserError
        from edge_robot.report import run_metrics, write_report

        if json_file is not None:
            require_writable(json_file)
        if run.is_dir():
            if output is not None or namespace:
                raise UserError(
                    f"--output and --namespace go with a recording; {run} is a run's folder: give "
                    f"{run / 'recording.mcap'}"
                )
            sys.exit(report_run(Console(), run, json_file, {}))
        metrics = run_metrics(run, namespace=namespace)
        page = write_report(run, output or run.parent, metrics, namespace=namespace)
        print(f"report: {page}")
        if json_file is not None:
            json_file.write_text(json.dumps(metrics, indent=2) + "\n")
