"""What rmw_cyclonedds_cpp (ROS 2 Jazzy) was seen to send, byte for byte."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from example_interfaces.srv import AddTwoInts
from rclpy.node import Node

from edge_robot.standalone.dds.endpoints import Reader, Writer
from edge_robot.standalone.dds.naming import reply_topic_name, request_topic_name, type_name
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.interfaces.codec import codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import message_class

DISCOVERY = bytes.fromhex(
    "00010000011000e9335fb118552b1c04000001c101000000020000002f00000006000000"
    "61736b657200000000000000"
    "02000000011000e9335fb118552b1c0400000603011000e9335fb118552b1c0400000703"
)
"""`ros_discovery_info` of a node `/asker` with two writers, /rosout and /parameter_events."""

REQUEST = bytes.fromhex("000100009796c1a725f74def01000000000000000000000000010000fdffffffffffffff")
"""First request of a client to `/lab/add` with a = 2^40, b = -3."""

REPLY = bytes.fromhex("000100009796c1a725f74def0100000000000000fdffffffff000000")
"""The answer to it."""

CLIENT = slice(4, 12)
"""Bytes of a request that tell its client."""

HASHES = {
    "rmw_dds_common/msg/ParticipantEntitiesInfo": (
        "91a0593bacdcc50ea9bdcf849a938b128412cc1ea821245c663bcd26f83c295e"
    ),
    "std_msgs/msg/String": "df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18",
    "sensor_msgs/msg/Image": "d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
    "rcl_interfaces/msg/Log": "e28ce254ca8abc06abf92773b74602cdbf116ed34fbaf294fb9f81da9f318eac",
    "rcl_interfaces/srv/SetParameters_Request": (
        "130d46386b7e84ea9ecf60608a4d83cbe5e5cb7c6cc5b712b7a4e3a6c254e932"
    ),
    "std_srvs/srv/SetBool_Response": (
        "d0814e7f7b4880ab77e9c57426c7aa1562ab69f11eef8e2e968812f9cbd0b059"
    ),
    "example_interfaces/srv/AddTwoInts_Request": (
        "000c5fd92d6b2e1a05949348f584d6d652adea1e92d691792011ac2273508302"
    ),
    "lifecycle_msgs/srv/ChangeState_Request": (
        "d74c6f524e14cade7b67e7297190360ed749264af300524fc1456f27cc2a553a"
    ),
    "type_description_interfaces/srv/GetTypeDescription_Response": (
        "648c49d976240861a482f961c5621ddd0d2135d8cce6f297a76d4f6376d93b75"
    ),
    "action_msgs/msg/GoalStatusArray": (
        "6c1684b00f177d37438febe6e709fc4e2b0d4248dca4854946f9ed8b30cda83e"
    ),
    "action_msgs/srv/CancelGoal_Request": (
        "3d3c84653c1f96918086887e1dcb236faec88b81a5b14fd4cf4840065bcdf8af"
    ),
    "example_interfaces/action/Fibonacci_SendGoal_Request": (
        "3d088942b413247db536576f0286768c6be8fcd5d0c9a5d544f359fba090a238"
    ),
    "example_interfaces/action/Fibonacci_GetResult_Response": (
        "6021dc98ab9b4bbe395e48aa4de81ee5f68eb570f88358affcc648146668b24f"
    ),
    "example_interfaces/action/Fibonacci_FeedbackMessage": (
        "c1de71afd52e49a89c53d8262366884185bc0a02f78ce051c4e46b0a7fe59bb2"
    ),
}
"""Type hashes in the USER_DATA of endpoints."""


def test_discovery() -> None:
    info = message_class("rmw_dds_common/msg/ParticipantEntitiesInfo")
    message = codec(info).read(DISCOVERY)
    assert bytes(message.gid.data).hex() == "011000e9335fb118552b1c04000001c1"
    (asker,) = message.node_entities_info_seq
    assert (asker.node_namespace, asker.node_name) == ("/", "asker")
    assert len(asker.reader_gid_seq) == 0
    assert [bytes(gid.data)[12:].hex() for gid in asker.writer_gid_seq] == ["00000603", "00000703"]
    assert codec(info).write(message) == DISCOVERY


@pytest.mark.parametrize("name", HASHES)
def test_type_hashes(name: str) -> None:
    assert type_hash_user_data(name) == f"typehash=RIHS01_{HASHES[name]};".encode()


def test_user_data_of_a_service(node: Node) -> None:
    """It reads `serviceid= 1.10.17.7.d0.df.84.39.f0.6d.9b.8c.0.0.0.8;typehash=RIHS01_…;`."""
    service = node.create_service(AddTwoInts, "/lab/add", lambda request, response: response)
    guid = node.context.participant.guid
    (own,) = (
        endpoint
        for endpoint in node.context.graph.readers()
        if endpoint.guid == service.endpoints.reader.guid
    )
    assert list(own.user_data) == ["serviceid", "typehash"]
    parts = own.user_data["serviceid"].split(".")
    assert len(parts[0]) == 2
    assert bytes(int(part, 16) for part in parts[:12]) == guid[:12]
    assert own.user_data["typehash"].startswith("RIHS01_000c5fd9")


def test_a_request(node: Node, spin_until: Callable[[Node, Callable[[], Any]], None]) -> None:
    reader = Reader(
        node.context.participant,
        request_topic_name("/lab/add"),
        type_name("example_interfaces/srv/AddTwoInts_Request"),
        DdsQos(),
    )
    client = node.create_client(AddTwoInts, "/lab/add")
    client.call_async(AddTwoInts.Request(a=2**40, b=-3))
    taken: list[bytes] = []

    def arrived() -> bool:
        taken.extend(bytes(sample[0]) for sample in iter(reader.take, None))
        return bool(taken)

    spin_until(node, arrived)
    reader.close()
    request = bytearray(taken[0])
    request[CLIENT] = REQUEST[CLIENT]
    assert request == REQUEST


def test_a_reply(node: Node, spin_until: Callable[[Node, Callable[[], Any]], None]) -> None:
    def add(request: Any, response: Any) -> Any:
        response.sum = request.a + request.b
        return response

    node.create_service(AddTwoInts, "/lab/add", add)
    kind = "example_interfaces/srv/AddTwoInts"
    participant = node.context.participant
    writer = Writer(
        participant, request_topic_name("/lab/add"), type_name(f"{kind}_Request"), DdsQos()
    )
    reader = Reader(
        participant, reply_topic_name("/lab/add"), type_name(f"{kind}_Response"), DdsQos()
    )
    spin_until(node, lambda: writer.matched() and reader.matched())
    time.sleep(0.1)
    writer.write(REQUEST)
    taken: list[bytes] = []

    def arrived() -> bool:
        taken.extend(bytes(sample[0]) for sample in iter(reader.take, None))
        return bool(taken)

    spin_until(node, arrived)
    writer.close()
    reader.close()
    assert taken == [REPLY]
