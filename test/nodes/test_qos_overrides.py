"""QoS of managed nodes by parameters: what may be changed, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image, LaserScan

from edge_robot import topics
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import listening_profile, qos_profile


class Robot(ManagedNode):
    def __init__(self) -> None:
        super().__init__("robot", namespace="/r1")

    def activate(self) -> None:
        left = topics.CAMERA_IMAGE.of("left")
        self.images = self.create_subscription(Image, left.name, print, qos_profile(left))
        self.scans = self.create_subscription(
            LaserScan, topics.SCAN.name, print, qos_profile(topics.SCAN)
        )
        self.again = self.create_subscription(
            LaserScan, topics.SCAN.name, print, listening_profile(topics.SCAN, 50)
        )
        self.commands = self.create_publisher(
            TwistStamped, topics.CMD_VEL.name, qos_profile(topics.CMD_VEL)
        )


@pytest.fixture
def started(domain: int) -> Iterator[Any]:
    def start(*overrides: str) -> Robot:
        rclpy.init(
            args=[
                "--ros-args",
                "-p",
                "autostart:=false",
                *(word for text in overrides for word in ("-p", text)),
            ]
        )
        node = Robot()
        assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
        return node

    yield start
    rclpy.shutdown()


def test_depth_and_reliability_of_an_input_are_the_users(started: Any) -> None:
    node = started(
        "qos_overrides./r1/scan.subscription.depth:=7",
        "qos_overrides./r1/scan.subscription.reliability:=reliable",
        "qos_overrides./r1/camera/left/image_raw.subscription.depth:=9",
    )
    for _ in range(2):  # again after it was taken back
        assert node.trigger_activate() is TransitionCallbackReturn.SUCCESS
        assert node.scans.qos_profile.depth == 7
        assert node.scans.qos_profile.reliability is ReliabilityPolicy.RELIABLE
        assert node.images.qos_profile.depth == 9
        assert node.again.qos_profile.depth == 50, "a second listener has its own"
        node.trigger_deactivate()


def test_the_contract_of_commands_is_not_weakened(
    started: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    node = started("qos_overrides./r1/cmd_vel.publisher.reliability:=best_effort")
    assert node.trigger_activate() is not TransitionCallbackReturn.SUCCESS
    assert "rest on the contract of cmd_vel" in capfd.readouterr().err
    assert not [p for p in node.publishers if p.topic_name == "/r1/cmd_vel"]


def test_every_row_is_found_by_its_name_and_by_that_of_any_sensor() -> None:
    for row in topics.TOPICS:
        assert topics.row_of(row.name) is row
    assert topics.row_of("perception/camera/left/detections") is topics.CAMERA_DETECTIONS
    assert topics.row_of("lidar_rear/points") is topics.LIDAR_POINTS
    assert topics.row_of("somewhere/else") is None
