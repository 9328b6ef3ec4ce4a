"""`edge-robot action`: which actions there are, who serves them, and goals for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.interrupts import cancel_goal, noted_interrupts, result_of, wait_for
from edge_robot.cli.options import DEFAULT_SPIN_TIME, SpinTime, Stdin, group

if TYPE_CHECKING:
    from rclpy.node import Node

Name = Annotated[str, typer.Argument(metavar="ACTION", help="Name of the action: /dock.")]
ShowTypes = Annotated[bool, typer.Option("--show-types", "-t", help="Show types too.")]


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    commands = group("action", "List actions and send goals, as `ros2 action` does.")
    app.add_typer(commands)
    commands.command(name="list")(list_actions)
    commands.command()(info)
    commands.command(name="type")(print_type)
    commands.command(name="send_goal")(send_goal)


def list_actions(
    show_types: ShowTypes = False,
    count_actions: Annotated[
        bool, typer.Option("--count-actions", "-c", help="Only print the number of actions.")
    ] = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the actions: edge-robot action list -t."""
    found = _actions(spin_time)
    if count_actions:
        print(len(found))
        return
    for name, types in found:
        print(f"{name} [{', '.join(types)}]" if show_types else name)


def info(
    action_name: Name,
    show_types: ShowTypes = False,
    count: Annotated[
        bool, typer.Option("--count", "-c", help="Only print the numbers of clients and servers.")
    ] = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Say who serves an action and who uses it: edge-robot action info /dock."""
    from edge_robot.cli.direct_node import direct_node
    from edge_robot.introspection.actions import actions

    with direct_node(spin_time) as node:
        full_name = node.resolve_topic_name(action_name)
        who: dict[str, list[tuple[str, list[str]]]] = {"clients": [], "servers": []}
        for name, namespace in node.get_node_names_and_namespaces():
            heard = node.get_subscriber_names_and_types_by_node(name, namespace)
            served = node.get_publisher_names_and_types_by_node(name, namespace)
            for role, topics in (("clients", heard), ("servers", served)):
                types = dict(actions(topics)).get(full_name)
                if types is not None:
                    who[role].append((f"{namespace.rstrip('/')}/{name}", types))
    print(f"Action: {action_name}")
    for role, nodes in who.items():
        print(f"Action {role}: {len(nodes)}")
        for name, types in [] if count else nodes:
            print(f"    {name} [{', '.join(types)}]" if show_types else f"    {name}")


def print_type(action_name: Name, spin_time: SpinTime = DEFAULT_SPIN_TIME) -> None:
    """Print an action's type: edge-robot action type /dock."""
    types = dict(_actions(spin_time)).get(action_name)
    if types is None:
        raise SystemExit(1)
    print(*types, sep="\n")


def send_goal(
    action_name: Name,
    action_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="example_interfaces/action/Fibonacci.")
    ],
    goal: Annotated[str, typer.Argument(metavar="GOAL", help="Goal as YAML: '{order: 5}'.")] = "{}",
    stdin: Stdin = False,
    feedback: Annotated[
        bool, typer.Option("--feedback", "-f", help="Print the feedback for the goal.")
    ] = False,
) -> None:
    """Send a goal and wait for its result; Ctrl-C cancels it.

    edge-robot action send_goal -f /fibonacci example_interfaces/action/Fibonacci "{order: 5}"
    """
    import sys

    import yaml

    from edge_robot.cli.direct_node import NODE_NAME_PREFIX, direct_node, message_class
    from edge_robot.introspection.message_values import FILL_ERRORS, fill

    kind = message_class(action_type, "action")
    request = kind.Goal()
    try:
        fill(request, yaml.safe_load(sys.stdin.read() if stdin else goal))
    except (*FILL_ERRORS, yaml.YAMLError) as error:
        raise SystemExit(f"Failed to populate message fields: {error!r}") from None
    name = f"{NODE_NAME_PREFIX}_send_goal_{action_type.replace('/', '_')}"
    # A signal must leave the node able to cancel the goal.
    with direct_node(name=name, handle_signals=False) as node:
        _send(node, kind, action_name, request, feedback)


def _send(node: Node, kind: Any, name: str, goal: Any, feedback: bool) -> None:
    from rclpy.action import ActionClient

    from edge_robot.introspection.actions import STATUS_NAMES
    from edge_robot.introspection.message_text import yaml_text

    def on_feedback(message: Any) -> None:
        print(f"Feedback:\n    {yaml_text(message.feedback)}")

    client = ActionClient(node, kind, name)
    with noted_interrupts() as interrupts:
        print("Waiting for an action server to become available...")
        wait_for(node, client.server_is_ready, interrupts)
        print(f"Sending goal:\n     {yaml_text(goal)}")
        sent = client.send_goal_async(goal, on_feedback if feedback else None)
        handle = result_of(node, sent, "sending goal", interrupts)
        if not handle.accepted:
            print("Goal was rejected.")
            return
        print(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n")
        try:
            result = result_of(node, handle.get_result_async(), "getting result", interrupts)
        except KeyboardInterrupt:
            print("Canceling goal...")
            cancel_goal(node, handle, interrupts)
            print("Goal canceled.")
            raise
        print(f"Result:\n    {yaml_text(result.result)}")
        status = STATUS_NAMES[result.status] if result.status < len(STATUS_NAMES) else "UNKNOWN"
        print(f"Goal finished with status: {status}")


def _actions(spin_time: float) -> list[tuple[str, list[str]]]:
    from edge_robot.cli.direct_node import direct_node
    from edge_robot.introspection.actions import actions

    with direct_node(spin_time) as node:
        return actions(node.get_topic_names_and_types())
