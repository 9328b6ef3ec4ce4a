"""`edge-robot bench faults`: random faults in virtual time."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the command."""

    @bench.command()
    def faults(
        file: JsonFile = None,
        schedules: Annotated[int, typer.Option(min=1, help="How many.")] = 1000,
        seed: Annotated[int, typer.Option(min=0, help="Of the first; the others follow.")] = 0,
        jobs: Annotated[
            int | None, typer.Option(min=1, help="Processes. (default: one per core)")
        ] = None,
        verbose: Annotated[
            bool,
            typer.Option("--verbose", help="Print the nodes' log, and tell all of each schedule."),
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Random faults of nodes and topics: no collision, no old command, every mode explained.

        The real nodes run in virtual time in a corridor with people. To see one schedule again:
        --seed N --schedules 1 --verbose.
        """
        from edge_robot.bench import faults as faults_bench

        output = Output(as_json, file)
        cores = min(jobs or len(os.sched_getaffinity(0)), schedules)
        figures = faults_bench.measure(schedules, seed, cores, progress, verbose=verbose)
        output.add({"faults": figures})
        output.finish()
