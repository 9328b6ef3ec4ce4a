from __future__ import annotations

import pytest
from rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)

from edge_robot.standalone.dds import naming
from edge_robot.standalone.rclpy.names import (
    resolve_name,
    validate_namespace,
    validate_node_name,
)


def test_topics_services_and_types_on_the_wire() -> None:
    assert naming.topic_name("/a/b") == "rt/a/b"
    assert naming.request_topic_name("/set") == "rq/setRequest"
    assert naming.reply_topic_name("/set") == "rr/setReply"
    assert naming.type_name("sensor_msgs/msg/Image") == "sensor_msgs::msg::dds_::Image_"
    assert (
        naming.type_name("std_srvs/srv/SetBool_Request") == "std_srvs::srv::dds_::SetBool_Request_"
    )


def test_and_back() -> None:
    assert naming.ros_topic_name("rt/a/b") == "/a/b"
    assert naming.ros_topic_name("rq/setRequest") is None
    assert naming.ros_service_name("rq/setRequest") == "/set"
    assert naming.ros_service_name("rr/setReply") == "/set"
    assert naming.ros_service_name("rt/a") is None
    assert naming.ros_type_name("sensor_msgs::msg::dds_::Image_") == "sensor_msgs/msg/Image"
    assert naming.ros_type_name("Other") == "Other"


@pytest.mark.parametrize(
    ("name", "resolved"),
    [
        ("/a", "/a"),
        ("a", "/ns/a"),
        ("a/b", "/ns/a/b"),
        ("~/a", "/ns/n/a"),
        ("~", "/ns/n"),
        ("/{node}/x", "/n/x"),
        ("old", "/new"),
        ("/ns/old", "/new"),
        ("~/p", "/ns/q"),
    ],
)
def test_names_are_resolved_then_renamed(name: str, resolved: str) -> None:
    assert resolve_name(name, "n", "/ns", {"old": "/new", "~/p": "q"}) == resolved


@pytest.mark.parametrize("name", ["", "a b", "/a//b", "a/", "1a", "/a/2", "a-b"])
def test_malformed_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidTopicNameException):
        resolve_name(name, "n", "/")
    with pytest.raises(InvalidServiceNameException):
        resolve_name(name, "n", "/", is_service=True)


def test_node_names_and_namespaces() -> None:
    validate_node_name("camera_2")
    for name in ("", "2camera", "a/b", "a b"):
        with pytest.raises(InvalidNodeNameException):
            validate_node_name(name)
    for namespace in ("/", "/a", "/a/b"):
        validate_namespace(namespace)
    for namespace in ("a", "/a/", "/1"):
        with pytest.raises(InvalidNamespaceException):
            validate_namespace(namespace)
