from __future__ import annotations

from typing import Any

import pytest
import rclpy
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter, get_parameter_value


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "BOOL"),
        (1, "INTEGER"),
        (1.0, "DOUBLE"),
        ("a", "STRING"),
        ([True], "BOOL_ARRAY"),
        ([1, 2], "INTEGER_ARRAY"),
        ([1.0], "DOUBLE_ARRAY"),
        (["a"], "STRING_ARRAY"),
        ([b"a"], "BYTE_ARRAY"),
        (None, "NOT_SET"),
    ],
)
def test_types_are_found_and_survive_the_wire(value: Any, kind: str) -> None:
    parameter = Parameter("p", value=value)
    assert parameter.type_ is Parameter.Type[kind]
    again = Parameter.from_parameter_msg(parameter.to_parameter_msg())
    assert (again.name, again.type_, again.value) == ("p", parameter.type_, value)


@pytest.mark.parametrize("value", [[1, "a"], [1, 2.0], {"a": 1}, 2**63])
def test_values_no_parameter_can_hold(value: Any) -> None:
    with pytest.raises(TypeError):
        Parameter("p", value=value)


def make_node(*arguments: str, **options: Any) -> Node:
    return Node("tested", cli_args=list(arguments), **options)


def test_overrides_take_the_place_of_defaults(ros: None) -> None:
    node = make_node("-p", "rate:=5.0", "-p", "other:rate:=7.0", "-p", "list:=[]")
    assert node.declare_parameter("rate", 10.0).value == 5.0
    assert node.declare_parameter("list", [1.0]).value == []
    assert node.declare_parameter("left", "as it is").value == "as it is"
    assert node.declare_parameter("kept", 1, ignore_override=True).value == 1


def test_overrides_of_another_type_are_refused_by_name(ros: None) -> None:
    node = make_node("-p", "rate:=fast")
    with pytest.raises(InvalidParameterTypeException, match=r"'rate' to 'fast'.*-p"):
        node.declare_parameter("rate", 10.0)
    assert not node.has_parameter("rate")


def test_dynamic_typing_takes_any_type(ros: None) -> None:
    node = make_node("-p", "any:=text")
    descriptor = ParameterDescriptor(dynamic_typing=True)
    assert node.declare_parameter("any", 1, descriptor).value == "text"


def test_a_type_may_be_declared_without_a_value(ros: None) -> None:
    node = make_node()
    node.declare_parameter("path", Parameter.Type.STRING)
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("path")
    assert node.get_parameter_or("path", Parameter("path", value="x")).value == "x"
    (result,) = node.set_parameters([Parameter("path", value=3)])
    assert not result.successful
    node.set_parameters([Parameter("path", value="/a")])
    assert node.get_parameter("path").value == "/a"


def test_misuse_is_refused(node: Node) -> None:
    node.declare_parameter("a", 1)
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("a", 1)
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter("b")
    with pytest.raises(ParameterNotDeclaredException):
        node.set_parameters([Parameter("b", value=1)])
    with pytest.raises(InvalidParameterException):
        node.declare_parameter("", 1)


def test_several_are_declared_below_a_prefix(node: Node) -> None:
    node.declare_parameters("limits", [("low", 1.0), ("high", 2.0, ParameterDescriptor())])
    below = node.get_parameters_by_prefix("limits")
    assert {name: item.value for name, item in below.items()} == {"low": 1.0, "high": 2.0}


def test_ranges_are_kept(ros: None) -> None:
    node = make_node("-p", "n:=9")
    numbers = ParameterDescriptor(integer_range=[IntegerRange(from_value=0, to_value=5, step=1)])
    with pytest.raises(InvalidParameterValueException, match=r"n out of range\. Min: 0, Max: 5"):
        node.declare_parameter("n", 3, numbers)
    share = FloatingPointRange(from_value=0.0, to_value=1.0, step=0.25)
    node.declare_parameter("share", 0.5, ParameterDescriptor(floating_point_range=[share]))
    results = [
        node.set_parameters([Parameter("share", value=value)])[0].successful
        for value in (0.75, 0.8, 1.5)
    ]
    assert results == [True, False, False]


def test_read_only_parameters_stay(node: Node) -> None:
    node.declare_parameter("fixed", 1, ParameterDescriptor(read_only=True))
    (result,) = node.set_parameters([Parameter("fixed", value=2)])
    assert not result.successful
    assert node.get_parameter("fixed").value == 1


def test_callbacks_are_asked_and_told(node: Node) -> None:
    told: list[Any] = []

    def ask(parameters: list[Parameter]) -> SetParametersResult:
        odd = any(parameter.value % 2 for parameter in parameters)
        return SetParametersResult(successful=not odd, reason="odd" if odd else "")

    node.declare_parameter("even", 2)
    node.declare_parameter("too", 2)
    node.add_on_set_parameters_callback(ask)
    node.add_post_set_parameters_callback(lambda items: told.extend(item.value for item in items))
    assert node.set_parameters([Parameter("even", value=3)])[0].reason == "odd"
    assert node.set_parameters([Parameter("even", value=4)])[0].successful
    both = [Parameter("even", value=6), Parameter("too", value=5)]
    assert not node.set_parameters_atomically(both).successful
    assert (node.get_parameter("even").value, told) == (4, [4])


def test_descriptors_are_not_shared(node: Node) -> None:
    descriptor = ParameterDescriptor(description="text")
    node.declare_parameter("a", 1, descriptor)
    node.declare_parameter("b", "x", descriptor)
    assert node.describe_parameter("a").type == Parameter.Type.INTEGER.value
    assert node.describe_parameter("b").description == "text"
    assert descriptor.type == 0


def test_what_the_node_does_not_know_is_told(domain: int, tmp_path: Any) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        "/**: {ros__parameters: {for_others: 1}}\n/**/tested: {ros__parameters: {typo: 1}}\n"
    )
    rclpy.init(args=["--ros-args", "--params-file", str(file), "-p", "known:=2", "-p", "worse:=3"])
    try:
        node = Node("tested")
        node.declare_parameter("known", 1)
        found = {item.name: item.explicit for item in node.undeclared_overrides()}
        assert found == {"typo": False, "worse": True}
    finally:
        rclpy.shutdown()


def test_nodes_can_be_renamed_from_outside(ros: None) -> None:
    node = make_node("-r", "__node:=other", "-r", "__ns:=/far", "-p", "x:=1")
    assert node.get_fully_qualified_name() == "/far/other"
    assert node.declare_parameter("x", 0).value == 1
    assert node.get_logger().name == "far.other"


def test_overrides_can_declare_parameters(ros: None) -> None:
    node = make_node("-p", "x:=1", automatically_declare_parameters_from_overrides=True)
    assert node.get_parameter("x").value == 1


def test_callbacks_before_setting_may_change_what_is_set(node: Node) -> None:
    def double(parameters: list[Parameter]) -> list[Parameter]:
        return [Parameter(item.name, value=item.value * 2) for item in parameters]

    node.declare_parameter("n", 1)
    node.add_pre_set_parameters_callback(double)
    assert node.set_parameters([Parameter("n", value=2)])[0].successful
    assert node.get_parameter("n").value == 4
    node.remove_pre_set_parameters_callback(double)
    with pytest.raises(ValueError, match="not in list"):
        node.remove_pre_set_parameters_callback(double)
    node.add_pre_set_parameters_callback(lambda parameters: [])
    (result,) = node.set_parameters([Parameter("n", value=2)])
    assert (result.successful, node.get_parameter("n").value) == (False, 4)


def test_undeclared_parameters_where_they_are_allowed(ros: None) -> None:
    node = make_node(allow_undeclared_parameters=True)
    assert node.get_parameter("a").type_ is Parameter.Type.NOT_SET
    assert node.describe_parameter("a") == ParameterDescriptor()
    node.set_parameters([Parameter("a", value=1)])
    node.set_parameters([Parameter("a", value="text")])
    assert node.get_parameter_types(["a", "b"]) == [4, 0]
    node.set_parameters([Parameter("a")])
    assert not node.has_parameter("a")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("1", 2), ("1.5", 3), ("yes", 1), ("[1, 2]", 7), ("[]", 6), ("[1, a]", 4), ("{a: 1}", 4)],
)
def test_texts_on_the_command_line_are_yaml(text: str, kind: int) -> None:
    value = get_parameter_value(text)
    assert value.type == kind
    if kind == 4:
        assert value.string_value == text
