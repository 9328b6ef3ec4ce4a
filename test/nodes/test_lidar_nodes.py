"""The nodes that find boxes: what they publish, and what they refuse to pass off as nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import LaserScan, PointCloud2, PointField
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from edge_robot import topics
from edge_robot.nodes.box_publisher import MOVING_ID
from edge_robot.nodes.conversions import stamp_from_nanoseconds
from edge_robot.nodes.lidar_perception import LidarPerception
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.scan_perception import ScanPerception
from edge_robot.nodes.track_messages import (
    UNCLASSIFIED,
    clearance_measurement,
    lidar_measurement,
)

PATIENCE = 30.0
FRAME = "lidar_link"


class Listener(Node):
    def __init__(self) -> None:
        super().__init__("listener")
        self.heard: list[Detection3DArray] = []
        self.poses = self.create_publisher(TFMessage, topics.TF.name, qos_profile(topics.TF))
        self.create_subscription(
            Detection3DArray,
            topics.LIDAR_DETECTIONS.name,
            self.heard.append,
            qos_profile(topics.LIDAR_DETECTIONS),
        )
        self.seen: list[LaserScan] = []
        self.create_subscription(
            LaserScan,
            topics.LIDAR_CLEARANCE.name,
            self.seen.append,
            qos_profile(topics.LIDAR_CLEARANCE),
        )
        self.said: list[DiagnosticStatus] = []
        self.create_subscription(
            DiagnosticArray,
            topics.DIAGNOSTICS.name,
            lambda message: self.said.extend(
                status for status in message.status if ": deadline " not in status.name
            ),
            qos_profile(topics.DIAGNOSTICS),
        )
        for topic, kind in ((topics.LIDAR_POINTS, PointCloud2), (topics.SCAN, LaserScan)):
            setattr(
                self, kind.__name__, self.create_publisher(kind, topic.name, qos_profile(topic))
            )

    def say(self, message: Any) -> None:
        getattr(self, type(message).__name__).publish(message)


@pytest.fixture
def graph(domain: int) -> Iterator[Callable[[type[Node]], tuple[Any, Listener, Any]]]:
    """Give a function that runs a node beside a listener, and one that spins until it holds."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    nodes: list[Node] = []

    def spin(condition: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "nothing came of it"
            executor.spin_once(timeout_sec=0.05)

    def start(kind: type[Node]) -> tuple[Any, Listener, Any]:
        listener, node = Listener(), kind()
        nodes.extend((listener, node))
        for each in nodes:
            executor.add_node(each)
        sensor = listener.LaserScan if kind is ScanPerception else listener.PointCloud2
        spin(
            lambda: (
                sensor.get_subscription_count()
                and listener.poses.get_subscription_count()
                and listener.count_publishers(topics.LIDAR_DETECTIONS.name)
            )
        )
        return node, listener, spin

    yield start
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def header(t: float) -> Header:
    return Header(stamp=stamp_from_nanoseconds(round(t * 1e9)), frame_id=FRAME)


def cloud(points: np.ndarray, t: float) -> PointCloud2:
    data = points.astype(np.float32)
    return PointCloud2(
        header=header(t),
        height=1,
        width=len(data),
        fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate("xyz")
        ],
        point_step=12,
        row_step=12 * len(data),
        data=data.tobytes(),
    )


def post_on_floor(x: float, y: float) -> np.ndarray:
    """The points of a floor, of a far wall and of a post's near side, lidar frame."""
    grid = np.arange(-6.0, 6.0, 0.25)
    floor = np.array([(a, b, -0.55) for a in grid for b in grid])
    wall = np.array([(7.0, b, c) for b in np.arange(-6, 6, 0.06) for c in np.arange(-0.5, 2, 0.2)])
    ys, zs = np.arange(-0.2, 0.21, 0.04), np.arange(-0.4, 1.15, 0.07)
    return np.vstack([floor, wall, [(x, y + b, z) for b in ys for z in zs]])


def say_pose(listener: Listener, t: float) -> None:
    pose = TransformStamped(header=header(t), child_frame_id=FRAME)
    pose.header.frame_id = "odom"
    pose.transform.rotation.w = 1.0
    listener.poses.publish(TFMessage(transforms=[pose]))


def test_boxes_carry_their_covariance_and_whether_they_move(graph: Any) -> None:
    node, listener, spin = graph(LidarPerception)
    for k in range(7):
        t = 10.0 + 0.1 * k
        say_pose(listener, t)
        spin(lambda t=t: node.boxes._pose(header(t)) is not None)
        listener.say(cloud(post_on_floor(3.0, 1.0 - 0.15 * k), t))
        spin(lambda k=k: len(listener.heard) == k + 1)
    first, last = listener.heard[0].detections[0], listener.heard[-1].detections[0]
    assert [result.hypothesis.class_id for result in first.results] == [UNCLASSIFIED]
    assert [result.hypothesis.class_id for result in last.results] == [UNCLASSIFIED, MOVING_ID]
    assert last.results[1].hypothesis.score > 0.9
    for result in last.results:
        covariance = np.reshape(result.pose.covariance, (6, 6))
        assert np.linalg.eigvalsh(covariance).min() > 0.0
        assert np.sqrt(covariance[0, 0]) > 3 * np.sqrt(covariance[1, 1])  # the depth is hidden
    # Fusion reads the object's score, whatever the other hypothesis says.
    measured = lidar_measurement(listener.heard[-1], np.eye(4), "lidar")
    assert measured.scores.tolist() == [last.results[0].hypothesis.score]


def test_how_far_it_sees_is_told(graph: Any) -> None:
    node, listener, spin = graph(LidarPerception)
    spin(lambda: listener.count_publishers(topics.LIDAR_CLEARANCE.name))
    spin(lambda: node.count_subscribers(topics.LIDAR_CLEARANCE.name))
    points = post_on_floor(3.0, 0.0)
    in_its_shadow = (points[:, 0] > 6.9) & (np.abs(points[:, 1]) < 0.6)
    listener.say(cloud(points[~in_its_shadow], 1.0))
    spin(lambda: listener.seen)
    told = clearance_measurement(listener.seen[0], np.eye(4), "lidar")
    assert listener.seen[0].header == header(1.0)
    towards_it = np.array([3.0, 0.04])  # as one row of the post's points lies
    places = [0.97 * towards_it, 1.03 * towards_it, (3.1, 1.0), (6.9, 2.0), (7.2, 2.0)]
    assert told.seen_past(np.array(places)).tolist() == [True, False, True, True, False]
    assert len(listener.heard) == 1


def test_a_blind_lidar_is_not_an_empty_room(graph: Any) -> None:
    node, listener, spin = graph(LidarPerception)
    blind = [
        np.empty((0, 3)),
        np.full((50, 3), np.nan),
        np.zeros((50, 3)),  # as some drivers say "no return"
        np.full((50, 3), 0.01),  # covered
        np.full((50, 3), 3e38),
    ]
    for count, points in enumerate(blind, start=1):
        listener.say(cloud(points, 1.0))
        spin(lambda count=count: node.boxes.dropped["no returns"] == count)
    broken = cloud(post_on_floor(3.0, 0.0), 1.0)
    broken.row_step = broken.point_step = 8
    listener.say(broken)
    spin(lambda: node.boxes.dropped["malformed"] == 1)
    spin(lambda: any(s.level == DiagnosticStatus.ERROR for s in listener.said))
    listener.said.clear()
    listener.say(cloud(post_on_floor(3.0, 0.0), 2.0))
    spin(lambda: listener.heard)
    spin(lambda: any(s.level == DiagnosticStatus.OK for s in listener.said))
    values = {pair.key: pair.value for pair in listener.said[-1].values}
    assert values["dropped_no_returns"] == str(len(blind))
    assert values["dropped_malformed"] == values["sweeps_published"] == "1"
    assert len(listener.heard) == 1
    assert listener.heard[0].header.stamp.sec == 2


def scan(ranges: np.ndarray, t: float) -> LaserScan:
    step = 2 * np.pi / len(ranges)
    return LaserScan(
        header=header(t),
        angle_min=-np.pi,
        angle_max=np.pi - step,
        angle_increment=step,
        range_min=0.1,
        range_max=25.0,
        ranges=ranges.tolist(),
    )


def test_objects_in_a_scan(graph: Any) -> None:
    node, listener, spin = graph(ScanPerception)
    ranges = np.full(720, np.inf)
    ranges[355:366] = 2.0
    ranges[10:20] = np.nan
    crooked = scan(ranges, 1.0)
    crooked.angle_increment = 0.0
    blind = scan(np.full(720, np.nan), 1.0)
    for count, bad in enumerate((crooked, blind), start=1):
        listener.say(bad)
        spin(lambda count=count: node.boxes.dropped.total() == count)
    listener.say(scan(ranges, 2.0))
    spin(lambda: listener.heard)
    (detection,) = listener.heard[0].detections
    assert detection.bbox.center.position.x == pytest.approx(2.0, abs=0.05)
    assert detection.bbox.size.x == pytest.approx(0.175, abs=0.03)
    assert detection.bbox.size.z == 0.0
    # A scan without anything in reach is a measurement: nothing there.
    listener.say(scan(np.full(720, np.inf), 3.0))
    spin(lambda: len(listener.heard) == 2)
    assert listener.heard[1].detections == []
