"""`edge-robot bench stop`: does the robot stop, and stay, whatever fails under an operator?"""

from __future__ import annotations

from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the commands."""

    @bench.command()
    def stop(
        file: JsonFile = None,
        trials: Annotated[int, typer.Option(min=1, help="How many of each kind.")] = 1000,
        kinds: Annotated[
            str, typer.Option(help="What happens, separated by commas. (default: everything)")
        ] = "",
        browser: Annotated[
            bool, typer.Option("--browser", help="Drive by the page in a real Chromium.")
        ] = False,
        rigs: Annotated[
            int | None,
            typer.Option(
                min=1, help="Robots side by side. (default: 2 per core; with a browser 1)"
            ),
        ] = None,
        seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 1,
        as_json: AsJson = False,
    ) -> None:
        """Zero on board within 200 ms, and no motion by itself, whatever fails while one drives.

        Robot and operator get a network namespace each: needs root, or a kernel that lets users
        make them. Without root the nodes get no real-time priority.
        """
        from edge_robot.bench import stop as stop_bench

        output = Output(as_json, file)
        name = "stop_browser" if browser else "stop"
        everything = stop_bench.BROWSER_KINDS if browser else stop_bench.KINDS
        wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()] or everything
        figures = stop_bench.measure(
            trials,
            wanted,
            min(rigs or stop_bench.default_rigs(browser), trials),
            seed,
            browser,
            progress,
            lambda sofar: output.sofar({name: sofar}),
        )
        output.add({name: figures})
        output.finish()
        if not figures["passed"]:
            raise typer.Exit(1)
