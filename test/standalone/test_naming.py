from __future__ import annotations

import pytest
from rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)
from rclpy.expand_topic_name import expand_topic_name
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_node_name import validate_node_name
from rclpy.validate_topic_name import validate_topic_name

from edge_robot.standalone.dds import naming
from edge_robot.standalone.rclpy.arguments import Remap
from edge_robot.standalone.rclpy.names import remapped_identity, resolve_name


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
    remaps = [Remap("old", "/new"), Remap("~/p", "q")]
    assert resolve_name(name, "n", "/ns", remaps) == resolved


def test_the_first_rule_that_fits_counts() -> None:
    remaps = [
        Remap("a", "other", node="other"),
        Remap("rosservice://a", "of_services"),
        Remap("a", "first"),
        Remap("a", "second"),
    ]
    assert resolve_name("a", "n", "/", remaps) == "/first"
    assert resolve_name("a", "n", "/", remaps, is_service=True) == "/of_services"
    assert resolve_name("a", "other", "/", remaps) == "/other"


def test_rules_for_a_nodes_own_name() -> None:
    remaps = [Remap("__node", "b", node="a"), Remap("__name", "c"), Remap("__ns", "/x", node="b")]
    assert remapped_identity("__node", "a", remaps) == "b"
    assert remapped_identity("__node", "z", remaps) == "c"
    assert remapped_identity("__ns", "b", remaps) == "/x"
    assert remapped_identity("__ns", "z", remaps) is None


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("a b", 1),
        ("~a", 1),
        ("a~", 1),
        ("a/{1b}", 3),
        ("{a/b}", 2),
        ("a}", 1),
        ("x{a", 1),
        ("a/2", 2),
    ],
)
def test_the_place_of_an_error_is_told(name: str, index: int) -> None:
    with pytest.raises(InvalidTopicNameException) as caught:
        validate_topic_name(name)
    assert caught.value.invalid_index == index


def test_unknown_substitutions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown substitution: \{x\}"):
        expand_topic_name("a/{x}", "n", "/")


def test_hidden_names() -> None:
    assert topic_or_service_is_hidden("/a/_b/c")
    assert not topic_or_service_is_hidden("/a/b_/c_d")


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
