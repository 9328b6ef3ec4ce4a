"""`edge-robot bench stop|teleop`: the dashboard when what is under an operator fails or is slow."""

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
        make them. Nodes get a real-time priority where it is permitted.
        """
        from edge_robot.bench.stop import measurement as stop_bench

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

    @bench.command()
    def teleop(
        file: JsonFile = None,
        parts: Annotated[
            str, typer.Option(help="What is measured, separated by commas. (default: everything)")
        ] = "",
        scale: Annotated[float, typer.Option(min=0.01, help="Of all lengths and numbers.")] = 1.0,
        congestion_control: Annotated[
            str, typer.Option(help="TCP's on the bad link: cubic, bbr, reno.")
        ] = "cubic",
        seed: Annotated[int, typer.Option(min=0, help="Of the packets that are lost.")] = 0,
        as_json: AsJson = False,
    ) -> None:
        """The dashboard over 1 Mbit/s, 150 ms and 5 % loss, with bad clients, with rivals.

        Parts: commands, stalled, takeovers, roundtrip, outage, page, processor; all of it takes
        about 14 minutes. Root is needed for the bad link (two network namespaces), and a Chromium
        for the page.
        """
        from edge_robot.bench.processes import interruptible
        from edge_robot.bench.teleop import measurement as teleop_bench

        output = Output(as_json, file)
        wanted = [part.strip() for part in parts.split(",") if part.strip()] or teleop_bench.PARTS
        teleop_bench.check(wanted)
        with interruptible():
            figures = teleop_bench.measure(
                wanted,
                scale,
                congestion_control,
                seed,
                progress,
                lambda sofar: output.sofar({"teleop": sofar}),
            )
        output.add({"teleop": figures})
        output.finish()
        if not all(goal["met"] for goal in figures["goals"].values()):
            raise typer.Exit(1)
