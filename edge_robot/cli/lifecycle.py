"""`edge-robot lifecycle`: the states of managed nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import (
    DEFAULT_SPIN_TIME,
    AllNodes,
    CountNodes,
    HiddenNodes,
    SpinTime,
    group,
)

if TYPE_CHECKING:
    from rclpy.node import Node

NodeName = Annotated[str, typer.Argument(metavar="NODE", help="Name of the node: /camera.")]


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group(
        "lifecycle", "See and change the states of managed nodes, as `ros2 lifecycle` does."
    )
    app.add_typer(commands)
    commands.command()(nodes)
    commands.command()(get)
    commands.command(name="list")(list_transitions)
    commands.command(name="set")(set_state)


def nodes(
    show_all: AllNodes = False,
    count_nodes: CountNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the managed nodes: edge-robot lifecycle nodes."""
    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        names = _managed_nodes(node, show_all)
    if count_nodes:
        print(len(names))
    elif names:
        print(*names, sep="\n")


def get(
    node_name: Annotated[
        str | None, typer.Argument(metavar="NODE", help="Name of the node; all if left out.")
    ] = None,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Print the state of nodes: edge-robot lifecycle get /camera."""
    import sys

    from lifecycle_msgs.srv import GetState

    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        if node_name is None:
            names = _managed_nodes(node, include_hidden_nodes)
        else:
            names = [_require_managed(node, node_name, include_hidden_nodes)]
        for full_name in names:
            try:
                state = _ask(node, full_name, GetState, "get_state").current_state
            except RuntimeError as error:
                print(error, file=sys.stderr)
                if node_name is not None:
                    raise SystemExit(1) from None
                continue
            prefix = f"{full_name}: " if node_name is None else ""
            print(f"{prefix}{state.label} [{state.id}]")


def list_transitions(
    node_name: NodeName,
    show_all: Annotated[
        bool, typer.Option("--all", "-a", help="Those of all states, not of the present one.")
    ] = False,
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the transitions a node can make: edge-robot lifecycle list /camera."""
    from edge_robot.cli.direct_node import direct_node

    service = "get_transition_graph" if show_all else "get_available_transitions"
    with direct_node(spin_time) as node:
        full_name = _require_managed(node, node_name, include_hidden_nodes)
        for item in _transitions(node, full_name, service):
            print(
                f"- {item.transition.label} [{item.transition.id}]\n"
                f"\tStart: {item.start_state.label}\n"
                f"\tGoal: {item.goal_state.label}"
            )


def set_state(
    node_name: NodeName,
    transition: Annotated[str, typer.Argument(help="Its label or number: configure.")],
    include_hidden_nodes: HiddenNodes = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Make a node change its state: edge-robot lifecycle set /camera configure."""
    import sys

    from lifecycle_msgs.srv import ChangeState

    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        full_name = _require_managed(node, node_name, include_hidden_nodes)
        available = [
            item.transition for item in _transitions(node, full_name, "get_available_transitions")
        ]
        # A label counts before a number, in case a node has a transition that is called so.
        chosen = [
            *(item for item in available if item.label == transition),
            *(item for item in available if str(item.id) == transition),
        ]
        if not chosen:
            lines = "".join(f"\n- {item.label} [{item.id}]" for item in available)
            raise SystemExit(f"Unknown transition requested, available ones are:{lines}")
        request = ChangeState.Request(transition=chosen[0])
        if _ask(node, full_name, ChangeState, "change_state", request).success:
            print("Transitioning successful")
        else:
            print("Transitioning failed", file=sys.stderr)


def _managed_nodes(node: Node, hidden: bool) -> list[str]:
    """Return the full names of the nodes that tell their state."""
    from edge_robot.cli.node import node_names
    from edge_robot.cli.service import visible_services

    services = dict(visible_services(node, hidden))
    return sorted(
        name
        for name in set(node_names(node, hidden))
        if "lifecycle_msgs/srv/GetState" in services.get(f"{name}/get_state", ())
    )


def _require_managed(node: Node, name: str, hidden: bool) -> str:
    from edge_robot.cli.node import absolute

    full_name = absolute(name)
    if full_name not in _managed_nodes(node, hidden):
        raise SystemExit("Node not found")
    return full_name


def _transitions(node: Node, full_name: str, service: str) -> Any:
    from lifecycle_msgs.srv import GetAvailableTransitions

    return _ask(node, full_name, GetAvailableTransitions, service).available_transitions


def _ask(node: Node, full_name: str, kind: Any, service: str, request: Any = None) -> Any:
    """Call a service of a managed node, once it is there."""
    from edge_robot.cli.direct_node import call, spin_until

    client = node.create_client(kind, f"{full_name}/{service}")
    try:
        spin_until(node, client.service_is_ready, None)
        return call(node, client, kind.Request() if request is None else request)
    finally:
        node.destroy_client(client)
