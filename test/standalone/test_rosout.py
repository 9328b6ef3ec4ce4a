from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import rclpy
from rcl_interfaces.msg import Log
from rclpy.node import Node
from rclpy.qos import qos_profile_rosout_default

SpinUntil = Callable[[Node, Callable[[], Any]], None]


@pytest.fixture
def heard(node: Node) -> list[Log]:
    """Give what a node hears on /rosout."""
    heard: list[Log] = []
    node.create_subscription(Log, "/rosout", heard.append, qos_profile_rosout_default)
    return heard


def test_messages_of_a_node_elsewhere_are_heard_even_late(
    node: Node, heard: list[Log], start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    peer = start_peer(
        """
        import time
        from rclpy.node import Node
        rclpy.init()
        node = Node("talker", namespace="/far")
        def say():
            node.get_logger().warning("look out")
        say()
        part = node.get_logger().get_child("part")
        part.info("in part")
        rclpy.logging.get_logger("elsewhere").info("not a node's")
        print("ready")
        time.sleep(60)
        """
    )
    peer.wait_for("ready")
    spin_until(node, lambda: len(heard) == 2)
    first, second = sorted(heard, key=lambda log: log.name)
    assert (first.name, first.msg, first.level) == ("far.talker", "look out", 30)
    assert (first.function, first.line) == ("say", 8)
    assert (second.name, second.msg) == ("far.talker.part", "in part")
    assert abs(time.time() - first.stamp.sec) < 60

    def talkers() -> list[Any]:
        found = node.get_publishers_info_by_topic("/rosout")
        return [info for info in found if info.node_name == "talker"]

    spin_until(node, talkers)  # who owns a publisher is announced apart from the publisher
    (info,) = talkers()
    assert info.qos_profile.lifespan == qos_profile_rosout_default.lifespan


def test_only_what_a_node_wants_is_published(
    node: Node, heard: list[Log], spin_until: SpinUntil
) -> None:
    quiet = Node("quiet", enable_rosout=False)
    quiet.get_logger().info("text")
    quiet.get_logger().get_child("part").info("text")
    node.get_logger().info("mine")
    gone = Node("gone")
    logger = gone.get_logger()
    gone.destroy_node()
    logger.info("too late")
    node.get_logger().info("last")
    spin_until(node, lambda: heard and heard[-1].msg == "last")
    assert [log.msg for log in heard] == ["mine", "last"]


def test_a_process_can_do_without(domain: int) -> None:
    rclpy.init(args=["--ros-args", "--disable-rosout-logs"])
    try:
        node = Node("quiet")
        assert node.count_publishers("/rosout") == 0
    finally:
        rclpy.shutdown()


def test_of_two_nodes_with_one_name_the_second_goes_on(
    node: Node, heard: list[Log], spin_until: SpinUntil
) -> None:
    first, second = Node("same"), Node("same")
    second.get_logger().info("once")
    first.destroy_node()
    second.get_logger().info("again")
    node.get_logger().info("last")
    spin_until(node, lambda: heard and heard[-1].msg == "last")
    assert [log.msg for log in heard] == ["once", "again", "last"]


def test_a_reader_that_is_stuck_does_not_stop_a_node(
    ros: None, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    node = Node("talker")
    peer = start_peer(
        """
        from rclpy.node import Node
        from rcl_interfaces.msg import Log
        from rclpy.qos import qos_profile_rosout_default
        rclpy.init()
        node = Node("listener", enable_rosout=False)
        node.create_subscription(Log, "/rosout", print, qos_profile_rosout_default)
        print("ready")
        rclpy.spin(node)
        """
    )
    peer.wait_for("ready")
    spin_until(node, lambda: node.count_subscribers("/rosout"))
    node.get_logger().info("heard")
    peer.wait_for("heard")
    peer.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    for _ in range(3000):  # three times the history
        node.get_logger().info("x" * 1000)
    # Waiting for the reader would last until its lease of ten seconds has run out.
    assert time.monotonic() - start < 8.0


def test_what_cannot_be_sent_is_left_out(
    node: Node, heard: list[Log], spin_until: SpinUntil
) -> None:
    node.get_logger().info("no UTF-8: \udcff")
    node.get_logger().info("last")
    spin_until(node, lambda: heard and heard[-1].msg == "last")
    assert [log.msg for log in heard] == ["last"]


def test_a_node_that_was_forgotten_does_not_keep_the_name(domain: int) -> None:
    rclpy.init(args=[])
    forgotten = Node("same")
    rclpy.shutdown()
    rclpy.init(args=[])
    try:
        node = Node("same")
        heard: list[Log] = []
        node.create_subscription(Log, "/rosout", heard.append, qos_profile_rosout_default)
        node.get_logger().get_child("part").info("text")
        rclpy.spin_once(node, timeout_sec=20.0)
        assert [log.msg for log in heard] == ["text"]
        assert forgotten.get_logger().name == node.get_logger().name
    finally:
        rclpy.shutdown()
