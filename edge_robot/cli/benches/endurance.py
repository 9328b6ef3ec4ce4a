"""`edge-robot bench soak|churn|kill`: what is left after long work, many nodes, and kill -9."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the commands."""

    @bench.command()
    def soak(
        file: JsonFile = None,
        minutes: Annotated[float, typer.Option(min=0.1, help="How long it lasts.")] = 60.0,
        as_json: AsJson = False,
    ) -> None:
        """Memory, threads, descriptors and rates of a graph at full rate."""
        from edge_robot.bench import soak as soak_bench

        output = Output(as_json, file)
        output.add(
            {
                "soak": soak_bench.measure(
                    minutes, progress, lambda sofar: output.sofar({"soak": sofar})
                )
            }
        )
        output.finish()

    @bench.command()
    def churn(
        file: JsonFile = None,
        nodes: Annotated[int, typer.Option(min=1, help="How many come and go.")] = 1000,
        as_json: AsJson = False,
    ) -> None:
        """What nodes that come and go leave behind."""
        from edge_robot.bench import churn as churn_bench

        output = Output(as_json, file)
        output.add({"churn": churn_bench.measure(nodes, progress)})
        output.finish()

    @bench.command()
    def kill(
        file: JsonFile = None,
        times: Annotated[int, typer.Option(min=1, help="How many processes are killed.")] = 60,
        as_json: AsJson = False,
    ) -> None:
        """What the others notice of processes that are killed."""
        from edge_robot.bench import kill as kill_bench

        output = Output(as_json, file)
        output.add({"kill": kill_bench.measure(times, progress)})
        output.finish()
