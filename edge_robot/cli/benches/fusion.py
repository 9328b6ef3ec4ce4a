"""`edge-robot bench filter|tracking|fusion|fusion-peers`: how good the tracks are, how fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_robot.cli.benches.output import AsJson, JsonFile, Output, progress


def register(bench: typer.Typer) -> None:
    """Add the commands."""

    @bench.command("filter")
    def kalman(file: JsonFile = None, as_json: AsJson = False) -> None:
        """Prediction and update of 1 to 1000 tracks, Kalman and IMM, beside filterpy."""
        from edge_robot.bench.fusion import filters

        output = Output(as_json, file)
        output.add({"filter": filters.measure(progress)})
        output.finish()

    @bench.command()
    def tracking(
        detections: Annotated[
            Path,
            typer.Option(
                metavar="FOLDER", help="3D detections, laid out as AB3DMOT's data/KITTI/detection."
            ),
        ],
        labels: Annotated[
            Path, typer.Option(metavar="FOLDER", help="Labels of the drives in KITTI's format.")
        ],
        file: JsonFile = None,
        poses: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Where the car was: SEQUENCE.txt or SEQUENCE/CameraTrajectory.txt with a 3×4 "
                "matrix a line. (default: it stands)",
            ),
        ] = None,
        oxts: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="The same from KITTI's oxts files, SEQUENCE.txt."),
        ] = None,
        sequence: Annotated[
            list[str] | None,
            typer.Option(
                help="A drive. May be repeated. (default: the eleven of the published tables)"
            ),
        ] = None,
        config: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE", help="The tracker's. (default: config/tracking_kitti.yaml)"
            ),
        ] = None,
        late: Annotated[
            bool, typer.Option("--late", help="Measure with late detections, too.")
        ] = False,
        peer: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Checkout of AB3DMOT to measure beside."),
        ] = None,
        peer_python: Annotated[
            str | None,
            typer.Option(
                metavar="PYTHON", help="Interpreter with what AB3DMOT needs. (default: this one)"
            ),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Recorded 3D detections of drives through the tracker.

        sAMOTA and its kin at a 3D IoU of 0.25, and frames per second on one core; beside AB3DMOT's
        own code.
        """
        from edge_robot.bench.fusion import tracking as tracking_bench
        from edge_robot.bench.fusion.tracking_drives import VALIDATION

        output = Output(as_json, file)
        output.add(
            {
                "tracking": tracking_bench.measure(
                    detections,
                    labels,
                    poses=poses,
                    oxts=oxts,
                    sequences=sequence or VALIDATION,
                    config=config,
                    late=late,
                    peer=peer,
                    peer_python=peer_python or sys.executable,
                    progress=progress,
                )
            }
        )
        output.finish()

    @bench.command()
    def fusion(
        file: JsonFile = None,
        drives: Annotated[
            int, typer.Option(min=1, max=1000, help="Simulated drives of 20 s each.")
        ] = 5,
        seed: Annotated[
            int, typer.Option(min=0, help="Of the first; 101 to 130 were tuned on.")
        ] = 1,
        drive: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Recorded drive, as `edge-robot replay` reads it; with --model.",
            ),
        ] = None,
        keyframe: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Labelled keyframe of nuScenes, with sample.json; with --model.",
            ),
        ] = None,
        model: Annotated[
            str | None, typer.Option(help="Detector for what was recorded: a file or a name.")
        ] = None,
        report: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Where to draw what was recorded, as HTML."),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """OSPA, errors and consistency (NEES) of tracks of people in simulated warehouses.

        With camera, lidar, both, and both with the fleet; a few minutes. On a recorded --drive and
        a labelled --keyframe: how often camera and lidar find the same things.
        """
        from edge_robot.bench.fusion import camera_and_lidar

        output = Output(as_json, file)
        seeds = range(seed, seed + drives)
        output.add(
            {"fusion": camera_and_lidar.measure(seeds, drive, keyframe, model, report, progress)}
        )
        output.finish()

    @bench.command("fusion-peers")
    def peers(file: JsonFile = None, as_json: AsJson = False) -> None:
        """Two robots that watch one person and tell each other of it.

        Fused as if they were independent and by covariance intersection: who becomes surer than
        they may (NEES).
        """
        from edge_robot.bench.fusion import two_robots

        output = Output(as_json, file)
        output.add({"fusion-peers": two_robots.measure(progress)})
        output.finish()
