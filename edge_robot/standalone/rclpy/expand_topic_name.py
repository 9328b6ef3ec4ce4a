"""From names as programs write them to fully qualified ones."""

from __future__ import annotations

import re

from edge_robot.standalone.rclpy.validate_namespace import namespace_error
from edge_robot.standalone.rclpy.validate_node_name import node_name_error
from edge_robot.standalone.rclpy.validate_topic_name import topic_name_error


def expand_topic_name(topic_name: str, node_name: str, node_namespace: str) -> str:
    """Return the absolute form of a topic or service name, before renamings.

    Args:
        topic_name: Absolute (`/a`), relative (`a`) or private (`~/a`); `{node}`, `{ns}` and
            `{namespace}` are substituted.
        node_name: Name of the node that uses it.
        node_namespace: Its namespace.

    Raises:
        TypeError: the topic name is no string.
        ValueError: one of the three is malformed, or a substitution is unknown.
    """
    if not isinstance(topic_name, str):
        raise TypeError(f"Expected str, got {type(topic_name)}")
    for noun, value, error in (
        ("topic name", topic_name, topic_name_error(topic_name)),
        ("node name", node_name, node_name_error(node_name)),
        ("node namespace", node_namespace, namespace_error(node_namespace)),
    ):
        if error:
            raise ValueError(f"{noun} '{value}' is invalid: {error[0]}")

    values = {"node": node_name, "ns": node_namespace, "namespace": node_namespace}

    def substitute(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(
                f"topic name '{topic_name}' is invalid: unknown substitution: {match[0]}"
            )
        return values[match[1]]

    prefix = "" if node_namespace == "/" else node_namespace
    full = re.sub(r"\{(\w*)\}", substitute, topic_name)
    if full.startswith("~"):
        return f"{prefix}/{node_name}{full[1:]}"
    return full if full.startswith("/") else f"{prefix}/{full}"
