from __future__ import annotations

from typing import Any

import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from std_srvs.srv import SetBool
from type_description_interfaces.srv import GetTypeDescription

from edge_robot.standalone.interfaces.hashing import type_hash


def described(node: Node, name: str, hash_text: str = "", sources: bool = True) -> Any:
    client = node.create_client(GetTypeDescription, "/tested/get_type_description")
    request = GetTypeDescription.Request(
        type_name=name, type_hash=hash_text or type_hash(name), include_type_sources=sources
    )
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=20.0)
    return future.result()


def test_a_message_in_use_is_described(node: Node) -> None:
    node.create_publisher(PoseStamped, "pose", 10)
    answer = described(node, "geometry_msgs/msg/PoseStamped")
    assert answer.successful, answer.failure_reason
    main = answer.type_description.type_description
    assert main.type_name == "geometry_msgs/msg/PoseStamped"
    assert [field.name for field in main.fields] == ["header", "pose"]
    assert main.fields[0].type.nested_type_name == "std_msgs/msg/Header"
    referenced = answer.type_description.referenced_type_descriptions
    names = [item.type_name for item in referenced]
    assert names == [
        "builtin_interfaces/msg/Time",
        "geometry_msgs/msg/Point",
        "geometry_msgs/msg/Pose",
        "geometry_msgs/msg/Quaternion",
        "std_msgs/msg/Header",
    ]
    assert [source.type_name for source in answer.type_sources] == [main.type_name, *names]
    assert "Pose pose" in answer.type_sources[0].raw_file_contents
    assert described(node, main.type_name, sources=False).type_sources == []


def test_a_service_in_use_is_described(node: Node) -> None:
    node.create_service(SetBool, "set", lambda request, response: response)
    answer = described(node, "std_srvs/srv/SetBool")
    assert answer.successful, answer.failure_reason
    fields = answer.type_description.type_description.fields
    assert [field.name for field in fields] == [
        "request_message",
        "response_message",
        "event_message",
    ]
    encodings = {source.type_name: source.encoding for source in answer.type_sources}
    assert encodings["std_srvs/srv/SetBool"] == "srv"
    assert encodings["std_srvs/srv/SetBool_Request"] == "implicit"
    assert encodings["service_msgs/msg/ServiceEventInfo"] == "msg"


@pytest.mark.parametrize(
    ("hash_text", "reason"),
    [
        ("RIHS01_12", "Failed to parse type hash"),
        ("RIHS01_" + "0" * 64, "Type not currently in use by this node"),
    ],
)
def test_what_is_not_in_use_is_not(node: Node, hash_text: str, reason: str) -> None:
    answer = described(node, "std_msgs/msg/String", hash_text)
    assert (answer.successful, answer.failure_reason) == (False, reason)


def test_a_parameter_can_switch_it_off(ros: None) -> None:
    node = Node("quiet", cli_args=["-p", "start_type_description_service:=false"])
    names = [service.srv_name for service in node.services]
    assert "quiet/get_type_description" not in names
