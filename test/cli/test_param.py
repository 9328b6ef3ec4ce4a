"""`edge-robot param` against a real node's parameter services; texts as ros2cli's."""

from __future__ import annotations

from pathlib import Path

import pytest

NODE = """
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
node.declare_parameter("rate", 20.5, ParameterDescriptor(description="of commands, Hz"))
node.declare_parameter(
    "steps", 4, ParameterDescriptor(integer_range=[IntegerRange(from_value=2, to_value=8, step=2)])
)
node.declare_parameter("frame", "map", ParameterDescriptor(read_only=True))
node.declare_parameter("map.size", [1, 2])
node.declare_parameter("map.names", ["a", "b"])
node.declare_parameter("free", "x", ParameterDescriptor(dynamic_typing=True))
"""

BUILT_IN = ("start_type_description_service", "use_sim_time", "qos_overrides")


@pytest.fixture
def planner(start_node) -> None:
    start_node(NODE, name="planner")


def own(text: str) -> list[str]:
    return [line for line in text.splitlines() if not any(word in line for word in BUILT_IN)]


def test_list_names_parameters(tools, planner) -> None:
    assert own(tools.out("param", "list", "/planner")) == [
        "  frame", "  free", "  map.names", "  map.size", "  rate", "  steps",
    ]  # fmt: skip
    assert own(tools.out("param", "list"))[0] == "/planner:"
    typed = tools.out("param", "list", "planner", "--param-type", "--filter", "map|rate")
    assert typed.splitlines() == [
        "  map.names (type: string array)",
        "  map.size (type: integer array)",
        "  rate (type: double)",
    ]
    some = tools.out("param", "list", "/planner", "--param-prefixes", "map", "nothing")
    assert some.splitlines() == ["  map.names", "  map.size"]


def test_get_and_set(tools, planner) -> None:
    def get(name: str, *options: str) -> str:
        return tools.out("param", "get", "/planner", name, *options)

    def put(name: str, value: str) -> tuple[str, str]:
        done = tools.run("param", "set", "planner", name, value)
        assert done.returncode == 0
        return done.stdout, done.stderr

    assert get("rate") == "Double value is: 20.5\n"
    assert get("steps") == "Integer value is: 4\n"
    assert get("frame") == "String value is: map\n"
    assert get("map.size") == "Integer values are: [1, 2]\n"
    assert get("map.names", "--hide-type") == "['a', 'b']\n"
    assert put("rate", "-5.0") == ("Set parameter successful\n", "")
    assert get("rate", "--hide-type") == "-5.0\n"
    out, err = put("steps", "3")
    assert (out, err[:25]) == ("", "Setting parameter failed:")
    out, err = put("rate", "fast")
    assert (out, err[:25]) == ("", "Setting parameter failed:")
    assert get("steps") == "Integer value is: 4\n"


def test_dump_is_loaded_again(tools, planner, tmp_path: Path) -> None:
    text = tools.out("param", "dump", "/planner")
    assert text.startswith("/planner:\n  ros__parameters:\n    frame: map\n")
    assert (
        "    map:\n      names:\n      - a\n      - b\n      size:\n      - 1\n      - 2\n" in text
    )
    file = tmp_path / "planner.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    rate: 7.5\n    map:\n      size: [3]\n"
        "planner:\n  ros__parameters:\n    steps: 5\n"
    )
    done = tools.run("param", "load", "planner", str(file))
    assert "Set parameter rate successful\n" in done.stdout
    assert "Set parameter map.size successful\n" in done.stdout
    assert "Set parameter steps failed: " in done.stderr
    assert tools.out("param", "get", "planner", "map.size") == "Integer values are: [3]\n"


def test_describe(tools, planner) -> None:
    text = tools.out("param", "describe", "planner", "rate", "steps", "frame")
    assert text == (
        "Parameter name: rate\n  Type: double\n  Description: of commands, Hz\n  Constraints:\n"
        "Parameter name: steps\n  Type: integer\n  Constraints:\n    Min value: 2\n"
        "    Max value: 8\n    Step: 2\n"
        "Parameter name: frame\n  Type: string\n  Constraints:\n    Read only: true\n"
    )


def test_delete(tools, planner) -> None:
    assert tools.out("param", "delete", "planner", "free") == "Deleted parameter successfully\n"
    done = tools.run("param", "delete", "planner", "rate")
    assert done.stderr.startswith("Deleting parameter failed")


def test_what_is_not_there_is_said(tools, planner, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    for arguments, error in (
        (("list", "/nobody"), "Node not found\n"),
        (("get", "/nobody", "rate"), "Node not found\n"),
        (("load", "planner", str(tmp_path / "nothing.yaml")), "cannot read "),
        (("load", "planner", str(tmp_path / "empty.yaml")), f"{tmp_path / 'empty.yaml'}: not a "),
    ):
        done = tools.run("param", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(error)
