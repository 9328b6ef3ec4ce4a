from __future__ import annotations

from pathlib import Path

import pytest

from edge_robot.errors import UserError
from edge_robot.standalone.interfaces.definitions import (
    PADDING_FIELD,
    FieldType,
    InterfaceError,
)
from edge_robot.standalone.interfaces.parser import parse_message, parse_service
from edge_robot.standalone.interfaces.store import Interfaces, interfaces

TEXT = """
# a comment
uint8 RED=1   # a constant
string NAME = "a # in quotes"
float32 HALF=0.5
bool YES=true

Header header
Point[] points            # of the same package
geometry_msgs/Pose[2] poses
string<=5 short
string<=3[<=4] few_short
float64[3] weights [1, 2.5, 3]
int32 count -7
bool flag true
string word "hello"
char letter
"""


def test_parses_all_forms_of_a_line() -> None:
    definition = parse_message(TEXT, "my_msgs/msg/Thing")
    constants = {item.name: item.value for item in definition.constants}
    assert constants == {"RED": 1, "NAME": "a # in quotes", "HALF": 0.5, "YES": True}
    fields = {field.name: (field.type, field.default) for field in definition.fields}
    assert fields == {
        "header": (FieldType("std_msgs/msg/Header"), None),
        "points": (FieldType("my_msgs/msg/Point", sequence=True), None),
        "poses": (FieldType("geometry_msgs/msg/Pose", array=2), None),
        "short": (FieldType("string", string_bound=5), None),
        "few_short": (FieldType("string", sequence=True, bound=4, string_bound=3), None),
        "weights": (FieldType("float64", array=3), [1.0, 2.5, 3.0]),
        "count": (FieldType("int32"), -7),
        "flag": (FieldType("bool"), True),
        "word": (FieldType("string"), "hello"),
        "letter": (FieldType("uint8"), None),
    }


def test_an_empty_message_has_the_padding_field() -> None:
    assert [field.name for field in parse_message("# nothing", "a/msg/B").fields] == [PADDING_FIELD]


@pytest.mark.parametrize("line", ["int32", "int32 1x", "int32 a = what", "int32[] b [1, "])
def test_a_malformed_line_is_named(line: str) -> None:
    with pytest.raises(InterfaceError, match=r"a/msg/B: .*int32"):
        parse_message(line, "a/msg/B")


def test_a_service_needs_its_separator() -> None:
    request, response = parse_service("bool data\n---\nstring message\n", "a/srv/B")
    assert request.name == "a/srv/B_Request"
    assert response.fields[0].name == "message"
    with pytest.raises(InterfaceError, match="---"):
        parse_service("bool data\n", "a/srv/B")


def test_own_messages_and_stated_packages_are_found() -> None:
    assert "TrackedObjectArray" in interfaces().names("edge_robot", "msg")
    assert "Detection2DArray" in interfaces().names("vision_msgs", "msg")
    assert interfaces().names("std_srvs", "srv") == ["Empty", "SetBool", "Trigger"]
    assert "Image" in interfaces().names("sensor_msgs", "msg")


def test_every_interface_can_be_loaded() -> None:
    known = interfaces()
    for package in known.packages():
        for name in known.names(package, "msg"):
            for field in known.message(f"{package}/msg/{name}").fields:
                assert field.type.is_primitive or known.has(field.type.base), (package, name, field)


@pytest.mark.parametrize("distro", ["humble", "iron", "jazzy", "kilted", "lyrical"])
def test_distributions_differ_where_ros_2_does(distro: str) -> None:
    gid = Interfaces(distro, {}).message("rmw_dds_common/msg/Gid").fields[0]
    assert gid.type.array == (24 if distro == "humble" else 16)


def test_an_unknown_distribution_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="EDGE_ROBOT_ROS_DISTRO"):
        Interfaces("ardent", {})


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(InterfaceError, match="sensor_msgs/msg/Nothing"):
        interfaces().message("sensor_msgs/msg/Nothing")
