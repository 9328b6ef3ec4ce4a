"""Values of parameters: their types' names, and values from and to YAML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True)
class ParameterKind:
    """A type of parameters.

    Attributes:
        number: As `rcl_interfaces/msg/ParameterType` numbers it.
        name: What it is called.
        field: Field of `rcl_interfaces/msg/ParameterValue` that holds such a value.
        label: What introduces a value.
    """

    number: int
    name: str
    field: str
    label: str


KINDS = (
    ParameterKind(0, "not set", "", "Parameter not set."),
    ParameterKind(1, "boolean", "bool_value", "Boolean value is:"),
    ParameterKind(2, "integer", "integer_value", "Integer value is:"),
    ParameterKind(3, "double", "double_value", "Double value is:"),
    ParameterKind(4, "string", "string_value", "String value is:"),
    ParameterKind(5, "byte array", "byte_array_value", "Byte values are:"),
    ParameterKind(6, "boolean array", "bool_array_value", "Boolean values are:"),
    ParameterKind(7, "integer array", "integer_array_value", "Integer values are:"),
    ParameterKind(8, "double array", "double_array_value", "Double values are:"),
    ParameterKind(9, "string array", "string_array_value", "String values are:"),
)
"""By their numbers."""

_SCALARS: tuple[tuple[type, int], ...] = ((bool, 1), (int, 2), (float, 3), (str, 4))
"""A bool is an int in Python, so it comes first."""

_OF_ARRAY = {1: 6, 2: 7, 3: 8, 4: 9}


def parse(text: str) -> tuple[ParameterKind, Any]:
    """Return the type and the value that a text, read as YAML, stands for.

    What is neither a scalar nor a list of scalars of one type is a string.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    number = kind_of(value)
    return (KINDS[number], value) if number else (KINDS[4], text)


def kind_of(value: Any) -> int:
    """Return the number of a Python value's type; 0 if no parameter can hold it."""
    if isinstance(value, list):
        numbers = [kind_of(item) for item in value]
        # An empty list is an empty array of booleans: the first type that fits, as in rclpy.
        kinds = set(numbers) or {1}
        return _OF_ARRAY.get(kinds.pop(), 0) if len(kinds) == 1 else 0
    return next((number for kind, number in _SCALARS if isinstance(value, kind)), 0)


def value_of(message: Any) -> Any:
    """Return what a `rcl_interfaces/msg/ParameterValue` holds; None if it is not set."""
    kind = KINDS[message.type]
    if not kind.field:
        return None
    value = getattr(message, kind.field)
    return value.tolist() if hasattr(value, "tolist") else value


def descriptor_text(descriptor: Any) -> str:
    """Return what a `rcl_interfaces/msg/ParameterDescriptor` says."""
    lines = [f"Parameter name: {descriptor.name}", f"  Type: {KINDS[descriptor.type].name}"]
    if descriptor.description:
        lines.append(f"  Description: {descriptor.description}")
    lines.append("  Constraints:")
    if descriptor.read_only:
        lines.append("    Read only: true")
    for bounds in [*descriptor.floating_point_range, *descriptor.integer_range][:1]:
        lines.append(f"    Min value: {bounds.from_value}")
        lines.append(f"    Max value: {bounds.to_value}")
        if bounds.step:
            lines.append(f"    Step: {bounds.step}")
    if descriptor.additional_constraints:
        lines.append(f"    Additional constraints: {descriptor.additional_constraints}")
    return "\n".join(lines)


def dump(node: str, parameters: Iterable[tuple[str, Any]]) -> str:
    """Return parameters as a YAML parameter file; dots in names make groups.

    Args:
        node: Full name of the node.
        parameters: Names and values.
    """
    tree: dict[str, Any] = {}
    for name, value in parameters:
        *groups, last = name.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[last] = value
    return yaml.dump({node: {"ros__parameters": tree}}, default_flow_style=False)


def load(text: str, node: str, *, wildcard: bool = True) -> dict[str, Any]:
    """Return the parameters of a node from a YAML parameter file, by their full names.

    Args:
        text: The file's text.
        node: Full name of the node.
        wildcard: Whether those of all nodes (`/**`) count, before the node's own.

    Raises:
        ValueError: the text is no parameter file, or holds nothing for the node.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("not a parameter file: no nodes at its top level")
    wanted = (["/**"] if wildcard else []) + [node.lstrip("/"), "/" + node.lstrip("/")]
    found: dict[str, Any] = {}
    sections = [content[name] for name in wanted if name in content]
    if not sections:
        raise ValueError(f"Param file does not contain any valid parameters for node {node}")
    for section in sections:
        if not isinstance(section, dict) or "ros__parameters" not in section:
            raise ValueError("YAML file is not a valid ROS parameter file for node " + node)
        _flatten(section["ros__parameters"] or {}, "", found)
    return found


def _flatten(tree: dict[str, Any], prefix: str, found: dict[str, Any]) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{name}.", found)
        else:
            found[f"{prefix}{name}"] = value
