"""Definitions as the tools show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_robot.introspection.interface_text import AmentIndex, nested_type, show
from edge_robot.standalone.interfaces.parser import parse_message
from edge_robot.standalone.interfaces.source import InterfaceSource
from edge_robot.standalone.interfaces.store import Interfaces

INNER = "# Inside.\nfloat64 x 1.5  # metres\n\nuint8 MODE = 3\n"
OUTER = """# Outside.

Inner[<=3] parts   # several
string<=10 name "# no comment"
Inner PART=1
---
bool done
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    index = tmp_path / "share" / "ament_index" / "resource_index" / "rosidl_interfaces"
    index.mkdir(parents=True)
    (index / "demo").touch()
    for kind, name, text in (("msg", "Inner", INNER), ("srv", "Outer", OUTER)):
        folder = tmp_path / "share" / "demo" / kind
        folder.mkdir(parents=True)
        (folder / f"{name}.{kind}").write_text(text)
    return tmp_path


def test_an_installation_is_searched(prefix: Path, tmp_path: Path) -> None:
    index = AmentIndex([tmp_path / "absent", prefix])
    assert index.packages() == {"demo"}
    assert index.names("demo", "srv") == ["Outer"]
    assert index.names("demo", "action") == []


def test_nested_definitions_are_indented(prefix: Path) -> None:
    index = AmentIndex([prefix])
    assert list(show(index, "demo/srv/Outer")) == [
        "# Outside.",
        "",
        "Inner[<=3] parts   # several",
        "\tfloat64 x 1.5",
        "\tuint8 MODE = 3",
        'string<=10 name "# no comment"',
        "Inner PART=1",
        "---",
        "bool done",
    ]


def test_comments_can_be_left_out_and_shown_everywhere(prefix: Path) -> None:
    index = AmentIndex([prefix])
    assert list(show(index, "demo/srv/Outer", comments=False))[:2] == [
        "Inner[<=3] parts",
        "\tfloat64 x 1.5",
    ]
    everywhere = list(show(index, "demo/srv/Outer", nested_comments=True))
    assert "\t# Inside." in everywhere
    assert "\tfloat64 x 1.5  # metres" in everywhere


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("demo/Outer", "Expected three parts separated by '/'"),
        ("demo//Outer", "Must not contain empty parts"),
        ("nobody/msg/Outer", "Unknown package 'nobody'"),
        ("demo/msg/Nothing", "Could not find the interface 'demo/msg/Nothing'"),
    ],
)
def test_what_is_not_there_is_said(prefix: Path, name: str, error: str) -> None:
    with pytest.raises((ValueError, LookupError), match=error):
        list(show(AmentIndex([prefix]), name))


def test_types_without_package_are_of_the_same() -> None:
    assert nested_type("Header header", "sensor_msgs") == "std_msgs/msg/Header"
    assert nested_type("geometry_msgs/Point[] points", "demo") == "geometry_msgs/msg/Point"
    assert nested_type("Inner inner", "demo") == "demo/msg/Inner"
    for line in ("float64[] x", "wstring<=5 name", "uint8 A=1", "---", ""):
        assert nested_type(line, "demo") is None


def test_made_up_text_says_what_the_definition_says() -> None:
    interfaces = Interfaces("jazzy", {})
    source = InterfaceSource(interfaces)
    for package in ("geometry_msgs", "sensor_msgs", "nav_msgs", "rcl_interfaces", "std_msgs"):
        for short in source.names(package, "msg"):
            name = f"{package}/msg/{short}"
            assert parse_message(source.text(name), name) == interfaces.message(name)
