from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.exceptions import RCLInvalidROSArgsError, UnknownROSArgsError

from edge_robot.errors import UserError
from edge_robot.standalone.rclpy.arguments import (
    ParameterOverride,
    Remap,
    load_parameter_file,
    parse_arguments,
)


def test_only_what_follows_ros_args_counts() -> None:
    arguments = parse_arguments(["prog", "x", "--ros-args", "-r", "a:=b", "--", "-p", "y"])
    assert arguments.remaining == ["prog", "x", "-p", "y"]
    assert arguments.remaps == [Remap("a", "b")]


def test_remaps_may_be_for_one_node() -> None:
    arguments = parse_arguments(
        ["--ros-args", "-r", "one:__ns:=/x", "--remap", "__node:=renamed", "-r", "rostopic://a:=/b"]
    )
    assert arguments.remaps == [
        Remap("__ns", "/x", "one"),
        Remap("__node", "renamed"),
        Remap("rostopic://a", "/b"),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("1e-3", 1e-3),
        ("-2E5", -2e5),
        ("true", True),
        ("text", "text"),
        ("'1'", "1"),
        ("[1, 2]", [1, 2]),
        ("[a, b]", ["a", "b"]),
        ("", None),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_values_are_yaml(text: str, value: object) -> None:
    (override,) = parse_arguments(["--ros-args", "-p", f"x:={text}"]).overrides
    assert override.name == "x"
    assert override.value == value
    assert type(override.value) is type(value)
    assert override.explicit


def test_logging_switches_are_accepted() -> None:
    assert parse_arguments(["--ros-args", "--disable-rosout-logs"]).remaining == []


def test_log_levels_and_enclave() -> None:
    arguments = parse_arguments(
        ["--ros-args", "--log-level", "debug", "--log-level", "a.b:=warn", "-e", "/x"]
    )
    assert arguments.log_levels == {"": "debug", "a.b": "warn"}
    assert arguments.enclave == "/x"


@pytest.mark.parametrize(
    "arguments",
    [["-p", "novalue"], ["-p"], ["--what"], ["-r", "x"], ["-p", "x:=[1"], ["--params-file", "/no"]],
)
def test_malformed_arguments_are_the_users_to_mend(arguments: list[str]) -> None:
    with pytest.raises(UserError) as failure:
        parse_arguments(["--ros-args", *arguments])
    assert "\n" not in str(failure.value)


def override(pattern: str) -> ParameterOverride:
    return ParameterOverride(pattern, "x", 1, "test", explicit=False)


@pytest.mark.parametrize(
    ("pattern", "node", "matches"),
    [
        ("/**", "/a", True),
        ("/**", "/ns/a", True),
        ("/*", "/a", True),
        ("/*", "/ns/a", False),
        ("/**/a", "/a", True),
        ("/**/a", "/x/y/a", True),
        ("/**/a", "/ba", False),
        ("/ns/*", "/ns/a", True),
        ("/a", "/a", True),
        ("/a", "/ab", False),
    ],
)
def test_patterns(pattern: str, node: str, matches: bool) -> None:
    assert override(pattern).matches(node) is matches
    assert override(pattern).names_node is not pattern.endswith("*")


def test_files_hold_sections_of_nested_names(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        """
        /**:
          ros__parameters: {use_sim_time: true}
        camera:
          ros__parameters:
            rate: 10.0
            limits: {low: 1, high: 2}
        ns:
          lidar:
            ros__parameters: {names: [a, b]}
        """
    )
    found = {(item.pattern, item.name): item.value for item in load_parameter_file(file)}
    assert found == {
        ("/**", "use_sim_time"): True,
        ("/camera", "rate"): 10.0,
        ("/camera", "limits.low"): 1,
        ("/camera", "limits.high"): 2,
        ("/ns/lidar", "names"): ["a", "b"],
    }


@pytest.mark.parametrize(
    "text", ["[1, 2]", "a: 1", "a:\n  ros__parameters: 3", "a: {ros__parameters: {", "\tx: y"]
)
def test_malformed_files_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"broken\.yaml") as failure:
        load_parameter_file(file)
    assert "\n" not in str(failure.value)


def test_an_empty_file_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("")
    assert load_parameter_file(file) == []


def test_a_name_may_be_in_a_file_again_and_the_order_counts(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        "/**: {ros__parameters: {a: 1, b: 1}}\n"
        "far: {talker: {ros__parameters: {a: 2}}}\n"
        "/**: {ros__parameters: {b: 3, below: {c: 4}}}\n"
    )
    found = [
        (item.name, item.value) for item in load_parameter_file(file) if item.matches("/far/talker")
    ]
    assert found == [("a", 1), ("b", 1), ("a", 2), ("b", 3), ("below.c", 4)]


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        (["-r", "not-a-remap"], RCLInvalidROSArgsError),
        (["-p"], RCLInvalidROSArgsError),
        (["--my-flag"], UnknownROSArgsError),
    ],
)
def test_nonsense_is_refused_with_the_exceptions_of_rclpy(
    argument: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error, match=argument[-1]):
        parse_arguments(["--ros-args", *argument])
