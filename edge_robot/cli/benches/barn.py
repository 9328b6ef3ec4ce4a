"""`edge-robot bench barn`: the BARN challenge in the flat simulator."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress
from edge_robot.errors import UserError


def register(bench: typer.Typer) -> None:
    """Add the command."""

    @bench.command()
    def barn(
        file: JsonFile = None,
        worlds: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Worlds of BARN, *.json or Gazebo's *.world. (default: generated ones)",
            ),
        ] = None,
        only: Annotated[
            str,
            typer.Option(
                help="evaluation (number divisible by 6), others, all, or numbers: 12,20-29."
            ),
        ] = "all",
        planner: Annotated[str, typer.Option(metavar="ours|dwa", help="What drives.")] = "ours",
        setting: Annotated[
            str, typer.Option(metavar="nominal|disturbed|severe", help="How far from perfect.")
        ] = "nominal",
        runs: Annotated[int, typer.Option(min=1, help="Drives per world.")] = 10,
        seed: Annotated[int, typer.Option(min=0, help="Of the first drive per world.")] = 0,
        jobs: Annotated[
            int | None, typer.Option(min=1, help="Processes. (default: one per core)")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """The BARN navigation challenge in a simulator in the plane: a proxy for Gazebo."""
        from edge_robot.bench import barn as barn_bench

        _known("--planner", planner, barn_bench.PLANNERS)
        _known("--setting", setting, barn_bench.SETTINGS)
        output = Output(as_json, file)
        chosen = barn_bench.read_worlds(worlds) if worlds else barn_bench.generated()
        cores = jobs or len(os.sched_getaffinity(0))
        chosen = barn_bench.select(chosen, only)
        progress(barn_bench.NOTE)
        figures = barn_bench.measure(chosen, planner, setting, runs, seed, cores, progress)
        if not as_json:
            del figures["runs"]
            figures = {"barn": figures}
        output.add(figures)
        output.finish()


def _known(option: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise UserError(f"{option} {name}: {', '.join(names)} are known")
