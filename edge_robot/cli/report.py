"""`edge-robot report`: rebuilds the report of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def report(
        recording: Annotated[Path, typer.Argument(help="MCAP file of a run.")],
        output: Annotated[
            Path | None,
            typer.Option(help="Folder for the page; by default the recording's own."),
        ] = None,
    ) -> None:
        """Compute the figures of a recorded run and write its report page."""
        from edge_robot.report import run_metrics, write_report

        page = write_report(recording, output or recording.parent, run_metrics(recording))
        print(f"report: {page}")
