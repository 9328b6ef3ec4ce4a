"""`edge-robot bench crowds`: moving obstacles in the flat simulator."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress
from edge_robot.errors import UserError


def register(bench: typer.Typer) -> None:
    """Add the command."""

    @bench.command()
    def crowds(
        file: JsonFile = None,
        worlds: Annotated[
            int, typer.Option(min=1, max=60, help="How many of the sixty, from the first.")
        ] = 60,
        setting: Annotated[
            str, typer.Option(metavar="nominal|disturbed|severe", help="How far from perfect.")
        ] = "nominal",
        runs: Annotated[int, typer.Option(min=1, help="Drives per world.")] = 1,
        seed: Annotated[int, typer.Option(min=0, help="Of the first drive per world.")] = 0,
        jobs: Annotated[
            int | None, typer.Option(min=1, help="Processes. (default: one per core)")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Among walkers: our planner with tracks, and the same with tracks ignored."""
        from edge_robot.bench import crowds as crowds_bench

        if setting not in crowds_bench.SETTINGS:
            raise UserError(f"--setting {setting}: {', '.join(crowds_bench.SETTINGS)} are known")
        output = Output(as_json, file)
        progress(crowds_bench.NOTE)
        cores = jobs or len(os.sched_getaffinity(0))
        figures = crowds_bench.measure(range(worlds), setting, runs, seed, cores, progress)
        if not as_json:
            del figures["runs"]
        output.add({"crowds": figures})
        output.finish()
