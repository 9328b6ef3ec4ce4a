"""`edge-robot bench mppi`: the local planner's speed and its deadlines."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the command."""

    @bench.command()
    def mppi(
        file: JsonFile = None,
        minutes: Annotated[
            float, typer.Option(min=0, help="Planning at 20 Hz, deadlines counted; 0: none.")
        ] = 10.0,
        load: Annotated[
            bool, typer.Option("--load", help="The same again while every core is busy.")
        ] = False,
        peer_python: Annotated[
            str | None,
            typer.Option(metavar="PYTHON", help="Runs pytorch_mppi with the same cost as well."),
        ] = None,
        runs: Annotated[int, typer.Option(min=1, help="Plans to time.")] = 300,
        seed: Annotated[int, typer.Option(help="Of the scene and the noise.")] = 0,
        as_json: AsJson = False,
    ) -> None:
        """The local planner: 1000 × 56 with a footprint among 20 people, on one core."""
        from edge_robot.bench import mppi as mppi_bench

        output = Output(as_json, file)
        figures = mppi_bench.measure(minutes, load, peer_python, progress, runs, seed, output.sofar)
        output.add(figures if as_json else {"mppi": figures})
        output.finish()
