from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.duration import Duration
from rclpy.exceptions import InvalidHandle, NodeNameNonExistentError
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.type_hash import TypeHash
from std_msgs.msg import String
from std_srvs.srv import Trigger

from edge_robot.standalone.dds import graph
from edge_robot.standalone.dds.endpoints import Reader
from edge_robot.standalone.dds.graph import NodeEntities, announcement
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.interfaces.codec import codec
from edge_robot.standalone.interfaces.hashing import type_hash
from edge_robot.standalone.interfaces.message import message_class

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
    spin_until(node, lambda: "/far/go" in dict(node.get_service_names_and_types()))
    assert ("talker", "/far") in node.get_node_names_and_namespaces()
    assert "tested" in node.get_node_names()
    (info,) = node.get_publishers_info_by_topic("/far/words")
    assert (info.node_name, info.node_namespace) == ("talker", "/far")
    assert info.topic_type == "std_msgs/msg/String"
    assert str(info.topic_type_hash) == type_hash("std_msgs/msg/String")
    assert len(info.endpoint_gid) == 16
    assert info.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
    assert info.qos_profile.reliability is ReliabilityPolicy.RELIABLE
    assert info.qos_profile.deadline == Duration(seconds=2)
    assert ("/far/words", ["std_msgs/msg/String"]) in node.get_topic_names_and_types()
    assert ("/far/go", ["std_srvs/srv/Trigger"]) in node.get_service_names_and_types()
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
    assert (node.count_clients("go"), node.count_services("go")) == (1, 0)
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


def test_a_node_tells_what_it_is_made_of(node: Node) -> None:
    node.create_publisher(String, "out", 1)
    node.create_subscription(String, "in", lambda _: None, 1)
    node.create_service(Trigger, "offered", lambda _, response: response)
    node.create_client(Trigger, "used")
    string, trigger = ["std_msgs/msg/String"], ["std_srvs/srv/Trigger"]
    name = ("tested", "/")
    assert ("/out", string) in node.get_publisher_names_and_types_by_node(*name)
    assert ("/in", string) in node.get_subscriber_names_and_types_by_node(*name)
    offered = node.get_service_names_and_types_by_node(*name)
    used = node.get_client_names_and_types_by_node(*name)
    assert ("/offered", trigger) in offered
    assert ("/used", trigger) not in offered
    assert used == [("/used", trigger)]
    services = node.get_service_names_and_types()
    assert ("/offered", trigger) in services
    assert ("/used", trigger) in services
    with pytest.raises(NodeNameNonExistentError):
        node.get_publisher_names_and_types_by_node("nobody", "/")


def test_malformed_names_are_refused(node: Node) -> None:
    for ask in (
        node.count_publishers,
        node.count_subscribers,
        node.count_clients,
        node.count_services,
        node.get_publishers_info_by_topic,
        node.get_subscriptions_info_by_topic,
    ):
        with pytest.raises(ValueError, match="is invalid"):
            ask("42")
        with pytest.raises(TypeError):
            ask(1)  # type: ignore[arg-type]


def test_all_of_dds_can_be_seen_but_what_looks_at_it(node: Node) -> None:
    names = [name for name, _ in node.get_topic_names_and_types(no_demangle=True)]
    assert "ros_discovery_info" in names
    assert not [name for name in names if name.startswith("DCPS")]


def test_enclaves_are_told(node: Node) -> None:
    assert ("tested", "/", "/") in node.get_node_names_and_namespaces_with_enclaves()


def test_nodes_can_be_waited_for(node: Node) -> None:
    assert node.wait_for_node("tested", 1.0)
    assert not node.wait_for_node("/nobody", 0.0)


def test_an_endpoint_is_printed_as_rclpy_prints_it(node: Node) -> None:
    node.create_publisher(String, "s", 7)
    (info,) = node.get_publishers_info_by_topic("s")
    gid = ".".join(f"{byte:02x}" for byte in info.endpoint_gid)
    assert str(info) == "\n".join(
        [
            "Node name: tested",
            "Node namespace: /",
            "Topic type: std_msgs/msg/String",
            f"Topic type hash: {type_hash('std_msgs/msg/String')}",
            "Endpoint type: PUBLISHER",
            f"GID: {gid}",
            "QoS profile:",
            "  Reliability: RELIABLE",
            "  History (Depth): KEEP_LAST (7)",
            "  Durability: VOLATILE",
            "  Lifespan: Infinite",
            "  Deadline: Infinite",
            "  Liveliness: AUTOMATIC",
            "  Liveliness lease duration: Infinite",
        ]
    )
    assert info == TopicEndpointInfo(
        node_name="tested",
        node_namespace="/",
        topic_type="std_msgs/msg/String",
        topic_type_hash=TypeHash.parse(type_hash("std_msgs/msg/String")),
        endpoint_type=1,
        endpoint_gid=info.endpoint_gid,
        qos_profile=info.qos_profile,
    )
    with pytest.raises(AssertionError):
        info.node_name = 1  # type: ignore[assignment]
    assert str(TypeHash.parse("RIHS01_short")) == "INVALID"


def test_only_classes_of_interfaces_are_taken(node: Node) -> None:
    with pytest.raises(RuntimeError, match="message type"):
        node.create_publisher(Trigger, "s", 1)
    with pytest.raises(RuntimeError, match="service type"):
        node.create_client(String, "go")
    with pytest.raises(AttributeError, match="ROS 1"):
        node.create_subscription(str, "s", print, 1)


@given(
    st.lists(
        st.builds(
            NodeEntities,
            namespace=st.text(max_size=9),
            name=st.text(max_size=9),
            readers=st.lists(st.binary(min_size=16, max_size=16), max_size=3),
            writers=st.lists(st.binary(min_size=16, max_size=16), max_size=3),
        ),
        max_size=4,
    )
)
def test_an_announcement_is_the_message_it_stands_for(nodes: list[NodeEntities]) -> None:
    codec_ = codec(message_class("rmw_dds_common/msg/ParticipantEntitiesInfo"))
    data = announcement(bytes(range(16)), nodes)
    message = codec_.read(bytes(data))
    assert bytes(message.gid.data) == bytes(range(16))
    assert [
        NodeEntities(
            info.node_namespace,
            info.node_name,
            b"",
            [bytes(gid.data) for gid in info.reader_gid_seq],
            [bytes(gid.data) for gid in info.writer_gid_seq],
        )
        for info in message.node_entities_info_seq
    ] == nodes
    assert codec_.write(message) == data


def test_a_node_ends_once(node: Node) -> None:
    other = Node("other")
    assert "other" in node.get_node_names()
    publisher = other.create_publisher(String, "s", 1)
    other.destroy_node()
    other.destroy_node()
    assert "other" not in node.get_node_names()
    with pytest.raises(InvalidHandle):
        publisher.publish(String())
    with pytest.raises(InvalidHandle):
        other.create_publisher(String, "s", 1)
    with pytest.raises(InvalidHandle):
        other.create_client(Trigger, "go")


def test_a_node_is_announced_once_with_all_that_is_served(
    node: Node, domain: int, spin_until: SpinUntil
) -> None:
    participant = Participant(domain)
    reader = Reader(
        participant,
        "ros_discovery_info",
        "rmw_dds_common::msg::dds_::ParticipantEntitiesInfo_",
        DdsQos(depth=0, transient_local=True),
    )
    read = codec(message_class("rmw_dds_common/msg/ParticipantEntitiesInfo")).read

    def told() -> list[tuple[str, int]]:
        while (sample := reader.take()) is not None:
            for info in read(sample[0]).node_entities_info_seq:
                seen.append((info.node_name, len(info.writer_gid_seq)))
        return seen

    seen: list[tuple[str, int]] = []
    try:
        spin_until(node, lambda: ("tested", 9) in told())
        seen.clear()
        other = Node("other")
        node.create_publisher(String, "last", 10)
        spin_until(node, lambda: ("tested", 10) in told())
        # Once when it was made, once more with what came last.
        assert [item for item in seen if item[0] == "other"] == [("other", 9)] * 2
        other.destroy_node()
    finally:
        participant.close()


def test_nodes_are_not_forgotten_while_nobody_asks(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    start_peer(PEER)  # announces itself once, before the other does a thousand times
    spin_until(node, lambda: node.count_publishers("/far/words"))
    restless = start_peer(
        f"""
        rclpy.init(args=[])
        graph = rclpy.get_default_context().graph
        graph.add_node("/", "restless")
        while not graph._writer.matched():
            pass
        for _ in range({graph._HISTORY + 100}):
            graph.announce()
        print("done", graph._writer.wait_for_acknowledgements(20_000_000_000))
        rclpy.spin(rclpy.create_node("resting"))
        """
    )
    restless.wait_for("done True")
    spin_until(node, lambda: {"talker", "resting"} <= set(node.get_node_names()))
