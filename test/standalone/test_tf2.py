from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf2_geometry_msgs
import yaml
from geometry_msgs.msg import (
    Point,
    Point32,
    PointStamped,
    PolygonStamped,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    Vector3,
    Vector3Stamped,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from tf2_msgs.srv import FrameGraph
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformException,
    TransformListener,
    TransformRegistration,
    TypeException,
)

SpinUntil = Callable[[Node, Callable[[], Any]], None]


def transform(
    parent: str,
    child: str,
    stamp: float = 0.0,
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0),
    quaternion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = Time(seconds=stamp).to_msg()
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = xyz
    r.x, r.y, r.z, r.w = quaternion
    return message


def yaw(angle: float) -> tuple[float, float, float, float]:
    return 0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2)


def matrix(message: TransformStamped) -> np.ndarray:
    """Return the 4x4 matrix of a transform, by formulas of its own."""
    r = message.transform.rotation
    x, y, z, w = r.x, r.y, r.z, r.w
    t = message.transform.translation
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), t.x],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), t.y],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), t.z],
            [0, 0, 0, 1],
        ]
    )


unit = st.floats(-1, 1)
rotations = (
    st.tuples(unit, unit, unit, unit)
    .filter(lambda q: math.hypot(*q) > 0.1)
    .map(lambda q: tuple(value / math.hypot(*q) for value in q))
)
vectors = st.tuples(*[st.floats(-10, 10)] * 3)


@settings(deadline=None)
@given(st.lists(st.tuples(vectors, rotations), min_size=4, max_size=4))
def test_chains_multiply_as_matrices_do(poses: list[Any]) -> None:
    # root ─ a ─ b   and   root ─ c ─ d
    edges = [("root", "a"), ("a", "b"), ("root", "c"), ("c", "d")]
    messages = [transform(*edge, 1.0, *pose) for edge, pose in zip(edges, poses, strict=True)]
    buffer = Buffer()
    for message in messages:
        buffer.set_transform(message, "test")
    root_a, a_b, root_c, c_d = (matrix(message) for message in messages)
    expected = np.linalg.inv(root_c @ c_d) @ root_a @ a_b
    found = buffer.lookup_transform("d", "b", Time(seconds=1))
    assert np.allclose(matrix(found), expected, atol=1e-9)
    assert (found.header.frame_id, found.child_frame_id) == ("d", "b")
    back = buffer.lookup_transform("b", "d", Time())
    assert np.allclose(matrix(back) @ expected, np.eye(4), atol=1e-9)


def test_poses_between_two_times_are_interpolated() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("odom", "base", 10.0, (0.0, 0.0, 0.0), yaw(0.0)), "test")
    buffer.set_transform(transform("odom", "base", 12.0, (4.0, 0.0, 0.0), yaw(1.0)), "test")
    found = buffer.lookup_transform("odom", "base", Time(seconds=10.5))
    assert found.transform.translation.x == pytest.approx(1.0)
    assert found.transform.rotation.z == pytest.approx(math.sin(0.125))
    assert found.header.stamp.sec == 10


def test_rotations_go_the_shorter_way() -> None:
    buffer = Buffer()
    negative = tuple(-value for value in yaw(0.2))
    buffer.set_transform(transform("odom", "base", 1.0, quaternion=yaw(0.0)), "test")
    buffer.set_transform(transform("odom", "base", 2.0, quaternion=negative), "test")
    found = buffer.lookup_transform("odom", "base", Time(seconds=1.5)).transform.rotation
    assert abs(found.z) == pytest.approx(math.sin(0.05))


def test_time_zero_is_the_latest_common_time() -> None:
    buffer = Buffer()
    buffer.set_transform_static(transform("map", "odom"), "test")
    for stamp in (1.0, 2.0):
        buffer.set_transform(transform("odom", "base", stamp, (stamp, 0.0, 0.0)), "test")
    for stamp in (1.0, 1.5):
        buffer.set_transform(transform("base", "arm", stamp), "test")
    found = buffer.lookup_transform("map", "arm", Time())
    assert Time.from_msg(found.header.stamp).nanoseconds == 1_500_000_000
    assert found.transform.translation.x == pytest.approx(1.5)
    assert buffer.lookup_transform("map", "odom", Time(seconds=99)) is not None


def test_what_cannot_be_answered_says_why() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("odom", "base", 5.0), "test")
    buffer.set_transform(transform("odom", "base", 6.0), "test")
    buffer.set_transform(transform("elsewhere", "thing", 5.0), "test")
    cases: list[tuple[str, str, float, type[TransformException], str]] = [
        ("odom", "nothing", 5.0, LookupException, "nothing"),
        ("odom", "thing", 5.0, ConnectivityException, "odom"),
        ("odom", "base", 6.1, ExtrapolationException, "future"),
        ("odom", "base", 4.9, ExtrapolationException, "past"),
    ]
    for target, source, stamp, error, text in cases:
        with pytest.raises(error, match=text):
            buffer.lookup_transform(target, source, Time(seconds=stamp))
        assert not buffer.can_transform(target, source, Time(seconds=stamp))
    assert buffer.can_transform("odom", "base", Time(seconds=5.5))
    assert buffer.can_transform("base", "base", Time())


def test_old_transforms_are_forgotten() -> None:
    buffer = Buffer(cache_time=Duration(seconds=2))
    for stamp in range(1, 11):
        buffer.set_transform(transform("odom", "base", float(stamp)), "test")
    buffer.set_transform(transform("odom", "base", 1.0), "test")
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform("odom", "base", Time(seconds=7.5))
    assert buffer.can_transform("odom", "base", Time(seconds=8.5))


def test_a_lookup_across_time_goes_by_way_of_a_fixed_frame() -> None:
    buffer = Buffer()
    for stamp in (1.0, 2.0):
        buffer.set_transform(transform("odom", "base", stamp, (stamp, 0.0, 0.0)), "test")
    found = buffer.lookup_transform_full("base", Time(seconds=2), "base", Time(seconds=1), "odom")
    assert found.transform.translation.x == pytest.approx(-1.0)


@pytest.mark.parametrize(
    "message",
    [
        transform("", "base"),
        transform("base", "base"),
        transform("odom", "base", xyz=(math.nan, 0.0, 0.0)),
        transform("odom", "base", quaternion=(0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_senseless_transforms_are_refused(message: TransformStamped) -> None:
    with pytest.raises(InvalidArgumentException):
        Buffer().set_transform(message, "test")


def test_loops_are_noticed() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("a", "b", 1.0), "test")
    buffer.set_transform(transform("b", "a", 1.0), "test")
    buffer.set_transform(transform("x", "y", 1.0), "test")
    with pytest.raises(LookupException, match="loop"):
        buffer.lookup_transform("a", "y", Time())


def test_a_lookup_can_wait() -> None:
    buffer = Buffer()
    late = threading.Timer(0.05, buffer.set_transform, (transform("odom", "base", 1.0), "test"))
    late.start()
    assert buffer.lookup_transform("odom", "base", Time(seconds=1), Duration(seconds=20))
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform("odom", "base", Time(seconds=2), Duration(seconds=0.05))


def test_transforms_travel_between_processes(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    buffer = Buffer()
    TransformListener(buffer, node)
    start_peer(
        """
        from geometry_msgs.msg import TransformStamped
        from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
        rclpy.init(args=[])
        node = rclpy.create_node("moving")
        static, moving = StaticTransformBroadcaster(node), TransformBroadcaster(node)
        def between(parent, child):
            message = TransformStamped(child_frame_id=child)
            message.header.frame_id = parent
            message.header.stamp = node.get_clock().now().to_msg()
            message.transform.translation.x = 1.0
            return message
        static.sendTransform(between("map", "odom"))
        static.sendTransform([between("base", "camera")])
        node.create_timer(0.02, lambda: moving.sendTransform(between("odom", "base")))
        rclpy.spin(node)
        """
    )
    spin_until(node, lambda: buffer.can_transform("map", "camera", Time()))
    assert buffer.lookup_transform("map", "camera", Time()).transform.translation.x == 3.0


def test_broadcasters_and_listener_in_one_process(node: Node, spin_until: SpinUntil) -> None:
    buffer = Buffer()
    listener = TransformListener(buffer, node)
    StaticTransformBroadcaster(node).sendTransform(transform("map", "odom"))
    TransformBroadcaster(node).sendTransform([transform("odom", "base", 3.0)])
    spin_until(node, lambda: buffer.can_transform("map", "base", Time()))
    assert "Frame odom exists with parent map." in buffer.all_frames_as_string()
    listener.unregister()


def test_awaiting_a_transform(node: Node, spin_until: SpinUntil) -> None:
    buffer = Buffer()
    when = Time(seconds=1.0)
    seen: list[Any] = []

    async def wait() -> None:
        seen.append(await buffer.lookup_transform_async("map", "base", when))
        seen.append(await buffer.lookup_transform_full_async("map", when, "base", when, "map"))

    executor = SingleThreadedExecutor()
    executor.create_task(wait)
    given_up = buffer.wait_for_transform_async("map", "never", when)
    executor.spin_once(timeout_sec=0.0)
    assert not seen
    buffer.set_transform(transform("map", "base", 1.0, (1.0, 2.0, 3.0)), "test")
    executor.spin_once(timeout_sec=0.0)
    assert [item.transform.translation.y for item in seen] == [2.0, 2.0]
    given_up.cancel()
    buffer.set_transform(transform("map", "never", 1.0), "test")
    assert not given_up.done()


def test_a_jump_back_in_time_clears_the_buffer(node: Node) -> None:
    clock = node.get_clock()
    assert isinstance(clock, ROSClock)
    clock._set_ros_time_is_active(True)
    clock.set_ros_time_override(Time(seconds=100.0))
    buffer = Buffer(node=node)
    buffer.set_transform(transform("map", "base", 100.0), "test")
    buffer.set_transform_static(transform("base", "lidar"), "test")
    clock.set_ros_time_override(Time(seconds=99.5))
    assert buffer.can_transform("map", "base", Time())
    clock.set_ros_time_override(Time(seconds=5.0))
    assert not buffer.can_transform("map", "base", Time())
    assert buffer.can_transform("base", "lidar", Time())


def test_frames_are_served_as_yaml(node: Node, spin_until: SpinUntil) -> None:
    buffer = Buffer(node=node)
    assert buffer.all_frames_as_yaml() == "[]"
    for stamp in (1.0, 1.5, 2.0):
        buffer.set_transform(transform("map", "base", stamp), "pilot")
    buffer.set_transform_static(transform("base", "lidar"), "mounts")
    client = node.create_client(FrameGraph, "tf2_frames")
    assert client.wait_for_service(20.0)
    answer = client.call_async(FrameGraph.Request())
    spin_until(node, answer.done)
    assert yaml.safe_load(answer.result().frame_yaml) == {
        "base": {
            "parent": "map",
            "broadcaster": "pilot",
            "rate": 3.0,
            "most_recent_transform": 2.0,
            "oldest_transform": 1.0,
            "buffer_length": 1.0,
        },
        "lidar": {
            "parent": "base",
            "broadcaster": "mounts",
            "rate": 10000.0,
            "most_recent_transform": 0.0,
            "oldest_transform": 0.0,
            "buffer_length": 0.0,
        },
    }


def test_types_that_were_registered_are_transformed() -> None:
    buffer = Buffer()
    buffer.set_transform(transform("map", "base", 1.0, (1.0, 0.0, 0.0)), "test")
    text = TransformStamped()  # a type that nobody has registered
    text.header.frame_id = "base"
    with pytest.raises(TypeException, match="not loaded"):
        buffer.transform(text, "map")
    TransformRegistration().add(TransformStamped, lambda item, by: by.child_frame_id)
    assert buffer.transform(text, "map") == "base"
    point = PointStamped()
    point.header.frame_id = "base"
    assert buffer.transform(point, "map", new_type=PointStamped).point.x == 1.0
    at = Time(seconds=1.0)
    point.header.stamp = at.to_msg()
    assert buffer.transform_full(point, "map", at, "map").header.frame_id == "map"
    assert buffer.can_transform_full("map", at, "base", at, "map")
    assert buffer.can_transform_full("map", at, "x", at, "map", return_debug_tuple=True)[0] is False


@given(st.floats(-3, 3), st.lists(st.floats(-9, 9), min_size=6, max_size=6))
def test_geometry_is_transformed_as_matrices_say(angle: float, numbers: list[float]) -> None:
    by = transform("map", "base", 1.0, (numbers[0], numbers[1], numbers[2]), yaw(angle))
    m = matrix(by)
    x, y, z = numbers[3:]
    point = tf2_geometry_msgs.do_transform_point(PointStamped(point=Point(x=x, y=y, z=z)), by)
    there = [point.point.x, point.point.y, point.point.z]
    assert np.allclose(there, (m @ [x, y, z, 1.0])[:3])
    assert point.header.frame_id == "map"
    vector = tf2_geometry_msgs.do_transform_vector3(
        Vector3Stamped(vector=Vector3(x=x, y=y, z=z)), by
    ).vector
    assert np.allclose([vector.x, vector.y, vector.z], m[:3, :3] @ [x, y, z])
    polygon = PolygonStamped()
    polygon.polygon.points.append(Point32(x=x, y=y, z=z))
    (corner,) = tf2_geometry_msgs.do_transform_polygon_stamped(polygon, by).polygon.points
    assert np.allclose([corner.x, corner.y, corner.z], there, atol=1e-4)

    pose = PoseWithCovarianceStamped()
    pose.pose.pose.position = Point(x=x, y=y, z=z)
    pose.pose.covariance = np.diag([1.0, 4.0, 9.0, 1.0, 2.0, 3.0]).ravel()
    moved = tf2_geometry_msgs.do_transform_pose_with_covariance_stamped(pose, by).pose
    assert moved.pose.position == point.point
    assert math.isclose(abs(moved.pose.orientation.w), abs(math.cos(angle / 2)), abs_tol=1e-9)
    expected = m[:3, :3] @ np.diag([1.0, 4.0, 9.0]) @ m[:3, :3].T
    assert np.allclose(np.reshape(moved.covariance, (6, 6))[:3, :3], expected)
    stamped = PoseStamped(pose=pose.pose.pose)
    assert tf2_geometry_msgs.do_transform_pose_stamped(stamped, by).pose == moved.pose
