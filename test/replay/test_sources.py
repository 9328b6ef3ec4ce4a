"""What a replay can be fed from, and how it refuses what it cannot read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from bags import STATIC, cloud, image, info, sensors, transforms, write_bag
from rosbags.rosbag2 import StoragePlugin

from edge_robot.errors import UserError
from edge_robot.replay.opening import open_source

CALIBRATION = {
    "rate_hz": 10.0,
    "image": {"width": 60, "height": 40},
    "lidar_to_camera": [[0, -1, 0, 0.0], [0, 0, -1, -0.1], [1, 0, 0, -0.3]],
    "rectification": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "projection": [[50, 0, 30, 0], [0, 50, 20, 0], [0, 0, 1, 0]],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    drive = tmp_path / "drive"
    for name in ("image", "lidar"):
        (drive / name).mkdir(parents=True)
    (drive / "calibration.json").write_text(json.dumps(CALIBRATION))
    for i in range(4):
        cv2.imwrite(str(drive / "image" / f"{i:06d}.png"), np.full((40, 60, 3), 40 * i, np.uint8))
        points = np.array([[1, 2, 3, 0.5], [4, 5, 6, 0.1]], "<f4") + i
        (drive / "lidar" / f"{i:06d}.bin").write_bytes(points.tobytes())
    return drive


def test_folder(folder: Path) -> None:
    source = open_source(folder, lidar_height=1.5)
    frames = list(source)
    assert len(source) == 8
    assert [frame.stamp for frame in frames] == [100_000_000 * (i + 1) for i in range(4)]
    for i, frame in enumerate(frames):
        assert frame.image is not None and frame.points is not None
        assert (frame.image == 40 * i).all()
        assert frame.points.dtype == np.float32
        assert frame.points[0] == pytest.approx([1 + i, 2 + i, 3 + i, 0.5 + i])
    assert "no odometry" in source.note


def test_folder_geometry_is_kittis(folder: Path) -> None:
    """A point goes through our transforms to the pixel KITTI's own chain puts it at."""
    rotation = cv2.Rodrigues(np.array([0.02, -0.01, 0.03]))[0]
    (folder / "calibration.json").write_text(
        json.dumps({**CALIBRATION, "rectification": rotation.tolist()})
    )
    source = open_source(folder, lidar_height=1.5)
    poses = {t.child: t.matrix for t in source.static}
    point = np.array([10.0, -1.0, 0.4, 1.0])
    optical = np.linalg.inv(poses[source.camera.frame]) @ poses[source.lidar_frame] @ point
    ours = source.camera.projection @ optical
    rectified = rotation @ (np.array(CALIBRATION["lidar_to_camera"]) @ point)
    theirs = np.array(CALIBRATION["projection"]) @ np.append(rectified, 1.0)
    assert ours[:2] / ours[2] == pytest.approx(theirs[:2] / theirs[2])
    assert poses[source.lidar_frame][2, 3] == 1.5


def rewrite(**changes: object) -> Callable[[Path], None]:
    def apply(drive: Path) -> None:
        content = {**CALIBRATION, **changes}
        (drive / "calibration.json").write_text(json.dumps(content))

    return apply


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: (d / "image" / "000002.png").unlink(), "1 frames have no image"),
        (lambda d: (d / "lidar" / "000001.bin").unlink(), "1 frames have no lidar.*000001"),
        (
            lambda d: [(d / n).unlink() for n in ("image/000002.png", "lidar/000002.bin")],
            "missing from the numbering: 000002",
        ),
        (lambda d: shutil.rmtree(d / "lidar"), "lidar holds no .bin files"),
        (lambda d: (d / "calibration.json").unlink(), "calibration.json is missing"),
        (lambda d: (d / "calibration.json").write_text("{"), "not readable as JSON"),
        (lambda d: (d / "calibration.json").write_text("[1]"), "does not hold a JSON object"),
        (rewrite(projection=[[1, 2], [3, 4]]), "'projection' must be 3×4 numbers"),
        (rewrite(projection=[["a"] * 4] * 3), "'projection' must be 3×4 numbers"),
        (rewrite(rate_hz=0), "'rate_hz' must be a positive number"),
        (rewrite(image={"width": "x"}), "'image'"),
        (rewrite(image={"width": 61, "height": 40}), "60×40 pixels, calibration.json says 61×40"),
        (lambda d: (d / "lidar" / "000003.bin").write_bytes(bytes(33)), "33 bytes"),
        (lambda d: (d / "image" / "000003.png").write_bytes(b"junk"), "no JPEG or PNG"),
    ],
)
def test_folder_that_is_not_whole(
    folder: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(folder)
    with pytest.raises(UserError, match=words) as caught:
        list(open_source(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_bag(tmp_path: Path, storage: StoragePlugin) -> None:
    source = open_source(write_bag(tmp_path / "bag", sensors(), storage))
    assert len(source) == 10
    frames = list(source)
    stamps = [round(frame.stamp * 1e-9, 3) for frame in frames]
    # The third image is 30 ms older than its cloud: in order of capture, not of arrival.
    assert stamps == [1.0, 1.1, 1.17, 1.2, 1.3, 1.4]
    assert frames[0].image is not None and frames[0].points is not None
    assert frames[2].points is None and frames[3].image is None
    assert frames[0].image[0, 0].tolist() == [0, 0, 200]
    # The point without a return is left out, and intensity made up.
    assert frames[0].points.tolist() == [[1, 2, 3, 0], [7, 8, 9, 0]]
    assert source.camera.frame == "optical" and source.lidar_frame == "lidar"
    assert source.camera.projection[0].tolist() == [60, 0, 32, 0]
    assert source.note == ""
    moved = [t.matrix[0, 3] for frame in frames for t in frame.transforms]
    assert moved == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_frames_without_a_known_pose_are_left_out(tmp_path: Path) -> None:
    rows = [row for row in sensors() if not (row[1] == "/tf" and row[0] in (1.0, 1.4))]
    stamps = [frame.stamp * 1e-9 for frame in open_source(write_bag(tmp_path / "bag", rows))]
    assert stamps == pytest.approx([1.1, 1.17, 1.2, 1.3])


def test_mcap_file_alone(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", sensors(2))
    (file,) = bag.glob("*.mcap")
    assert len(list(open_source(file))) == 2


def test_bag_without_odometry_stands_still(tmp_path: Path) -> None:
    rows = [row for row in sensors() if row[1] != "/tf"]
    source = open_source(write_bag(tmp_path / "bag", rows))
    assert "no odometry" in source.note
    assert ("odom", "base") in [(t.parent, t.child) for t in source.static]


def test_topics_are_chosen_by_name(tmp_path: Path) -> None:
    rear = [(1.0, "/rear/image_raw", image(1.0)), (1.0, "/rear/camera_info", info(1.0))]
    rows = [*sensors(), *rear]
    bag = write_bag(tmp_path / "bag", rows)
    with pytest.raises(UserError, match=r"/cam/image_raw, /rear/image_raw.*--image-topic"):
        open_source(bag)
    assert len(open_source(bag, image_topic="/rear/image_raw")) == 6
    with pytest.raises(UserError, match=r"no Image.*on /left"):
        open_source(bag, image_topic="/left")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([r for r in sensors() if r[1] != "/points"], "no sensor_msgs PointCloud2"),
        ([r for r in sensors() if r[1] != "/cam/image_raw"], "no sensor_msgs Image"),
        ([r for r in sensors() if r[1] != "/cam/camera_info"], "no CameraInfo"),
        ([r for r in sensors() if r[1] != "/tf_static"], "no transform connects"),
        (
            [(1.0, "/tf_static", STATIC), (1.0, "/cam/camera_info", info(1.0)),
             (1.0, "/points", cloud(1.0)), (1.0, "/cam/image_raw", image(1.0, encoding="32FC1"))],
            "encoding '32FC1'",
        ),
        (
            [(1.0, "/tf_static", STATIC), (1.0, "/cam/camera_info", info(1.0)),
             (1.0, "/points", cloud(1.0)), (1.0, "/cam/image_raw", image(1.0, step=500))],
            "record it again",
        ),
        ([(1.0, "/tf", transforms((1.0, "a", "b", (0, 0, 0))))], "needs a camera and a lidar"),
    ],
)  # fmt: skip
def test_bag_that_lacks_something(tmp_path: Path, rows: list, words: str) -> None:
    bag = write_bag(tmp_path / "bag", rows)
    with pytest.raises(UserError, match=words) as caught:
        list(open_source(bag))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_truncated_bag(tmp_path: Path, storage: StoragePlugin, share: float) -> None:
    bag = write_bag(tmp_path / "bag", sensors(200), storage)
    (file,) = [f for f in bag.iterdir() if f.suffix in (".mcap", ".db3")]
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="bag") as caught:
        list(open_source(bag))
    assert "\n" not in str(caught.value)


def test_things_that_are_no_recording(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_source(tmp_path / "nothing")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match="no recording this can read"):
        open_source(tmp_path / "notes.txt")
    (tmp_path / "bag.mcap").write_text("hello")
    with pytest.raises(UserError, match="cannot be read"):
        open_source(tmp_path / "bag.mcap")
    (tmp_path / "metadata.yaml").write_text("nothing: of use")
    with pytest.raises(UserError, match="cannot be read"):
        open_source(tmp_path)
