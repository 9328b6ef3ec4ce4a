"""`edge-robot node`: which nodes there are, and what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import DEFAULT_SPIN_TIME, AllNodes, CountNodes, SpinTime, group

if TYPE_CHECKING:
    from rclpy.node import Node


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("node", "List nodes and what they are made of, as `ros2 node` does.")
    app.add_typer(commands)
    commands.command(name="list")(list_nodes)
    commands.command()(info)


def list_nodes(
    show_all: AllNodes = False,
    count_nodes: CountNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the nodes: edge-robot node list."""
    import sys

    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        names = sorted(node_names(node, show_all))
    if count_nodes:
        print(len(names))
    elif names:
        if len(set(names)) < len(names):
            print(
                "WARNING: Be aware that there are nodes in the graph that share an exact name, "
                "which can have unintended side effects.",
                file=sys.stderr,
            )
        print(*names, sep="\n")


def info(
    node_name: Annotated[str, typer.Argument(metavar="NODE", help="Full name: /planner.")],
    include_hidden: Annotated[
        bool, typer.Option("--include-hidden", help="Show hidden topics, services and actions.")
    ] = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Say what a node is made of: edge-robot node info /planner."""
    import sys

    from edge_robot.cli.direct_node import direct_node, is_hidden
    from edge_robot.introspection.actions import actions

    with direct_node(spin_time) as node:
        count = node_names(node, include_hidden).count(node_name)
        if count == 0:
            raise SystemExit(f"Unable to find node '{node_name}'")
        if count > 1:
            print(
                f'There are {count} nodes in the graph with the exact name "{node_name}". You are '
                "seeing information about only one of them.",
                file=sys.stderr,
            )
        namespace, _, base = node_name.rpartition("/")
        whom = (base, namespace or "/")
        heard = node.get_subscriber_names_and_types_by_node(*whom)
        published = node.get_publisher_names_and_types_by_node(*whom)
        sections: dict[str, Any] = {
            "Subscribers": heard,
            "Publishers": published,
            "Service Servers": node.get_service_names_and_types_by_node(*whom),
            "Service Clients": node.get_client_names_and_types_by_node(*whom),
            "Action Servers": actions(published),
            "Action Clients": actions(heard),
        }
        print(node_name)
        for title, entities in sections.items():
            print(f"  {title}:")
            shown = [
                f"    {name}: {', '.join(types)}"
                for name, types in entities
                if include_hidden or not is_hidden(name)
            ]
            print(*shown, sep="\n")


def node_names(node: Node, hidden: bool) -> list[str]:
    """Return the full names of the nodes known."""
    return [
        f"{namespace.rstrip('/')}/{name}"
        for name, namespace in node.get_node_names_and_namespaces()
        if hidden or (name and not name.startswith("_"))
    ]


def absolute(node_name: str) -> str:
    """Return the full name of a node that is named with or without its first slash."""
    return node_name if node_name.startswith("/") else f"/{node_name}"


def require_node(node: Node, full_name: str, hidden: bool, timeout: float = 0.0) -> None:
    """Wait for a node.

    Args:
        node: Node that looks.
        full_name: Full name of the other.
        hidden: Whether hidden nodes count.
        timeout: Longest wait, s.

    Raises:
        SystemExit: it does not come.
    """
    from edge_robot.cli.direct_node import spin_until

    if not spin_until(node, lambda: full_name in node_names(node, hidden), timeout):
        raise SystemExit("Node not found")
