"""`edge-robot bench mppi|global-plan|barn|crowds`: how fast planners are, how they drive."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress
from edge_robot.errors import UserError

Disturbances = Annotated[
    str, typer.Option(metavar="nominal|disturbed|severe", help="How far from perfect.")
]
FirstSeed = Annotated[int, typer.Option(min=0, help="Of the first drive per world.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes. (default: one per core)")]


def register(bench: typer.Typer) -> None:
    """Add the commands."""

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
        from edge_robot.bench.planning import mppi as mppi_bench

        output = Output(as_json, file)
        figures = mppi_bench.measure(minutes, load, peer_python, progress, runs, seed, output.sofar)
        output.add(figures if as_json else {"mppi": figures})
        output.finish()

    @bench.command()
    def global_plan(
        file: JsonFile = None,
        pairs: Annotated[int, typer.Option(min=1, help="Plans on each of four floors.")] = 30,
        exact_pairs: Annotated[
            int, typer.Option(min=1, help="Plans on each small floor beside the shortest way.")
        ] = 10,
        numpy_pairs: Annotated[
            int, typer.Option(min=0, help="Plans on each floor without Numba.")
        ] = 3,
        peer_python: Annotated[
            str | None,
            typer.Option(
                metavar="PYTHON", help="Interpreter with scikit-image and pyastar2d, to compare."
            ),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Paths over maps of 100 m by 100 m in cells of 5 cm: time, and length over the least."""
        from edge_robot.bench.planning import global_plan as global_plan_bench

        output = Output(as_json, file)
        output.add(
            global_plan_bench.measure(progress, pairs, exact_pairs, numpy_pairs, peer_python)
        )
        output.finish()

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
        setting: Disturbances = "nominal",
        runs: Annotated[int, typer.Option(min=1, help="Drives per world.")] = 10,
        seed: FirstSeed = 0,
        jobs: Jobs = None,
        as_json: AsJson = False,
    ) -> None:
        """The BARN navigation challenge in a simulator in the plane: a proxy for Gazebo."""
        from edge_robot.bench.planning import barn as barn_bench

        _known("--planner", planner, barn_bench.PLANNERS)
        _known("--setting", setting, barn_bench.SETTINGS)
        output = Output(as_json, file)
        chosen = barn_bench.read_worlds(worlds) if worlds else barn_bench.generated()
        chosen = barn_bench.select(chosen, only)
        progress(barn_bench.NOTE)
        figures = barn_bench.measure(chosen, planner, setting, runs, seed, _cores(jobs), progress)
        if not as_json:
            del figures["runs"]
            figures = {"barn": figures}
        output.add(figures)
        output.finish()

    @bench.command()
    def crowds(
        file: JsonFile = None,
        worlds: Annotated[
            int, typer.Option(min=1, max=60, help="How many of the sixty, from the first.")
        ] = 60,
        setting: Disturbances = "nominal",
        runs: Annotated[int, typer.Option(min=1, help="Drives per world.")] = 1,
        seed: FirstSeed = 0,
        jobs: Jobs = None,
        as_json: AsJson = False,
    ) -> None:
        """Among walkers: our planner with tracks, and the same with tracks ignored."""
        from edge_robot.bench.planning import crowds as crowds_bench

        _known("--setting", setting, crowds_bench.SETTINGS)
        output = Output(as_json, file)
        progress(crowds_bench.NOTE)
        figures = crowds_bench.measure(range(worlds), setting, runs, seed, _cores(jobs), progress)
        if not as_json:
            del figures["runs"]
        output.add({"crowds": figures})
        output.finish()


def _cores(jobs: int | None) -> int:
    return jobs or len(os.sched_getaffinity(0))


def _known(option: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise UserError(f"{option} {name}: {', '.join(names)} are known")
