"""`edge-robot bench global-plan`: paths over large maps."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the command."""

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
        from edge_robot.bench import global_plan as global_plan_bench

        output = Output(as_json, file)
        output.add(
            global_plan_bench.measure(progress, pairs, exact_pairs, numpy_pairs, peer_python)
        )
        output.finish()
