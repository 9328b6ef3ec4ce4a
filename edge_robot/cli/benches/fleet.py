"""`edge-robot bench offload`: the fleet bridge, the robot's side and the backend's."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the commands."""

    @bench.command()
    def offload(
        file: JsonFile = None,
        calls: Annotated[
            int, typer.Option(min=1, help="Through the engine, and bare, to compare.")
        ] = 1000,
        as_json: AsJson = False,
    ) -> None:
        """The bridge's engine: what it costs over a bare gRPC call."""
        from edge_robot.bench.offload import overhead

        output = Output(as_json, file)
        output.add({"overhead": overhead.measure(calls, progress)})
        output.finish()
