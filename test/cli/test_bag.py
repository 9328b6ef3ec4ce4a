"""`edge-robot bag` against real nodes: what is recorded is what is played."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from edge_robot.recording.reader import Recording

TALKER = """
from geometry_msgs.msg import PointStamped
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from std_msgs.msg import Int32, String

number = node.create_publisher(Int32, "number", 10)
point = node.create_publisher(PointStamped, "point", qos_profile_sensor_data)
latched = node.create_publisher(
    String, "latched", QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
)
latched.publish(String(data="kept"))
count = 0

def talk():
    global count
    count += 1
    number.publish(Int32(data=count))
    point.publish(PointStamped())

node.create_timer(0.02, talk)
"""

LISTENER = """
from std_msgs.msg import Int32
node.create_subscription(Int32, "heard", lambda m: print("number", m.data, flush=True), 100)
"""


def record(tools, folder: Path, *arguments: str, until: str = "/number") -> None:
    recorder = tools.start("bag", "record", "-o", str(folder), *arguments)
    recorder.wait_for(f"Subscribed to topic '{until}'")
    size = folder / f"{folder.name}_0.mcap"
    recorder.wait_for("Recording...")
    subprocess.run(["sleep", "1"], check=True)
    assert size.exists()
    assert recorder.stop(signal.SIGINT) == 0, "\n".join(recorder.lines)
    assert re.search(r"Recording stopped: \d+ messages in", recorder.lines[-1]), recorder.lines


def test_a_recording_holds_what_was_published(tools, start_node, tmp_path: Path) -> None:
    start_node(TALKER)
    folder = tmp_path / "drive"
    record(tools, folder, "-a", until="/point")
    with AnyReader([folder]) as reader:
        connections = {c.topic: c for c in reader.connections}
        assert {"/number", "/point", "/latched"} <= connections.keys()
        numbers = [
            (reader.deserialize(data, c.msgtype).data, time)
            for c, time, data in reader.messages([connections["/number"]])
        ]
        (kept,) = [
            reader.deserialize(data, c.msgtype).data
            for c, _, data in reader.messages([connections["/latched"]])
        ]
    assert kept == "kept"
    values = [value for value, _ in numbers]
    assert len(values) > 10
    assert values == list(range(values[0], values[0] + len(values)))
    assert numbers == sorted(numbers, key=lambda row: row[1])
    (offer,) = connections["/latched"].ext.offered_qos_profiles
    assert offer.durability is QosDurability.TRANSIENT_LOCAL
    (offer,) = connections["/point"].ext.offered_qos_profiles
    assert offer.reliability is QosReliability.BEST_EFFORT
    store = get_typestore(Stores.ROS2_JAZZY)
    assert connections["/point"].digest == store.hash_rihs01("geometry_msgs/msg/PointStamped")


def test_a_file_alone_tells_the_same(tools, start_node, tmp_path: Path) -> None:
    start_node(TALKER)
    folder = tmp_path / "drive"
    record(tools, folder, "/number", "/point", "--compression", "zstd")
    whole = tools.out("bag", "info", str(folder))
    alone = tools.out("bag", "info", str(folder / "drive_0.mcap"))
    assert alone.replace("unknown", "jazzy") == whole
    assert "Topic: /number | Type: std_msgs/msg/Int32 | Count: " in whole
    assert tools.out("bag", "info", "-t", str(folder)).split() == ["/number", "/point"]
    with Reader(folder / "drive_0.mcap") as reader:
        for connection in reader.connections:
            (offer,) = connection.ext.offered_qos_profiles
            assert offer.durability is QosDurability.VOLATILE


def test_only_what_is_wanted_is_recorded(tools, start_node, tmp_path: Path) -> None:
    start_node(TALKER)
    record(tools, tmp_path / "regex", "-e", "num|poi", "--exclude-topics", "/point", "/latched")
    assert tools.out("bag", "info", "-t", str(tmp_path / "regex")).split() == ["/number"]


def test_a_topic_that_comes_later_is_recorded(tools, start_node, tmp_path: Path) -> None:
    recorder = tools.start(
        "bag", "record", "-o", str(tmp_path / "late"), "--topics", "/number", "/latched"
    )
    recorder.wait_for("Recording...")
    start_node(TALKER)
    recorder.wait_for("Subscribed to topic", 2)
    recorder.stop(signal.SIGTERM)
    assert sorted(tools.out("bag", "info", "-t", str(tmp_path / "late")).split()) == [
        "/latched", "/number",
    ]  # fmt: skip


def test_record_refuses_what_cannot_be(tools, tmp_path: Path) -> None:
    for arguments, error in (
        ((), "Need to specify at least one option"),
        (("-a", "-o", str(tmp_path)), f"Output folder '{tmp_path}' already exists."),
        (("-e", "("), "no regular expression"),
    ):
        done = tools.run("bag", "record", *arguments)
        assert done.returncode == 1
        assert error in done.stderr


def test_a_full_disk_is_a_line_and_leaves_a_bag(tools, start_node, tmp_path: Path) -> None:
    start_node(
        """
        from std_msgs.msg import String
        big = node.create_publisher(String, "big", 10)
        node.create_timer(0.05, lambda: big.publish(String(data="x" * 500_000)))
        """
    )
    limit = 6 << 20  # more than is held in reserve, so that the recording itself meets it
    record = tools.command("bag", "record", "/big", "-o", str(tmp_path / "full"))
    # Not by a preexec_fn: this process may have gRPC's threads, which do not survive a fork.
    done = subprocess.run(
        ["sh", "-c", f'ulimit -f {limit // 512} && exec "$@"', "sh", *record],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    (line,) = [row for row in done.stderr.splitlines() if row.startswith("error: ")]
    assert "cannot write" in line
    assert "free space" in line
    assert Recording(tmp_path / "full" / "full_0.mcap").count("/big") > 1
    assert "name: /big" in (tmp_path / "full" / "metadata.yaml").read_text()


STORE = get_typestore(Stores.ROS2_HUMBLE)
INT32 = STORE.types["std_msgs/msg/Int32"]


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Two seconds of numbers, one each 0.1 s, made by another library."""
    folder = tmp_path / "made"
    with Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        number = writer.add_connection("/number", "std_msgs/msg/Int32", typestore=STORE)
        other = writer.add_connection("/other", "std_msgs/msg/Int32", typestore=STORE)
        for i in range(21):
            data = STORE.serialize_cdr(INT32(data=i), "std_msgs/msg/Int32")
            writer.write(number, 10**18 + i * 10**8, data)
            writer.write(other, 10**18 + i * 10**8, data)
    return folder


def test_play_publishes_at_the_times_of_the_bag(tools, start_node, bag: Path) -> None:
    listener = start_node(LISTENER, name="listener")
    play = ("bag", "play", str(bag), "--remap", "/number:=/heard", "--delay", "5", "--rate", "4")
    clock = tools.start("topic", "echo", "/clock", "rosgraph_msgs/msg/Clock", "--csv")
    done = tools.run(*play, "--start-offset", "1", "--topics", "/number", "--clock", "20")
    assert done.returncode == 0, done.stderr
    listener.wait_for("number", 11)
    assert [int(line.split()[1]) for line in listener.lines if "number" in line] == list(
        range(10, 21)
    )
    clock.wait_for("1000000002,0")
    stamps = [tuple(map(int, row.split(","))) for row in clock.lines if row[:1].isdigit()]
    assert stamps == sorted(stamps)
    assert stamps[-1] == (1_000_000_002, 0)


def test_play_offers_what_was_recorded(tools, start_node, tmp_path: Path) -> None:
    talker = start_node(TALKER)
    record(tools, tmp_path / "drive", "/latched", "/number", "/point")
    talker.stop(signal.SIGINT)
    player = tools.start("bag", "play", str(tmp_path / "drive"), "--loop")
    player.wait_for("Set rate to 1")
    assert tools.out("topic", "echo", "/latched", "--once") == "data: kept\n---\n"
    assert "Reliability: BEST_EFFORT" in tools.out("topic", "info", "-v", "/point")
    assert player.stop(signal.SIGINT) == 0, player.lines


def test_play_and_info_refuse_what_is_no_bag(tools, tmp_path: Path) -> None:
    (tmp_path / "broken.mcap").write_bytes(os.urandom(1000))
    (tmp_path / "empty").mkdir()
    for verb in ("play", "info"):
        for name, error in (
            ("nothing", "does not exist"),
            ("broken.mcap", "cannot be read"),
            ("empty", "cannot be read"),
        ):
            done = tools.run("bag", verb, str(tmp_path / name))
            assert done.returncode == 2
            assert error in done.stderr
            assert len(done.stderr.splitlines()) == 1
