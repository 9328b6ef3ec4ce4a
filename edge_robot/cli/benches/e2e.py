"""`edge-robot bench e2e`: from camera to wheels, calm, under load and with faults."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the command."""

    @bench.command()
    def e2e(
        file: JsonFile = None,
        faults: Annotated[
            str,
            typer.Option(
                metavar="NAME,…",
                help="killed, stopped, lost, or some of them: killed:planner,lost:/scan; or none.",
            ),
        ] = "killed,stopped,lost",
        seconds: Annotated[
            float,
            typer.Option(min=0.0, help="How long calm and stress are each measured; 0: not."),
        ] = 30.0,
        fleet_pairs: Annotated[
            int,
            typer.Option(min=0, help="How often to run with and without the fleet, in turns."),
        ] = 0,
        seed: Annotated[int, typer.Option(min=0, help="Of warehouse and faults.")] = 1,
        as_json: AsJson = False,
    ) -> None:
        """The whole stack in the embedded world: latency, jitter, and what faults lead to.

        Kills and stops nodes, loses topics, loads all cores, and times until zero is commanded.
        """
        from edge_robot.bench.e2e import measurement as e2e_bench

        output = Output(as_json, file)
        names = [name for name in faults.split(",") if name not in ("", "none")]
        chosen = e2e_bench.selected(names)
        found = e2e_bench.measure(
            chosen,
            seconds,
            seed,
            fleet_pairs,
            progress=progress,
            sofar=lambda figures: output.sofar({"e2e": figures}),
        )
        output.add({"e2e": found})
        output.finish()
