"""`edge-robot bench offload|encodings|backend|backend-ray|spool`: both ends of the fleet bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the commands."""

    @bench.command()
    def offload(
        file: JsonFile = None,
        faults: Annotated[
            int, typer.Option(min=0, help="Of way and backend, about 4 s each; 0: none.")
        ] = 500,
        errors: Annotated[
            int, typer.Option(min=0, help="Injected: wrong answers of all kinds; 0: none.")
        ] = 10_000,
        requests: Annotated[
            int, typer.Option(min=0, help="Over links that delay and lose; 0: none.")
        ] = 2000,
        rate: Annotated[float, typer.Option(min=0.1, help="Frames per second.")] = 10.0,
        calls: Annotated[
            int, typer.Option(min=0, help="Through the engine, and bare, to compare; 0: none.")
        ] = 1000,
        seed: Annotated[int, typer.Option(help="Of everything drawn at random.")] = 0,
        chart: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Where to draw what robots had, as SVG."),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """The bridge's engine: through faults and lies, over bad links, and beside bare calls.

        Faults happen in network namespaces where root allows, else in a proxy; Sedna's and
        LeRobot's policies meet them at the same time. All of it takes about 40 minutes.
        """
        from edge_robot.bench.offload import errors as error_bench
        from edge_robot.bench.offload import faults as fault_bench
        from edge_robot.bench.offload import overhead, tail
        from edge_robot.bench.processes import interruptible

        output = Output(as_json, file)

        def sofar(figures: dict[str, Any]) -> None:
            output.sofar({"faults": figures})

        with interruptible():
            if calls:
                output.add({"overhead": overhead.measure(calls, progress)})
            if errors:
                output.add({"errors": error_bench.measure(errors, progress)})
            if requests:
                output.add({"tail": tail.measure(requests, seed, progress)})
            if faults:
                found = fault_bench.measure(faults, rate, seed, progress, sofar, chart)
                if not as_json:
                    found = fault_bench.in_short(found)
                output.add({"faults": found})
        output.finish()

    @bench.command()
    def encodings(
        images: Annotated[Path, typer.Option(metavar="FOLDER", help="Images to score on.")],
        labels: Annotated[
            Path, typer.Option(metavar="FOLDER", help="Their labels in YOLO's text format.")
        ],
        file: JsonFile = None,
        model: Annotated[
            str, typer.Option(help="The detector of the second opinion.")
        ] = "warehouse_fleet",
        as_json: AsJson = False,
    ) -> None:
        """What a detector still finds in images made smaller for the link, by quality and scale.

        The table of `edge_robot/fleet/adaptation.py` comes from here.
        """
        from edge_robot.bench.encodings import measure

        output = Output(as_json, file)
        output.add({"encodings": measure(model, images, labels, progress)})
        output.finish()

    @bench.command()
    def backend(
        file: JsonFile = None,
        seconds: Annotated[
            float, typer.Option(min=0.2, help="Of a run; there are 22, some longer.")
        ] = 1.0,
        runtime: Annotated[
            str, typer.Option(help="Of the detector: onnxruntime or openvino.")
        ] = "onnxruntime",
        as_json: AsJson = False,
    ) -> None:
        """The backend: throughput with and without batches, deadlines under load, fair shares."""
        from edge_robot.bench.backend import measure

        output = Output(as_json, file)
        output.add({"backend": measure(seconds, runtime, progress)})
        output.finish()

    @bench.command()
    def backend_ray(
        file: JsonFile = None,
        seconds: Annotated[float, typer.Option(min=0.5, help="Of each run.")] = 5.0,
        turns: Annotated[int, typer.Option(min=1, help="Of each backend.")] = 3,
        as_json: AsJson = False,
    ) -> None:
        """The backend on Ray Serve beside the embedded one; a replica is killed under load.

        Needs the extra `ray`.
        """
        from edge_robot.bench import backend_ray as ray_bench

        output = Output(as_json, file)
        output.add({"backend_ray": ray_bench.measure(seconds, turns, progress)})
        output.finish()

    @bench.command()
    def spool(
        file: JsonFile = None,
        kills: Annotated[
            int, typer.Option(min=0, help="Of the robot's and the archive's process.")
        ] = 1000,
        cuts: Annotated[
            int, typer.Option(min=0, help="Power losses, on recorded disk writes.")
        ] = 1000,
        hours: Annotated[
            float, typer.Option(min=0.0, help="Without a link, in virtual time.")
        ] = 24.0,
        seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 1,
        as_json: AsJson = False,
    ) -> None:
        """Store and forward: kill -9, power loss, a day's outage; is every record accounted for?

        `lost`, `duplicated`, `altered` and `unexplained` must be 0. About 10 minutes; 0 leaves a
        part out.
        """
        from edge_robot.bench.spool import measurement as spool_bench

        output = Output(as_json, file)
        figures = spool_bench.measure(
            kills, cuts, hours, seed, progress, lambda sofar: output.sofar({"spool": sofar})
        )
        output.add({"spool": figures})
        output.finish()
