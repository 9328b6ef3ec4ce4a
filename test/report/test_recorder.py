"""The recorder as users run it: a process that listens to real DDS publishers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rclpy
from edge_robot.msg import Event, StageRun
from geometry_msgs.msg import TwistStamped
from mcap.reader import make_reader
from rclpy.duration import Duration
from rclpy.node import Node
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image

from edge_robot import topics
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.recorder import Recorder
from edge_robot.recording.reader import Recording
from edge_robot.topics import Topic

SPACE = "m" * (1 << 20)
"""Fills a chunk of the recording: once it is on disk, all events before it are."""


@contextmanager
def recorder(
    output: Path, *arguments: str, limit: int | None = None, niceness: int = 0
) -> Iterator[subprocess.Popen]:
    # Before it by programs, not by a preexec_fn: this process may have gRPC's threads, which do not
    # survive being forked without exec.
    command = ["nice", "-n", str(niceness)]
    if limit is not None:
        command += ["sh", "-c", f'ulimit -f {limit // 512} && exec "$@"', "sh"]
    command += [sys.executable, "-m", "edge_robot.nodes.recorder", "--ros-args"]
    command += ["-p", f"output:={output}", "-p", "compression:=none", *arguments]
    process = subprocess.Popen(command, env=os.environ.copy(), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def talker(domain: int) -> Iterator[Node]:
    rclpy.init()
    node = Node("talker")
    yield node
    node.destroy_node()
    rclpy.shutdown()


def until(condition: Callable[[], bool], what: str, patience: float = 30.0) -> None:
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.02)


def publisher(node: Node, topic: Topic) -> object:
    made = node.create_publisher(interface_class(topic.type), topic.name, qos_profile(topic))
    until(lambda: made.get_subscription_count() > 0, f"a subscription to {topic.name}")
    return made


def test_round_trip(talker: Node, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "run.mcap"
    rng = np.random.default_rng(1)
    pixels = np.full((48, 64, 3), (20, 120, 220), np.uint8)
    begun = time.time_ns()
    with recorder(file, "-p", "image_rate:=0.0") as process:
        events = publisher(talker, topics.EVENTS)
        commands = publisher(talker, topics.CMD_VEL)
        images = publisher(talker, topics.CAMERA_IMAGE)
        deadlines = publisher(talker, topics.DEADLINES)
        for i in range(20):
            command = TwistStamped()
            command.header.stamp.nanosec = i
            command.twist.linear.x = 0.1 * i
            commands.publish(command)
            image = Image(height=48, width=64, step=192, encoding="bgr8", data=pixels.tobytes())
            image.header.stamp.sec = i
            images.publish(image)
            time.sleep(0.02)  # /cmd_vel keeps only the last sample
        deadline = interface_class(topics.DEADLINES.type)(stage="control", budget=0.005)
        deadline.runs = [StageRun(elapsed=float(v)) for v in rng.uniform(0, 0.01, 3)]
        deadlines.publish(deadline)
        for i in range(10):
            events.publish(Event(name="goal_sent", detail=f"number {i} — été"))
        events.publish(Event(name="last", detail=SPACE))
        until(lambda: file.stat().st_size > len(SPACE), "the events on disk")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr.read().count("Traceback") == 0

    recording = Recording(file)
    assert recording.complete
    assert recording.metadata["recorder"]["dropped"] == "0"
    names = [s.message.detail for s in recording.samples("/events")]
    assert names[:10] == [f"number {i} — été" for i in range(10)]
    assert names[10] == SPACE
    sent = recording.samples("/cmd_vel")
    assert [round(s.message.twist.linear.x, 3) for s in sent] == [
        round(0.1 * s.message.header.stamp.nanosec, 3) for s in sent
    ]
    assert len(sent) >= 15
    assert all(begun < s.wall < time.time_ns() for s in sent)
    (status,) = recording.samples("/deadlines")
    assert [run.elapsed for run in status.message.runs] == pytest.approx(
        [run.elapsed for run in deadline.runs]
    )
    import cv2

    picture = recording.samples("/camera/front/image_raw/compressed")[-1].message
    decoded = cv2.imdecode(np.asarray(picture.data), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - pixels).max() < 12

    # What other programs make of it.
    with AnyReader([file]) as reader:
        topics_found = {c.topic: c for c in reader.connections}
        assert topics_found["/events"].msgtype == "edge_robot/msg/Event"
        for connection, _, data in reader.messages():
            reader.deserialize(data, connection.msgtype)
    with file.open("rb") as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        schemas = {s.name: s.data.decode() for s in summary.schemas.values()}
        # Constants and comments of our own messages are carried along for people.
        assert "# Something that happened once" in schemas["edge_robot/msg/Event"]
        assert "uint8 BREAKER_OPEN = 2" in schemas["edge_robot/msg/LinkState"]
        assert "MSG: edge_robot/StageRun" in schemas["edge_robot/msg/DeadlineStatus"]
        counted = sum(1 for _ in make_reader(stream).iter_messages())
        assert counted == summary.statistics.message_count


def test_what_waits_at_the_end_is_recorded(domain: int, tmp_path: Path) -> None:
    """Up to 20 ms pass before the recorder looks at what has come."""
    file = tmp_path / "run.mcap"
    rclpy.init(args=["--ros-args", "-p", f"output:={file}"])
    try:
        node = Recorder()
        node.trigger_configure()
        node.trigger_activate()
        events = publisher(node, topics.EVENTS)
        for i in range(5):
            events.publish(Event(name="last", detail=str(i)))
        assert events.wait_for_all_acked(Duration(seconds=5.0))
        node.trigger_deactivate()
        node.trigger_cleanup()
        node.destroy_node()
    finally:
        rclpy.shutdown()
    found = [s.message.detail for s in Recording(file).samples("/events")]
    assert found == [str(i) for i in range(5)]


def test_short_lived_commands_are_recorded_on_a_busy_machine(talker: Node, tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    crowd: list[subprocess.Popen] = []
    with recorder(file, niceness=10) as process:
        commands = publisher(talker, topics.CMD_VEL)
        try:
            # As many as perception, with what it is granted, can be.
            spin = ["nice", "-n", "-5", sys.executable, "-c", "while True: pass"]
            crowd += [subprocess.Popen(spin) for _ in range(4 * len(os.sched_getaffinity(0)))]
            time.sleep(1.0)
            if any(os.getpriority(os.PRIO_PROCESS, busy.pid) > -5 for busy in crowd):
                pytest.skip("nobody here is permitted to go before others")
            for i in range(100):
                command = TwistStamped()
                command.header.stamp.nanosec = i
                commands.publish(command)
                time.sleep(0.02)
        finally:
            for busy in crowd:
                busy.kill()
                busy.wait()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    sent = [s.message.header.stamp.nanosec for s in Recording(file).samples("/cmd_vel")]
    assert len(sent) >= 80  # 28 to 70 where it does not go before others


def test_images_are_thinned_by_capture_time(talker: Node, tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    with recorder(file, "-p", "image_rate:=2.0") as process:
        events = publisher(talker, topics.EVENTS)
        images = publisher(talker, topics.CAMERA_IMAGE)
        for i in range(21):
            image = Image(height=2, width=2, step=6, encoding="rgb8", data=bytes(12))
            image.header.stamp.sec, image.header.stamp.nanosec = divmod(i * 100_000_000, 10**9)
            images.publish(image)
            time.sleep(0.02)
        events.publish(Event(name="last", detail=SPACE))
        until(lambda: file.stat().st_size > len(SPACE), "the events on disk")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    stamps = [
        s.message.header.stamp.sec + s.message.header.stamp.nanosec * 1e-9
        for s in Recording(file).samples("/camera/front/image_raw/compressed")
    ]
    assert 3 <= len(stamps) <= 5
    assert min(np.diff(stamps)) >= 0.45


def test_full_disk_is_one_line_and_leaves_a_readable_file(talker: Node, tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    limit = 6 << 20  # more than the space held in reserve, so that the recording itself meets it
    with recorder(file, limit=limit) as process:
        events = publisher(talker, topics.EVENTS)
        for i in range(60):
            if process.poll() is not None:
                break
            events.publish(Event(name=f"event {i}", detail=SPACE))
            time.sleep(0.1)
        assert process.wait(timeout=30) == 2
        (line,) = [row for row in process.stderr.read().splitlines() if "error" in row]
    assert "cannot write" in line and str(file) in line and "free space" in line
    assert Recording(file).count("/events") >= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-p", "topics:=['/nope']"), "/nope"),
        (("-p", "compression:=rar"), "rar"),
        (("-p", "output:=/proc/none/run.mcap"), "/proc/none"),
    ],
)
def test_wrong_parameters_are_one_line(
    domain: int, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    with recorder(tmp_path / "run.mcap", *arguments) as process:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 2, errors
        assert errors.startswith("error: ") and words in errors
        assert len(errors.strip().splitlines()) == 1
