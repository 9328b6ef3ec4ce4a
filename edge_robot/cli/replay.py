"""`edge-robot replay`: recorded sensor data through perception and fusion, and what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_robot.errors import UserError

if TYPE_CHECKING:
    from edge_robot.replay.results import TrackRow
    from edge_robot.report.history import History

SHOWN_TRACKS = 12
"""Rows of the table on the terminal."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def replay(
        path: Annotated[
            Path,
            typer.Argument(
                help="Folder with image/, lidar/ and calibration.json; ROS 2 bag; or MCAP file."
            ),
        ],
        model: Annotated[
            str,
            typer.Option(
                help="Detector: a name from `edge-robot model list`, or the path of an .onnx file."
            ),
        ] = "warehouse_edge",
        report: Annotated[
            Path | None,
            typer.Option(help="Folder for the report; by default runs/replay-NAME."),
        ] = None,
        json_file: Annotated[
            Path | None, typer.Option("--json", help="File for the tracks as JSON.")
        ] = None,
        image_topic: Annotated[str, typer.Option(help="Of a bag with several cameras.")] = "",
        points_topic: Annotated[str, typer.Option(help="Of a bag with several lidars.")] = "",
        scene_config: Annotated[
            Path | None,
            typer.Option(
                help="Vehicle's parameters; default: KITTI's car for folders, else the robot."
            ),
        ] = None,
        speed: Annotated[float, typer.Option(min=0.0, help="Times real time; 0: no limit.")] = 1.0,
    ) -> None:
        """Feed recorded camera and lidar data through the very same perception and fusion nodes.

        Writes an annotated video, a table of tracks (CSV) and the report page; all from the
        recording made of the replay.
        """
        from edge_robot.perception.model_card import find_model
        from edge_robot.replay.folder import FolderSource
        from edge_robot.replay.opening import open_source
        from edge_robot.share import share_dir

        source = open_source(path, image_topic=image_topic, points_topic=points_topic)
        folder = report or Path("runs") / f"replay-{source.name}"
        recording = folder / "recording.mcap"
        arguments = {
            "path": str(path.resolve()),
            "recording": str(recording.resolve()),
            "model": str(find_model(model).resolve()),
            "image_topic": image_topic,
            "points_topic": points_topic,
            "speed": str(speed),
        }
        if scene_config is None and not isinstance(source, FolderSource):
            scene_config = share_dir() / "config" / "fusion.yaml"  # the robot's own once more
        if scene_config is not None:
            arguments["scene_config"] = str(scene_config.resolve())
        _launch(arguments)
        _write_results(recording, folder, json_file, source.name, source.note)


def _launch(arguments: dict[str, str]) -> None:
    """Run the launch file to its end; leave with its status if that is not 0.

    Raises:
        UserError: what the first node said that ended because of something the user must mend.
    """
    from edge_robot.cli.replay_output import ReplayOutput
    from edge_robot.standalone.launch import LaunchService, find_launch_file, load

    output = ReplayOutput()
    service = LaunchService(load(find_launch_file("replay"), arguments).processes, output)
    status = service.run()
    if output.mistake is not None:
        raise UserError(output.mistake)
    if status or service.interrupted:
        sys.exit(status or 130)


def _write_results(
    recording: Path, folder: Path, json_file: Path | None, name: str, note: str
) -> None:
    from edge_robot.recording.reader import Recording
    from edge_robot.replay.results import track_rows, write_csv
    from edge_robot.replay.transforms import TransformTree
    from edge_robot.replay.video import write_video
    from edge_robot.report.history import History
    from edge_robot.report.metrics import history_metrics
    from edge_robot.report.page import write_report

    history = History(Recording(recording))
    _check_whole(history)
    tree = TransformTree(history.recording)
    rows = track_rows(history, tree)
    write_csv(history, tree, folder / "tracks.csv")
    rate = _image_rate(history)
    video = write_video(history, tree, folder, rate)
    title = f"Replay of {name}"
    page = write_report(recording, folder, history_metrics(history), title, note)
    if json_file is not None:
        content = json.dumps({"tracks": [row.as_json() for row in rows]}, indent=1)
        try:
            json_file.write_text(content + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {json_file}: {error.strerror}") from error
    _print_table(rows)
    print(f"report: {page}\nvideo:  {video}\ntracks: {folder / 'tracks.csv'}")


def _check_whole(history: History) -> None:
    """Make sure that the recorder kept the results of all it recorded the input of."""
    from edge_robot import topics

    recording = history.recording

    def count(*rows: topics.Topic) -> int:
        return sum(recording.count(recording.name_of(topic)) for topic in rows)

    sent = count(topics.CAMERA_COMPRESSED, topics.LIDAR_POINTS)
    came = count(topics.CAMERA_DETECTIONS, topics.LIDAR_DETECTIONS)
    if came < sent:
        raise UserError(
            f"replay: {recording.path} holds results for {came} of {sent} images and "
            "clouds: the recorder could not keep up; close other programs, or use --speed 0.5"
        )


def _image_rate(history: History) -> float:
    """Return the images per s of capture time."""
    stamps = [frame.stamp for frame in history.frames]
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return 10.0
    return (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0])


def _print_table(rows: list[TrackRow]) -> None:
    from rich.console import Console as Terminal
    from rich.table import Table

    table = Table(title=f"{len(rows)} tracks")
    for head in ("track", "class", "frames", "fused", "sources", "range, m", "speed, m/s"):
        table.add_column(head, justify="left" if head in ("class", "sources") else "right")
    for row in rows[:SHOWN_TRACKS]:
        table.add_row(
            str(row.id),
            row.label,
            str(row.frames),
            str(row.frames_fused),
            ", ".join(row.sources),
            f"{row.range_first:.1f} → {row.range_last:.1f}",
            f"{row.speed:.1f}",
        )
    Terminal().print(table)
