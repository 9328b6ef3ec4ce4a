"""`bench tracking` on drives made here: figures of the tracker, late detections, and a peer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edge_robot.bench.fusion.tracking_drives import read_drives
from edge_robot.bench.fusion.tracking_late import WAYS
from edge_robot.cli import bench
from edge_robot.errors import UserError
from edge_robot.fusion.config import BoxClass, TrackerConfig
from edge_robot.fusion.scoring.kitti import Objects

FRAMES = 60
SPEED = 0.8  # m per frame, of the car that follows them
CARS = {1: (-3.0, 12.0, 0.9), 2: (4.0, 18.0, 0.0)}
"""Metres to the right and ahead at first, and metres a frame ahead."""

FAKE = {
    "configs/KITTI.yml": "split: val\ndet_name: pointrcnn\n",
    "AB3DMOT_libs/io.py": """
import numpy as np
from xinshuo_io import load_txt_file

def load_detection(file):
    return np.loadtxt(file, delimiter=",", ndmin=2), True

def get_frame_det(found, frame):
    return found[found[:, 0] == frame]
""",
    "AB3DMOT_libs/kitti_calib.py": """
import cv2
class Calibration:
    def __init__(self, file): pass
""",
    "AB3DMOT_libs/model.py": """
import numpy as np
from AB3DMOT_libs.vis import vis_obj
class AB3DMOT:
    def __init__(self, config, kind, calib, oxts, ID_init):
        assert kind in ("Car", "Pedestrian", "Cyclist") and oxts.shape[1:] == (4, 4)
        self.ID_count = [ID_init + 2]
    def track(self, found, frame, sequence):
        tracks = [[*f[7:14], 1 + (f[10] > 0), f[14], f[1], *f[2:7]] for f in found]
        return [np.array(tracks).reshape(-1, 15)], None
""",
}


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    bench.register(app)
    return app


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Two cars ahead of one that drives: one drives along, one is parked and passed by."""
    labels, detections, poses = [], [], []
    for frame in range(FRAMES):
        poses.append(f"1 0 0 0 0 1 0 0 0 0 1 {SPEED * frame}")
        for number, (x, z, speed) in CARS.items():
            away = z + (speed - SPEED) * frame
            if away < 4.6:  # beyond the edge of the image
                continue
            left, right = (609.6 + 721.5 * (x + side) / away for side in (-0.8, 0.8))
            rectangle = f"{left:.2f} {172 + 200 / away:.2f} {right:.2f} {172 + 1200 / away:.2f}"
            box = f"1.5 1.6 4.0 {x:.2f} 1.7 {away:.2f} -1.57"
            labels.append(f"{frame} {number} Car 0 0 0 {rectangle} {box}")
            row = f"{frame} 2 {rectangle} 5.0 {box} 0"
            detections.append(row.replace(" ", ","))
    for name, lines in {
        "label/0000.txt": labels,
        "detection/pointrcnn_Car_val/0000.txt": detections,
        "detection/pointrcnn_Pedestrian_val/0000.txt": [],
        "detection/pointrcnn_Cyclist_val/0000.txt": [],
        "poses/0000/CameraTrajectory.txt": poses,
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(line + "\n" for line in lines))
    return tmp_path


def arguments(drive: Path) -> list[str]:
    return [
        *("bench", "tracking", "--json", "--sequence", "0000", "--poses", str(drive / "poses")),
        *("--detections", str(drive / "detection"), "--labels", str(drive / "label")),
    ]


def test_figures_of_a_drive_beside_a_peer(app: typer.Typer, drive: Path) -> None:
    for name, text in FAKE.items():
        file = drive / "peer" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    peer = ["--peer", str(drive / "peer"), "--peer-python", sys.executable]
    answer = CliRunner().invoke(app, [*arguments(drive), *peer, "--late"], catch_exceptions=False)
    figures = json.loads(answer.stdout)["tracking"]
    assert figures["frames"] == FRAMES
    assert figures["classes"].keys() == {"car"}  # nothing else is labelled
    car, theirs = figures["classes"]["car"], figures["ab3dmot"]["classes"]["car"]
    assert (car["IDS"], car["FP"]) == (0, 0)
    assert car["MOTA"] > 90.0
    assert (theirs["MOTA"], theirs["MOTP"], theirs["IDS"]) == (100.0, 100.0, 0)
    assert figures["times_as_fast_as_ab3dmot"] > 0.0
    late = figures["late"]["sAMOTA"]
    assert abs(late["replayed"]["car"] - late["in_order"]["car"]) <= 0.5
    assert late["applied_as_if_now"]["car"] < late["in_order"]["car"]


def test_replayed_tracks_are_those_in_order(drive: Path) -> None:
    (each,) = read_drives(
        drive / "detection", drive / "label", drive / "poses", None, sequences=["0000"]
    )
    config = TrackerConfig(box_classes={"car": BoxClass(confirm_existence=0.0)})
    delays = np.random.default_rng(3).uniform(0.0, 0.3, FRAMES)
    expected, got = (WAYS[way](each, config, delays) for way in ("in_order", "replayed"))
    for frame in range(FRAMES):
        where = [[track.position for track in tracks[frame]] for tracks in (expected, got)]
        np.testing.assert_allclose(where[1], where[0], atol=1e-9)


def test_a_peer_that_does_not_run_is_told_of(app: typer.Typer, drive: Path) -> None:
    with pytest.raises(UserError, match="failed under"):
        CliRunner().invoke(app, [*arguments(drive), "--peer", str(drive)], catch_exceptions=False)


def test_poses_that_end_early_are_an_error(drive: Path) -> None:
    file = drive / "poses" / "0000" / "CameraTrajectory.txt"
    file.write_text("\n".join(file.read_text().splitlines()[:10]))
    with pytest.raises(UserError, match="10 poses for 60 frames"):
        read_drives(drive / "detection", drive / "label", drive / "poses", None, ["0000"])


def test_joined_rows_are_in_the_order_of_frames(drive: Path) -> None:
    (each,) = read_drives(drive / "detection", drive / "label", None, None, ["0000"])
    twice = Objects.joined([each.labels, each.detections])
    assert (np.diff(twice.frames) >= 0).all()
    assert len(twice) == len(each.labels) + len(each.detections)
