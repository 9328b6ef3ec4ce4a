from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from edge_robot.standalone.interfaces.hashing import type_hash

SpinUntil = Callable[[Node, Callable[[], Any]], None]

PEER = """
    from std_msgs.msg import String
    from std_srvs.srv import Trigger
    from rclpy.duration import Duration
    from rclpy.qos import DurabilityPolicy, QoSProfile
    rclpy.init(args=[])
    node = rclpy.create_node("talker", namespace="/far")
    qos = QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, deadline=Duration(seconds=2)
    )
    node.create_publisher(String, "words", qos)
    node.create_service(Trigger, "go", lambda request, response: response)
    try:
        rclpy.spin(node)
    except rclpy.ExternalShutdownException:
        node.destroy_node()
"""


def test_nodes_and_endpoints_elsewhere_are_known(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    peer = start_peer(PEER)
    spin_until(node, lambda: "/far/talker" in node.get_fully_qualified_node_names())
    spin_until(node, lambda: node.get_service_names_and_types())
    assert ("talker", "/far") in node.get_node_names_and_namespaces()
    assert "tested" in node.get_node_names()
    (info,) = node.get_publishers_info_by_topic("/far/words")
    assert (info.node_name, info.node_namespace) == ("talker", "/far")
    assert info.topic_type == "std_msgs/msg/String"
    assert info.topic_type_hash == type_hash("std_msgs/msg/String")
    assert len(info.endpoint_gid) == 16
    assert info.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
    assert info.qos_profile.reliability is ReliabilityPolicy.RELIABLE
    assert info.qos_profile.deadline == Duration(seconds=2)
    assert ("/far/words", ["std_msgs/msg/String"]) in node.get_topic_names_and_types()
    assert node.get_service_names_and_types() == [("/far/go", ["std_srvs/srv/Trigger"])]
    peer.process.terminate()
    spin_until(node, lambda: "talker" not in node.get_node_names())


def test_a_killed_process_takes_its_nodes_along(
    short_lease: None, node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    peer = start_peer(PEER)
    spin_until(node, lambda: "talker" in node.get_node_names())
    peer.process.kill()
    spin_until(node, lambda: "talker" not in node.get_node_names())


def test_own_endpoints_are_counted(node: Node) -> None:
    publisher = node.create_publisher(String, "s", 1)
    node.create_subscription(
        String, "s", lambda _: None, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    node.create_client(Trigger, "go")
    assert (node.count_publishers("s"), node.count_subscribers("s")) == (1, 1)
    (info,) = node.get_subscriptions_info_by_topic("s")
    assert info.node_name == "tested"
    assert info.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
    node.destroy_publisher(publisher)
    assert node.count_publishers("s") == 0


def test_many_nodes_in_many_processes_find_each_other(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    code = """
        import sys
        rclpy.init(args=[])
        nodes = [rclpy.create_node(f"n{sys.argv[1]}_{i}") for i in range(10)]
        rclpy.spin(nodes[0])
    """
    for number in range(3):
        start_peer(code, str(number))
    expected = {"tested"} | {f"n{number}_{i}" for number in range(3) for i in range(10)}
    spin_until(node, lambda: set(node.get_node_names()) == expected)
