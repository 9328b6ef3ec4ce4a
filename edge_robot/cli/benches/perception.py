"""`edge-robot bench detector|lidar|tiering`: how fast and how right the sensors are understood."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the commands."""

    @bench.command()
    def detector(
        file: JsonFile = None,
        model: Annotated[
            list[str] | None,
            typer.Option(
                help="A file, or a name in models/. May be repeated. (default: warehouse_edge)"
            ),
        ] = None,
        images: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Images to measure on. (default: rendered)"),
        ] = None,
        runs: Annotated[int, typer.Option(min=1, help="Images each pipeline runs on.")] = 200,
        as_json: AsJson = False,
    ) -> None:
        """Camera image to boxes with one and two threads, on every engine installed.

        Beside OpenCV's dnn module and plain ONNX Runtime, and whether all find the same boxes.
        """
        from edge_robot.bench.detector import measurement as detector_bench

        output = Output(as_json, file)
        models = model or ["warehouse_edge"]
        output.add({"detector": detector_bench.measure(models, images, runs, progress)})
        output.finish()

    @bench.command()
    def lidar(
        file: JsonFile = None,
        sweeps: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Recorded sweeps: files *.bin in the layout of KITTI raw data.",
            ),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Sweeps of 16×1800 rays through a simulated warehouse, and recorded ones, to boxes.

        On one thread, stage by stage.
        """
        from edge_robot.bench import lidar as lidar_bench

        output = Output(as_json, file)
        output.add({"lidar": lidar_bench.measure(sweeps, progress)})
        output.finish()

    @bench.command()
    def tiering(
        images: Annotated[
            Path, typer.Option(metavar="FOLDER", help="Images to calibrate and score on.")
        ],
        labels: Annotated[
            Path, typer.Option(metavar="FOLDER", help="Their labels in YOLO's text format.")
        ],
        file: JsonFile = None,
        model: Annotated[str, typer.Option(help="The detector on board.")] = "warehouse_edge",
        second: Annotated[
            str, typer.Option(metavar="MODEL", help="The detector of the second opinion.")
        ] = "warehouse_fleet",
        looks: Annotated[
            int, typer.Option(min=0, max=4, help="Further looks on board at each image.")
        ] = 0,
        chart: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Where to draw the curves, as SVG.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Accuracy by share of frames uploaded, of the tier policy.

        Beside Sedna's filters, random choice and oracles, on many splits of the images into a half
        that is scored and one that scores are calibrated on.
        """
        from edge_robot.bench.tiering import measurement as tiering_bench

        output = Output(as_json, file)
        output.add(
            {
                "tiering": tiering_bench.measure(
                    model, second, images, labels, looks=looks, chart=chart, progress=progress
                )
            }
        )
        output.finish()
