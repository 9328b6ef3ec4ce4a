"""`edge-robot bench`: measure, with JSON for machines and people alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def bench(
        name: Annotated[str, typer.Argument(metavar="transport|detector|all")] = "all",
        model: Annotated[
            str, typer.Option(help="Detector to measure: a file, or a name in models/.")
        ] = "warehouse_edge",
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")
        ] = None,
    ) -> None:
        """Measure speed on this machine.

        transport: one 640×480 image between two processes over DDS.
        detector: one camera image to boxes on one thread, beside OpenCV's dnn module.
        """
        import json

        from edge_robot.bench import detector, transport
        from edge_robot.bench.figures import machine
        from edge_robot.errors import UserError

        benchmarks = {"transport": transport.measure, "detector": lambda: detector.measure(model)}
        if name != "all" and name not in benchmarks:
            raise UserError(f"no benchmark {name!r}; there are {', '.join(benchmarks)} and all")
        figures: dict[str, Any] = {"machine": machine()}
        for each, measure in benchmarks.items():
            if name in (each, "all"):
                typer.echo(f"measuring {each} …", err=True)
                figures[each] = measure()
        text = json.dumps(figures, indent=2)
        typer.echo(text)
        if json_file is not None:
            try:
                json_file.write_text(text + "\n")
            except OSError as error:
                raise UserError(f"cannot write {json_file}: {error.strerror}") from error
