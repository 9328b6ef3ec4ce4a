"""`edge-robot bench`: measure, with JSON for machines and people alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def bench(
        name: Annotated[
            str,
            typer.Argument(
                metavar="transport|idle|detector|lidar|all|tracking|fusion|fusion-peers|filter|"
                "tiering|soak|churn|kill"
            ),
        ] = "all",
        json_file: Annotated[
            Path | None, typer.Argument(metavar="[FILE]", help="With --json: write them there.")
        ] = None,
        model: Annotated[
            list[str] | None,
            typer.Option(
                help="Detector to measure: a file, or a name in models/. May be repeated. "
                "[default: warehouse_edge]"
            ),
        ] = None,
        images: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER", help="Images the detector is measured on; rendered by default."
            ),
        ] = None,
        runs: Annotated[
            int, typer.Option(min=1, help="Images each pipeline of detector runs on.")
        ] = 200,
        labels: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Labels: of the images in YOLO's text format for tiering, of the drives in "
                "KITTI's for tracking.",
            ),
        ] = None,
        second: Annotated[
            str, typer.Option(metavar="MODEL", help="Detector of the second opinion, for tiering.")
        ] = "warehouse_fleet",
        chart: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Where tiering draws its curves, as SVG."),
        ] = None,
        sweeps: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Recorded sweeps for lidar: files *.bin in the layout of KITTI raw data.",
            ),
        ] = None,
        drive: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Recorded drive for fusion, as `edge-robot replay` reads it; with --model.",
            ),
        ] = None,
        keyframe: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Labelled keyframe of nuScenes for fusion, with sample.json; with --model.",
            ),
        ] = None,
        report: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Where fusion draws what was recorded, as HTML."),
        ] = None,
        detections: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="3D detections for tracking, as AB3DMOT's data/KITTI/detection.",
            ),
        ] = None,
        poses: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER",
                help="Where the car was: SEQUENCE.txt or SEQUENCE/CameraTrajectory.txt with a 3×4 "
                "matrix a line. [default: it stands]",
            ),
        ] = None,
        oxts: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="The same from KITTI's oxts files, SEQUENCE.txt."),
        ] = None,
        sequence: Annotated[
            list[str] | None,
            typer.Option(
                help="Drive for tracking. May be repeated. [default: the eleven of the published "
                "tables]"
            ),
        ] = None,
        config: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE", help="The tracker's. [default: config/tracking_kitti.yaml]"
            ),
        ] = None,
        late: Annotated[
            bool, typer.Option("--late", help="Measure tracking with late detections, too.")
        ] = False,
        peer: Annotated[
            Path | None,
            typer.Option(
                metavar="FOLDER", help="Checkout of AB3DMOT that tracking is measured beside."
            ),
        ] = None,
        only: Annotated[
            str, typer.Option(help="Of transport, only what has this in its name.")
        ] = "",
        rounds: Annotated[
            int, typer.Option(min=1, help="Turns of each runtime in transport and idle.")
        ] = 3,
        peer_python: Annotated[
            str | None,
            typer.Option(
                metavar="PYTHON",
                help="Interpreter of the ROS 2 to compare with, python3 if one is sourced; for "
                "tracking that of AB3DMOT.",
            ),
        ] = None,
        minutes: Annotated[float, typer.Option(min=0.1, help="How long soak lasts.")] = 60.0,
        times: Annotated[
            int | None,
            typer.Option(min=1, help="Nodes made by churn (1000), processes killed by kill (60)."),
        ] = None,
        only_json: Annotated[
            bool, typer.Option("--json", help="Print the figures as JSON, or write them to FILE.")
        ] = False,
    ) -> None:
        """Measure speed on this machine, and endurance.

        transport: images, clouds, services, start-up and discovery over DDS; beside rclpy with
        rmw_cyclonedds where a ROS 2 is sourced in this shell.

        idle: the cost of a node that publishes 100 times a second; beside rclpy likewise.

        detector: camera image to boxes with one and two threads, on every engine installed; beside
        OpenCV's dnn module and plain ONNX Runtime, and whether all find the same boxes.

        lidar: sweeps of 16×1800 rays through a simulated warehouse, and recorded ones, to boxes on
        one thread, stage by stage.

        all: these four.

        filter: prediction and update of 1 to 1000 tracks, Kalman and IMM, beside filterpy.

        tracking: recorded 3D detections of drives with --labels through the tracker: sAMOTA and its
        kin at a 3D IoU of 0.25, and frames per second on one core; beside AB3DMOT's own code.

        fusion: OSPA, errors and consistency (NEES) of the tracks of people in simulated warehouses,
        with camera, lidar, both, and both with the fleet; a few minutes. On a recorded --drive and
        a labelled --keyframe: how often camera and lidar find the same things, drawn in --report.

        fusion-peers: two robots that watch one person and tell each other of it, fused as if they
        were independent and by covariance intersection: who becomes surer than they may (NEES).

        tiering: accuracy by share of frames uploaded, of the tier policy beside Sedna's filters,
        random choice and oracles; --model on board, --second as second opinion. On many splits of
        --images and --labels into a half that is scored and one that scores are calibrated on.

        soak: memory, threads, descriptors and rates of a graph at full rate, for --minutes.

        churn: what 1000 nodes that come and go leave behind.

        kill: what the others notice of processes that are killed.

        Figures are printed as a table, or with --json as JSON:
        `edge-robot bench transport --json figures.json`.
        """
        import json
        import sys

        from edge_robot.bench import (
            churn,
            detector,
            filters,
            fusion,
            fusion_peers,
            idle,
            kill,
            lidar,
            soak,
            tiering,
            tracking,
            transport,
        )
        from edge_robot.bench.figures import machine, merge
        from edge_robot.bench.tracking_drives import VALIDATION
        from edge_robot.cli.bench_output import print_figures
        from edge_robot.errors import UserError

        if json_file is not None and not only_json:
            raise UserError(f"{json_file}: figures are written to a file with --json")

        def progress(text: str) -> None:
            print(text, file=sys.stderr, flush=True)

        def write(figures: dict[str, Any]) -> None:
            if json_file is None:
                return
            try:
                json_file.write_text(json.dumps(figures, indent=2) + "\n")
            except OSError as error:
                raise UserError(f"cannot write {json_file}: {error.strerror}") from error

        figures: dict[str, Any] = {"machine": machine()}
        speed = {
            "transport": lambda: transport.measure(
                rounds=rounds, peer_python=peer_python, only=only, progress=progress
            ),
            "idle": lambda: idle.measure(rounds=rounds, peer_python=peer_python, progress=progress),
            "detector": lambda: detector.measure(
                model or ["warehouse_edge"], images, runs, progress
            ),
            "lidar": lambda: lidar.measure(sweeps, progress),
        }

        def measure_tiering() -> dict[str, Any]:
            if images is None or labels is None:
                raise UserError(
                    "tiering needs --images and --labels: folders to calibrate and score on"
                )
            onboard = (model or ["warehouse_edge"])[0]
            return tiering.measure(
                onboard,
                second,
                images,
                labels,
                chart=chart,
                progress=progress,
            )

        def measure_tracking() -> dict[str, Any]:
            if detections is None or labels is None:
                raise UserError("tracking needs --detections and --labels: folders of KITTI drives")
            return tracking.measure(
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

        others = {
            "filter": lambda: filters.measure(progress),
            "tracking": measure_tracking,
            "fusion": lambda: fusion.measure(
                drive, keyframe, model[0] if model else None, report, progress
            ),
            "fusion-peers": lambda: fusion_peers.measure(progress),
            "tiering": measure_tiering,
            "soak": lambda: soak.measure(
                minutes, progress, lambda sofar: write({**figures, "soak": sofar})
            ),
            "churn": lambda: churn.measure(times or churn.NODES, progress),
            "kill": lambda: kill.measure(times or kill.KILLS, progress),
        }
        benchmarks = {**speed, **others}
        if name != "all" and name not in benchmarks:
            raise UserError(f"no benchmark {name!r}; there are {', '.join(benchmarks)} and all")
        write(figures)  # better to fail now than after an hour
        for each in speed if name == "all" else (name,):
            progress(f"measuring {each} …")
            result = benchmarks[each]()
            # These two measure many things, each of which has a name of its own.
            merge(figures, result if each in ("transport", "idle") else {each: result})
        write(figures)
        if not only_json:
            print_figures(figures)
        elif json_file is None:
            typer.echo(json.dumps(figures, indent=2))
