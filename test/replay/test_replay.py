"""The whole command on a real drive, and how it fails."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

RUN = "from edge_robot.cli.main import main; main()"


def replay(*arguments: object, timeout: float = 120.0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", RUN, "replay", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=os.environ.copy()
    )


@pytest.fixture(scope="module")
def drive(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict], str]:
    folder = tmp_path_factory.mktemp("replay")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(101 + os.getpid() % 60))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        result = replay(
            shared_data / "kitti_drive", "--speed", "0", "--report", folder,
            "--model", shared_data / "models" / "yolox_nano_416.onnx",
            "--json", folder / "tracks.json",
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    tracks = json.loads((folder / "tracks.json").read_text())["tracks"]
    return folder, tracks, result.stdout


def test_vehicles_are_fused_and_keep_their_identity(drive: tuple[Path, list[dict], str]) -> None:
    _, tracks, _ = drive
    fused = [
        t
        for t in tracks
        if {"camera", "lidar"} <= set(t["sources"])
        and t["frames_fused"] >= 30
        and t["class"] in ("car", "truck", "bus")
    ]
    assert len(fused) >= 2, tracks[:6]
    assert len({t["id"] for t in tracks}) == len(tracks)
    assert [t["frames"] for t in tracks] == sorted((t["frames"] for t in tracks), reverse=True)


def test_the_silver_estate_is_followed_to_the_end(drive: tuple[Path, list[dict], str]) -> None:
    _, tracks, _ = drive
    ahead = [t for t in tracks if t["class"] == "car" and 7.0 < t["range_first"] < 9.0]
    assert len(ahead) == 1, tracks[:6]
    assert ahead[0]["frames"] >= 39
    assert set(ahead[0]["sources"]) == {"camera", "lidar"}
    # The own car rolls up to it: 8 m ahead at first, 5 m at the end.
    assert 4.0 < ahead[0]["range_last"] < 6.0


def test_everything_is_written(drive: tuple[Path, list[dict], str]) -> None:
    folder, tracks, output = drive
    video = cv2.VideoCapture(str(next(folder.glob("video.*"))))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 40
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10.0)
    found, picture = video.read()
    assert found and picture.std() > 20
    rows = list(csv.DictReader((folder / "tracks.csv").open()))
    assert len(rows) == sum(t["frames"] for t in tracks)
    assert all(float(row["range_m"]) >= 0.0 for row in rows)
    page = (folder / "index.html").read_text()
    assert "relative to it" in page and "Through the camera" in page
    assert "tracks" in output


def first_frames(source: Path, drive: Path, count: int) -> Path:
    for part in ("image", "lidar"):
        (drive / part).mkdir(parents=True)
        for file in sorted((source / part).iterdir())[:count]:
            (drive / part / file.name).write_bytes(file.read_bytes())
    (drive / "calibration.json").write_bytes((source / "calibration.json").read_bytes())
    return drive


def test_results_do_not_depend_on_speed(shared_data: Path, tmp_path: Path, domain: int) -> None:
    drive = first_frames(shared_data / "kitti_drive", tmp_path / "drive", 8)
    # A sweep without a return is left out, and nobody waits for boxes in it.
    (drive / "lidar" / "000005.bin").write_bytes(bytes(16 * 100))
    model = shared_data / "models" / "yolox_nano_416.onnx"
    found = []
    for speed in (0, 0.7):
        file = tmp_path / f"{speed}.json"
        arguments = (
            drive,
            "--model",
            model,
            "--speed",
            speed,
            "--report",
            tmp_path,
            "--json",
            file,
        )
        result = replay(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        found.append(json.loads(file.read_text())["tracks"])
    assert found[0] == found[1]
    assert len(found[0]) >= 5


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing-here", "does not exist"), ("empty", "calibration.json is missing")],
)
def test_nothing_to_replay_is_one_line(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    result = replay(tmp_path / name, "--report", tmp_path / "report")
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ") and words in line
    assert not (tmp_path / "report").exists()


def test_missing_model_ends_at_once_with_one_error(
    shared_data: Path, tmp_path: Path, domain: int
) -> None:
    result = replay(shared_data / "kitti_drive", "--model", "none.onnx", "--report", tmp_path)
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if "error: " in line]
    assert len(errors) == 1 and "none.onnx" in errors[0]
    assert "Traceback" not in result.stderr


def test_a_frame_that_breaks_on_the_way_ends_it(
    shared_data: Path, tmp_path: Path, domain: int
) -> None:
    drive = first_frames(shared_data / "kitti_drive", tmp_path / "drive", 6)
    (drive / "lidar" / "000004.bin").write_bytes(bytes(100))
    model = shared_data / "models" / "yolox_nano_416.onnx"
    result = replay(drive, "--model", model, "--report", tmp_path / "report")
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if "error: " in line]
    assert len(errors) == 1 and "000004.bin has 100 bytes" in errors[0]
