"""Which actions there are, and whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_robot.standalone.rclpy.action.names import actions_among

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node


def get_action_client_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> list[tuple[str, list[str]]]:
    """Return the actions a node has clients of, with their types.

    Args:
        node: A node, to look at the graph with.
        remote_node_name: Name of the node in question.
        remote_node_namespace: Its namespace.
    """
    return actions_among(
        node.get_subscriber_names_and_types_by_node(remote_node_name, remote_node_namespace)
    )


def get_action_server_names_and_types_by_node(
    node: Node, remote_node_name: str, remote_node_namespace: str
) -> list[tuple[str, list[str]]]:
    """Return the actions a node has servers of, with their types; arguments as above."""
    return actions_among(
        node.get_publisher_names_and_types_by_node(remote_node_name, remote_node_namespace)
    )


def get_action_names_and_types(node: Node) -> list[tuple[str, list[str]]]:
    """Return all actions known, with their types."""
    return actions_among(node.get_topic_names_and_types())
