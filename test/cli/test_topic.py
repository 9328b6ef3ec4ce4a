"""`edge-robot topic` against real nodes; texts as ros2cli's."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest

TALKER = """
from geometry_msgs.msg import PointStamped
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from std_msgs.msg import String

chatter = node.create_publisher(String, "chatter", 10)
point = node.create_publisher(PointStamped, "point", qos_profile_sensor_data)
latched = node.create_publisher(
    String, "latched", QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
)
hidden = node.create_publisher(String, "_hidden", 10)
latched.publish(String(data="kept"))

def talk():
    chatter.publish(String(data="hello " + 30 * "x"))
    message = PointStamped()
    message.header.stamp = node.get_clock().now().to_msg()
    message.header.frame_id = "map"
    message.point.x = 1.5
    point.publish(message)

node.create_timer(0.05, talk)
"""

INFO = """\
Type: std_msgs/msg/String

Publisher count: 1

Node name: talker
Node namespace: /
Topic type: std_msgs/msg/String
Topic type hash: RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18
Endpoint type: PUBLISHER
GID: GID
QoS profile:
  Reliability: RELIABLE
  History (Depth): KEEP_LAST (1)
  Durability: TRANSIENT_LOCAL
  Lifespan: Infinite
  Deadline: Infinite
  Liveliness: AUTOMATIC
  Liveliness lease duration: Infinite

Subscription count: 0

"""

BUILT_IN = {"/parameter_events", "/rosout"}
"""Topics that nodes have of their own."""


@pytest.fixture
def talker(start_node: Callable) -> None:
    start_node(TALKER)


def lines_without_built_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.split()[0] not in BUILT_IN]


def test_list_names_topics_and_types(tools, talker) -> None:
    assert lines_without_built_in(tools.out("topic", "list", "-t")) == [
        "/chatter [std_msgs/msg/String]",
        "/latched [std_msgs/msg/String]",
        "/point [geometry_msgs/msg/PointStamped]",
    ]
    hidden = tools.out("topic", "list", "--include-hidden-topics")
    assert "/_hidden" in hidden.splitlines()
    verbose = tools.out("topic", "list", "-v")
    assert verbose.startswith("Published topics:\n * /")
    assert " * /chatter [std_msgs/msg/String] 1 publisher\n" in verbose
    assert "\n\nSubscribed topics:\n" in verbose
    assert int(tools.out("topic", "list", "-c")) == len(tools.out("topic", "list").splitlines())


def test_info_says_who_is_there(tools, talker) -> None:
    text = tools.out("topic", "info", "-v", "/latched")
    assert re.sub(r"GID: [0-9a-f.]{47}", "GID: GID", text) == INFO
    assert tools.out("topic", "info", "/chatter") == (
        "Type: std_msgs/msg/String\nPublisher count: 1\nSubscription count: 0\n"
    )
    unknown = tools.run("topic", "info", "/nothing")
    assert (unknown.returncode, unknown.stderr) == (1, "Unknown topic '/nothing'\n")


def test_type_and_find_are_each_others_inverse(tools, talker) -> None:
    assert tools.out("topic", "type", "/point") == "geometry_msgs/msg/PointStamped\n"
    found = tools.out("topic", "find", "geometry_msgs/msg/PointStamped")
    assert found == "/point\n"
    unknown = tools.run("topic", "type", "/nothing")
    assert (unknown.returncode, unknown.stdout, unknown.stderr) == (1, "", "")


def test_echo_prints_one_message_of_each_kind_of_publisher(tools, talker) -> None:
    assert tools.out("topic", "echo", "/latched", "--once") == "data: kept\n---\n"
    text = tools.out("topic", "echo", "/point", "--once")
    assert re.sub(r"sec: \d+", "sec: N", text) == (
        "header:\n  stamp:\n    sec: N\n    nanosec: N\n  frame_id: map\n"
        "point:\n  x: 1.5\n  y: 0.0\n  z: 0.0\n---\n"
    )


def test_echo_shows_what_is_asked_for(tools, talker) -> None:
    assert tools.out("topic", "echo", "/point", "--once", "--field", "point.x") == "1.5\n---\n"
    assert tools.out("topic", "echo", "/chatter", "--once", "-l", "7") == "data: hello x...\n---\n"
    csv = tools.out("topic", "echo", "/point", "--once", "--csv")
    assert re.fullmatch(r"\d+,\d+,map,1\.5,0\.0,0\.0\n", csv)
    raw = tools.out("topic", "echo", "/latched", "--once", "--raw")
    # DDS pads to four bytes with whatever there is.
    assert raw.startswith("b'\\x00\\x01\\x00\\x00\\x05\\x00\\x00\\x00kept\\x00")
    info = tools.out("topic", "echo", "/latched", "--once", "-i")
    assert "source_timestamp: " in info
    assert info.endswith("---\ndata: kept\n---\n")


def test_echo_prints_nothing_that_the_filter_does_not_want(tools, talker) -> None:
    none = tools.out("topic", "echo", "/point", "--filter", "m.point.x > 2", "--timeout", "1")
    assert none == ""
    one = tools.out("topic", "echo", "/point", "--filter", "m.point.x > 1", "--once", "--csv")
    assert one.count("\n") == 1
    for wrong, told in (("m.point.x >", "is malformed"), ("m.point.q", "is no field")):
        refused = tools.run("topic", "echo", "/point", "--filter", wrong, "--once")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert told in refused.stderr


def test_echo_refuses_what_cannot_be_shown(tools, talker) -> None:
    for arguments, error in (
        (("/nothing",), "Could not determine the type for the passed topic\n"),
        (("/point", "--field", "point.q"), "Invalid field 'point.q': 'Point' object has no"),
        (("/point", "--field", "."), "Invalid field value '.'\n"),
        (("/point", "geometry_msgs/msg/Nothing"), "The passed message type is invalid\n"),
        (("/point", "--qos-reliability", "perhaps"), "perhaps is no QoS policy"),
    ):
        done = tools.run("topic", "echo", *arguments)
        assert done.returncode == 1, arguments
        assert done.stderr.startswith(error)
    assert tools.run("topic", "echo", "/nothing").stdout == (
        "WARNING: topic [/nothing] does not appear to be published yet\n"
    )


def test_rates_are_printed_until_interrupted(tools, talker) -> None:
    running = {
        "hz": tools.start("topic", "hz", "/point"),
        "bw": tools.start("topic", "bw", "/point"),
        "delay": tools.start("topic", "delay", "/point"),
    }
    pattern = r"\tmin: \d\.\d{3}s max: \d+\.\d{3}s std dev: \d\.\d{5}s window: \d+"
    for name in ("hz", "delay"):
        running[name].wait_for("window: ", 2)
        assert re.fullmatch(pattern, running[name].lines[1])
    running["bw"].wait_for("Message size mean", 2)
    assert re.match(r"average rate: \d+\.\d{3}$", running["hz"].lines[0])
    assert re.match(r"average delay: -?\d+\.\d{3}$", running["delay"].lines[0])
    assert running["bw"].lines[0] == "Subscribed to [/point]"
    assert re.match(r"\d+(\.\d\d K)? ?B/s from \d+ messages$", running["bw"].lines[1])
    assert re.match(
        r"\tMessage size mean: \S+ K?B min: \S+ K?B max: \S+ K?B$", running["bw"].lines[2]
    )
    for tool in running.values():
        assert tool.stop(signal.SIGINT) == signal.SIGINT


def test_hz_waits_for_a_publisher(tools, start_node) -> None:
    hz = tools.start("topic", "hz", "/point")
    hz.wait_for("WARNING: topic [/point] does not appear to be published yet")
    start_node(TALKER)
    hz.wait_for("average rate: ")


def test_delay_needs_a_header(tools, talker) -> None:
    done = tools.run("topic", "delay", "/chatter")
    assert (done.returncode, done.stderr) == (1, "msg does not have header\n")


def test_pub_reaches_echo(tools) -> None:
    echo = tools.start("topic", "echo", "/greeting", "std_msgs/msg/String")
    done = tools.run(
        "topic", "pub", "-t", "2", "-r", "20", "/greeting", "std_msgs/msg/String", "data: 5"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(
        "publisher: beginning loop\n"
        "publishing #1: std_msgs.msg.String(data='5')\n\n"
        "publishing #2: std_msgs.msg.String(data='5')\n\n"
    )
    echo.wait_for("data: '5'", 2)


def test_pub_stamps_with_the_time_of_publishing(tools) -> None:
    done = tools.run(
        "topic", "pub", "-w", "0", "-t", "3", "-r", "50", "/point",
        "geometry_msgs/msg/PointStamped", "{header: auto, point: {x: 1}}",
    )  # fmt: skip
    stamps = re.findall(r"Time\(sec=(\d+), nanosec=(\d+)\)", done.stdout)
    assert len(set(stamps)) == 3
    assert "Point(x=1.0, y=0.0, z=0.0)" in done.stdout


def test_pub_refuses_what_cannot_be_published(tools) -> None:
    string = ("/x", "std_msgs/msg/String")
    for arguments, error in (
        ((*string, "dato: 5"), "Failed to populate field: 'String' object has no attribute 'dato'"),
        ((*string, "5"), "The passed value needs to be a dictionary in YAML format"),
        (("/x", "std_msgs/msg/Nothing"), "The passed message type is invalid"),
        ((*string, "--max-wait-time-secs", "1"), "--max-wait-time-secs option is only effective"),
        (
            ("-1", "--max-wait-time-secs", "0.2", *string),
            "Timed out waiting for subscribers: Expected 1 subcribers but only got 0 subscribers",
        ),
    ):
        done = tools.run("topic", "pub", *arguments)
        assert done.returncode == 1, arguments
        assert done.stderr.startswith(error)


def test_pub_reads_values_from_stdin(tools) -> None:
    arguments = ("topic", "pub", "-1", "-w", "0", "--stdin", "/x", "std_msgs/msg/String")
    assert "String(data='from afar')" in tools.run(*arguments, stdin="data: from afar").stdout
