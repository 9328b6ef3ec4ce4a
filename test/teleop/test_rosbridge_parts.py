"""rosbridge's parts by themselves: what is read, written, kept and permitted."""

from __future__ import annotations

import base64
import json
import sys
from math import inf, nan
from types import SimpleNamespace
from typing import Any

import pytest
from filled_messages import filled
from geometry_msgs.msg import PoseStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from nav_msgs.msg import OccupancyGrid
from rclpy.serialization import serialize_message
from sensor_msgs.msg import LaserScan

from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.teleop.access import Role
from edge_robot.teleop.permissions import Permissions, checked_name
from edge_robot.teleop.rosbridge import outbox
from edge_robot.teleop.rosbridge.operations import (
    MAX_QUEUE,
    CallService,
    OperationError,
    Subscribe,
    parse,
)
from edge_robot.teleop.rosbridge.outbox import Outbox
from edge_robot.teleop.rosbridge.values import fill, text_of
from edge_robot.topics import TOPICS

NOW = (12, 34)


def test_a_wish_is_read_with_its_bounds() -> None:
    wish = parse(
        '{"op":"subscribe","id":"a","topic":"odom","throttle_rate":250,"queue_length":9999}'
    )
    assert wish == Subscribe("a", "/odom", None, 0.25, MAX_QUEUE)
    call = parse('{"op": "call_service", "service": "rosapi/topics"}')
    assert call == CallService(None, "/rosapi/topics", "rosapi/topics", {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ('{"op": "publish", "topic": "/a", "msg": {"x": NaN}}', "no number in JSON"),
        ("[" * 60000, "no JSON"),
        ("[]", "a message is a JSON object"),
        ('{"op": "fly"}', "no operation"),
        ('{"op": "publish", "id": {}, "topic": "/a"}', "an id is"),
        ('{"op": "publish", "topic": "/a/../cmd_vel"}', "no name"),
        ('{"op": "publish", "topic": "/a", "msg": []}', "msg is not"),
        ('{"op": "subscribe", "topic": "/a", "compression": "png"}', "compression"),
        ('{"op": "subscribe", "topic": "/a", "fragment_size": 100}', "fragment"),
        ('{"op": "subscribe", "topic": "/a", "throttle_rate": -1}', "throttle_rate"),
        ('{"op": "send_action_goal", "action": "/a"}', "actions are not served"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(OperationError, match=words):
        parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=5,
)
WISHES = st.dictionaries(
    st.sampled_from(
        ["op", "id", "topic", "type", "msg", "service", "args", "throttle_rate", "level"]
    ),
    JSON | st.sampled_from(["subscribe", "publish", "call_service", "set_level", "/a", "error"]),
)


@settings(max_examples=200, deadline=None)
@given(st.text() | WISHES.map(json.dumps))
def test_nonsense_is_refused_and_nothing_else(text: str) -> None:
    try:
        parse(text)
    except OperationError as error:
        assert str(error)


@pytest.mark.parametrize("type_name", sorted({topic.type for topic in TOPICS}))
def test_json_tells_all_of_a_message(type_name: str) -> None:
    message = filled(type_name)
    told = json.loads(text_of(message))
    copy = fill(interface_class(type_name)(), told, lambda: NOW)
    assert serialize_message(copy) == serialize_message(message)


def test_json_says_bytes_in_base64_and_what_is_not_finite_as_null() -> None:
    assert json.loads(text_of(LaserScan(range_max=inf, ranges=[1.0, nan, 3.0]))) == {
        **json.loads(text_of(LaserScan())),
        "range_max": None,
        "ranges": [1.0, None, 3.0],
    }
    told = json.loads(text_of(filled("sensor_msgs/Image")))
    assert base64.b64decode(told["data"]) == b"\x07\x07"
    cells = [number % 101 - 1 for number in range(20000)]  # in several pieces
    assert json.loads(text_of(OccupancyGrid(data=cells)))["data"] == cells


def test_a_stamp_left_out_is_now_and_null_is_nan() -> None:
    pose = fill(PoseStamped(), {"pose": {"position": {"x": None}}}, lambda: NOW)
    assert (pose.header.stamp.sec, pose.header.stamp.nanosec) == NOW
    assert pose.pose.position.x != pose.pose.position.x
    stamp = {"header": {"stamp": {"secs": 5, "nsecs": 6}, "frame_id": "odom"}}
    pose = fill(PoseStamped(), stamp, lambda: NOW)
    assert (pose.header.stamp.sec, pose.header.stamp.nanosec) == (5, 6)


@pytest.mark.parametrize(
    ("type_name", "values", "words"),
    [
        ("std_msgs/String", {"data": 7}, "data is no string"),
        ("std_msgs/String", {"text": "a"}, "no field text"),
        ("std_msgs/Bool", {"data": 1}, "data is no boolean"),
        ("std_msgs/UInt8", {"data": 256}, "data is no uint8"),
        ("std_msgs/UInt8", {"data": True}, "data is no uint8"),
        ("std_msgs/UInt8", {"data": 1.0}, "data is no uint8"),
        ("std_msgs/Float32", {"data": 1e39}, "data is no float"),
        ("std_msgs/Float64", {"data": "1"}, "data is no double"),
        ("sensor_msgs/Image", {"data": "no base64!"}, "data is no base64"),
        ("sensor_msgs/Image", {"data": [300]}, r"data\[0\] is no uint8"),
        ("geometry_msgs/PoseStamped", {"pose": {"position": 1}}, "pose.position is not a JSON obj"),
        ("geometry_msgs/PoseStamped", {"header": []}, "header is not a JSON object"),
        ("nav_msgs/Path", {"poses": [{"pose": {"a": 1}}]}, r"no field poses\[0\].pose.a"),
        ("nav_msgs/Odometry", {"pose": {"covariance": [0.0]}}, "1 elements instead of 36"),
    ],
)
def test_what_does_not_fit_a_message_is_refused_with_its_place(
    type_name: str, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        fill(interface_class(type_name)(), values, lambda: NOW)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, outbox.MAX_BYTES)), max_size=30),
)
def test_what_waits_is_bounded_and_the_newest_stays(
    queue: int, offers: list[tuple[str, int]]
) -> None:
    box: Outbox[int] = Outbox()
    for topic in "ab":
        box.subscribe(topic, None, 0.0, queue)
    sizes = [size for _, size in offers]
    for number, (topic, size) in enumerate(offers):
        box.offer(topic, number, size)
    taken: dict[str, list[int]] = {"a": [], "b": []}
    now = 0.0
    while box.next_due() is not None:
        now += 1.0 / outbox.MAX_RATE
        while (item := box.take(now)) is not None:
            taken[item[0]].append(item[1])
    kept = taken["a"] + taken["b"]
    assert sum(sizes[number] for number in kept) <= outbox.MAX_BYTES
    assert box.dropped + len(kept) == len(offers)
    for topic, numbers in taken.items():
        offered = [n for n, (to, _) in enumerate(offers) if to == topic]
        assert len(numbers) <= queue and numbers == sorted(numbers)
        if offered and sum(sizes) <= outbox.MAX_BYTES:
            assert numbers == offered[-queue:]


def test_rates_are_those_asked_for_within_bounds_and_large_messages_are_rarer() -> None:
    box: Outbox[int] = Outbox()
    box.subscribe("/a", "slow", 1.0, 1)
    box.subscribe("/a", "quick", 0.1, 5)

    def sent(size: int, seconds: float) -> int:
        count = 0
        for step in range(round(seconds * 1000)):
            box.offer("/a", step, size)
            if box.take(sent.now + step / 1000) is not None:  # type: ignore[attr-defined]
                box.sent("/a", size, sent.now + step / 1000)  # type: ignore[attr-defined]
                count += 1
        sent.now += seconds  # type: ignore[attr-defined]
        return count

    sent.now = 0.0  # type: ignore[attr-defined]
    assert sent(100, 2.0) == 20
    assert sent(1_000_000, 3.0) == 3
    assert not box.unsubscribe("/a", "quick")
    assert sent(100, 4.0) == pytest.approx(4, abs=1)
    assert box.unsubscribe("/a", None) and "/a" not in box


def test_nobody_is_permitted_velocities_and_everybody_a_stop() -> None:
    permissions = Permissions(["view /notes", "drive goal_pose"], ["admin /planner/set_parameters"])
    assert permissions.publishing("/notes", Role.VIEW) is None
    assert "takes the role drive" in str(permissions.publishing("/goal_pose", Role.VIEW))
    assert permissions.publishing("/goal_pose", Role.ADMIN) is None
    for name in ("/cmd_vel", "/cmd_vel/teleop", "/estop", "/robot/mode"):
        assert "nobody may" in str(permissions.publishing(name, Role.ADMIN))
    assert "nobody is permitted" in str(permissions.publishing("/odom", Role.ADMIN))
    stop, reset = SimpleNamespace(data=True), SimpleNamespace(data=False)
    assert permissions.calling("/estop/set", stop, Role.VIEW) is None
    assert "only drivers" in str(permissions.calling("/estop/set", reset, Role.VIEW))
    assert "only drivers" in str(permissions.calling("/estop/set", object(), Role.VIEW))
    assert permissions.calling("/estop/set", reset, Role.DRIVE) is None
    assert "nobody may call" in str(permissions.calling("/cmd_vel/hand_back", None, Role.ADMIN))
    assert "takes the role admin" in str(
        permissions.calling("/planner/set_parameters", None, Role.DRIVE)
    )


@pytest.mark.parametrize(
    "entry", ["drive /cmd_vel", "drive cmd_vel/teleop", "boss /a", "/a", "view"]
)
def test_a_list_that_permits_too_much_or_nothing_is_refused(entry: str) -> None:
    with pytest.raises(UserError, match="permit"):
        Permissions([entry])


@pytest.mark.parametrize(
    "name", ["", "/", "//cmd_vel", "/a/", "~/a", "/ä", "/a b", "/1", "a" * 999]
)
def test_names_are_names(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        checked_name(name)


@pytest.mark.parametrize(
    "name", ["this/Zen", "this/msg/Zen", "os.path/msg/X", "numpy/msg/X", "std_msgs/msg/get"]
)
def test_a_strangers_name_of_a_type_imports_nothing(name: str) -> None:
    with pytest.raises(ValueError, match="no"):
        interface_class(name)
    assert "this" not in sys.modules
