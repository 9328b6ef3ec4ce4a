from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    qos_profile_sensor_data,
)
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import String

SpinUntil = Callable[[Node, Callable[[], Any]], None]

ECHO = """
    from sensor_msgs.msg import Image
    from rclpy.qos import qos_profile_sensor_data
    rclpy.init(args=[])
    node = rclpy.create_node("echo")
    publisher = node.create_publisher(Image, "back", 10)
    node.create_subscription(Image, "there", publisher.publish, qos_profile_sensor_data)
    print("ready")
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, rclpy.ExternalShutdownException):
        print("ended")
"""

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_images_travel_to_another_process_and_back(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    start_peer(ECHO).wait_for("ready")
    received: list[Image] = []
    node.create_subscription(Image, "back", received.append, 10)
    publisher = node.create_publisher(Image, "there", qos_profile_sensor_data)
    spin_until(node, publisher.get_subscription_count)
    spin_until(node, lambda: node.count_publishers("back"))
    pixels = np.random.default_rng(1).integers(0, 256, 640 * 480 * 3, np.uint8)
    sent = Image(height=480, width=640, encoding="bgr8", step=1920, data=pixels)
    sent.header.frame_id = "camera"

    def publish_until_heard() -> bool:
        publisher.publish(sent)  # best effort: one may be lost
        return bool(received)

    spin_until(node, publish_until_heard)
    assert received[0] == sent


def test_a_killed_peer_leaves_others_working(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    received: list[Image] = []
    node.create_subscription(Image, "back", received.append, 10)
    publisher = node.create_publisher(Image, "there", qos_profile_sensor_data)

    def heard() -> bool:
        publisher.publish(Image())
        return bool(received)

    for _ in range(2):
        peer = start_peer(ECHO)
        peer.wait_for("ready")
        received.clear()
        spin_until(node, heard)
        peer.process.kill()
        peer.process.wait()


def test_late_joiners_get_what_is_latched(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    publisher = node.create_publisher(String, "mode", LATCHED)
    publisher.publish(String(data="old"))
    publisher.publish(String(data="new"))
    peer = start_peer(
        """
        from std_msgs.msg import String
        from rclpy.qos import DurabilityPolicy, QoSProfile
        rclpy.init(args=[])
        node = rclpy.create_node("late")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(String, "mode", lambda msg: print("mode", msg.data), latched)
        while True:
            rclpy.spin_once(node)
        """
    )
    assert peer.wait_for("mode") == "mode new"


def test_keep_last_drops_the_oldest(node: Node, spin_until: SpinUntil) -> None:
    received: list[str] = []
    node.create_subscription(String, "s", lambda msg: received.append(msg.data), 2)
    publisher = node.create_publisher(String, "s", 10)
    for number in range(5):
        publisher.publish(String(data=str(number)))
    spin_until(node, lambda: len(received) == 2)
    rclpy.spin_once(node, timeout_sec=0.05)
    assert received == ["3", "4"]


def test_callbacks_may_ask_for_info_or_for_bytes(node: Node, spin_until: SpinUntil) -> None:
    infos: list[Any] = []
    raw: list[Any] = []
    node.create_subscription(String, "s", lambda msg, info: infos.append((msg, info)), 1)
    node.create_subscription(String, "s", raw.append, 1, raw=True)
    sent = String(data="hello")
    before = time.time_ns()
    node.create_publisher(String, "s", 1).publish(sent)
    spin_until(node, lambda: infos and raw)
    message, info = infos[0]
    assert message == sent
    assert before <= info["source_timestamp"] <= info["received_timestamp"] <= time.time_ns()
    assert raw[0] == serialize_message(sent)
    assert deserialize_message(raw[0], String) == sent


def test_serialized_messages_can_be_published(node: Node, spin_until: SpinUntil) -> None:
    received: list[String] = []
    node.create_subscription(String, "s", received.append, 1)
    node.create_publisher(String, "s", 1).publish(serialize_message(String(data="x")))
    spin_until(node, lambda: received)
    assert received[0].data == "x"


def test_malformed_messages_are_dropped_counted_and_reported(
    node: Node, spin_until: SpinUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    received: list[String] = []
    subscription = node.create_subscription(String, "s", received.append, 10)
    publisher = node.create_publisher(String, "s", 10)
    for data in (b"\0\1\0\0\xff\xff\xff\xff", b"\0\1\0\0", b"\0\1\0\0\2\0\0\0ab"):
        publisher.publish(data)
    publisher.publish(String(data="good"))
    spin_until(node, lambda: received)
    assert received == [String(data="good")]
    assert subscription.drops.count == 3
    assert capsys.readouterr().err.count("malformed") == 1


def test_other_types_are_refused(node: Node) -> None:
    publisher = node.create_publisher(String, "s", 1)
    with pytest.raises(TypeError):
        publisher.publish(Image())
    with pytest.raises(RuntimeError, match="callable"):
        node.create_subscription(String, "s", lambda: None, 1)
    with pytest.raises(TypeError):
        node.create_publisher(String, "s", "reliable")


def test_destroyed_entities_are_gone(node: Node, spin_until: SpinUntil) -> None:
    received: list[String] = []
    subscription = node.create_subscription(String, "s", received.append, 1)
    publisher = node.create_publisher(String, "s", 1)
    assert publisher.get_subscription_count() == 1
    assert subscription.get_publisher_count() == 1
    assert node.destroy_subscription(subscription)
    assert not node.destroy_subscription(subscription)
    spin_until(node, lambda: publisher.get_subscription_count() == 0)
    publisher.publish(String())
    rclpy.spin_once(node, timeout_sec=0.05)
    assert received == []


def test_topics_can_be_renamed_from_outside(node: Node, spin_until: SpinUntil) -> None:
    renamed = Node("renamed", cli_args=["-r", "old:=/new"])
    received: list[String] = []
    node.create_subscription(String, "/new", received.append, 1)
    publisher = renamed.create_publisher(String, "old", 1)
    assert publisher.topic_name == "/new"
    publisher.publish(String(data="x"))
    spin_until(node, lambda: received)
