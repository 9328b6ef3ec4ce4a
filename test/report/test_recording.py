"""The file itself: bounded queue, full disk, files that are cut short or not recordings at all."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from synthetic import Scribe

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.perception.images import decode_bgr
from edge_robot.recording.images import compress_image, compressed_image_definition
from edge_robot.recording.reader import Recording
from edge_robot.recording.writer import RESERVE_BYTES, RecordingWriter

BOOL = "bool data"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("recording") / "run.mcap"
    with Scribe(file) as s:
        for i in range(40):
            s.event(0.1 * i, f"event {i}", os.urandom(40_000).hex())
    return file.read_bytes()


def read(folder: Path, content: bytes) -> Recording:
    file = folder / "cut.mcap"
    file.write_bytes(content)
    return Recording(file)


def image(encoding: str, pixels: np.ndarray, step: int) -> bytes:
    types = get_typestore(Stores.ROS2_HUMBLE)
    stamp = types.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
    header = types.types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
    message = types.types["sensor_msgs/msg/Image"](
        header, len(pixels), pixels.shape[1], encoding, 0, step, pixels.reshape(-1)
    )
    return bytes(types.serialize_cdr(message, "sensor_msgs/msg/Image"))


def test_images_of_any_encoding_are_recorded_and_impossible_ones_left_out(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    writer = RecordingWriter(file)
    channel = writer.add_channel(
        "/image/compressed", "sensor_msgs/msg/CompressedImage", compressed_image_definition()
    )
    encode = partial(compress_image, quality=90)
    grey = np.full((16, 16, 2), 128, np.uint8)  # middle luma, no colour
    for number, step in enumerate((32, 31, 32)):
        writer.write(channel, number, number, image("yuv422", grey, step), encode)
    writer.close()
    assert writer.unreadable == {"/image/compressed": 1}
    recorded = [s.message for s in Recording(file).samples("/image/compressed")]
    assert len(recorded) == 2
    assert abs(decode_bgr(bytes(recorded[0].data)).mean() - 255 / 219 * 112) < 2.0
    with pytest.raises(UserError, match="32FC1"):
        compress_image(image("32FC1", np.zeros((4, 4, 4), np.uint8), 16), 90)


def test_a_slow_disk_drops_and_counts(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    writer = RecordingWriter(file, queue_bytes=10_000)
    channel = writer.add_channel("/estop", "std_msgs/msg/Bool", BOOL)
    disk_is_free = threading.Event()

    def slow(data: bytes) -> bytes:
        disk_is_free.wait()
        return data

    kept = [writer.write(channel, i, i, bytes(1000), slow) for i in range(40)]
    # The queue holds 10; the writing thread may have taken one off it.
    assert 10 <= sum(kept) <= 12
    disk_is_free.set()
    writer.close()
    assert writer.dropped["/estop"] == kept.count(False)
    recording = Recording(file)
    assert recording.metadata["recorder"]["dropped"] == str(kept.count(False))
    assert recording.metadata["recorder"]["dropped /estop"] == str(kept.count(False))
    assert recording.count("/estop") == sum(kept)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a file system of 12 MB cannot be mounted here (needs root)")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_full_disk_leaves_a_whole_file(tiny_disk: Path) -> None:
    file = tiny_disk / "run.mcap"
    writer = RecordingWriter(file, compression="none")
    channel = writer.add_channel("/estop", "std_msgs/msg/Bool", BOOL)
    for i in range(40):
        writer.write(channel, i, i, os.urandom(500_000))
    with pytest.raises(UserError, match="No space left on device"):
        writer.close()
    recording = Recording(file)
    assert recording.complete
    assert recording.count("/estop") * 500_000 > (12 << 20) - RESERVE_BYTES - 1_500_000
    with AnyReader([file]) as reader:
        assert reader.message_count == recording.count("/estop")


def test_too_full_to_begin(tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(bytes(10 << 20))
    with pytest.raises(UserError, match="No space left on device"):
        RecordingWriter(tiny_disk / "run.mcap")
    assert not (tiny_disk / "run.mcap").exists()


def test_cut_short_is_read_as_far_as_it_goes(whole: bytes, tmp_path: Path) -> None:
    recording = read(tmp_path, whole[: len(whole) * 2 // 3])
    assert not recording.complete
    names = [s.message.name for s in recording.samples(recording.name_of(topics.EVENTS))]
    assert 5 < len(names) < 40
    assert names == [f"event {i}" for i in range(len(names))]


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n", b"SQLite format 3\x00", b"x" * 100])
def test_not_a_recording(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        read(tmp_path, content)


@settings(max_examples=60, deadline=None)
@given(
    cut=st.floats(0.0, 1.0),
    flips=st.lists(st.tuples(st.floats(0.0, 0.9999), st.integers(1, 255)), max_size=6),
)
def test_damage_is_a_user_error_or_nothing(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, cut: float, flips: list[tuple]
) -> None:
    content = bytearray(whole[: int(cut * len(whole))])
    for where, bits in flips:
        if content:
            content[int(where * len(content))] ^= bits
    try:
        recording = read(tmp_path_factory.getbasetemp(), bytes(content))
        for topic in recording.topics:
            recording.samples(topic)
    except UserError:
        pass


@settings(max_examples=60, deadline=None)
@given(head=st.integers(0, 400), bits=st.integers(1, 255), cut=st.integers(0, 400))
def test_damage_at_the_head(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, head: int, bits: int, cut: int
) -> None:
    content = bytearray(whole[: len(whole) - cut])
    content[head] ^= bits
    try:
        recording = read(tmp_path_factory.getbasetemp(), bytes(content))
        for topic in recording.topics:
            recording.samples(topic)
    except UserError:
        pass
