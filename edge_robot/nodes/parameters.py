"""Declares a component's settings as a node's parameters."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

Settings = TypeVar("Settings")


def declare_settings(node: Node, defaults: Settings, prefix: str = "") -> Settings:
    """Return settings with every value taken from the node's parameters.

    Each field made by `edge_robot.settings.setting` becomes a parameter of the same name; fields
    that are settings themselves are flattened into the same node; other fields stay as they are.

    Args:
        node: The node whose parameters are declared.
        defaults: A settings dataclass instance.
        prefix: Put before every name, for settings that a node has several of: `scan.`.
    """
    values: dict[str, Any] = {}
    for item in fields(defaults):  # type: ignore[arg-type]
        default = getattr(defaults, item.name)
        if is_dataclass(default):
            values[item.name] = declare_settings(node, default, prefix)
        elif "about" in item.metadata:
            descriptor = ParameterDescriptor(description=item.metadata["about"])
            values[item.name] = node.declare_parameter(
                f"{prefix}{item.name}", default, descriptor
            ).value
        else:
            values[item.name] = default
    return type(defaults)(**values)
