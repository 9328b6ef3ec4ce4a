"""`edge-robot topic`: what is published, by whom, how often, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli import topic_echo, topic_pub, topic_rates
from edge_robot.cli.options import DEFAULT_SPIN_TIME, Hidden, SpinTime, group

if TYPE_CHECKING:
    from rclpy.node import Node

Name = Annotated[str, typer.Argument(metavar="TOPIC", help="Name of the topic: /chatter.")]
Count = Annotated[
    bool, typer.Option("--count-topics", "-c", help="Only print the number of topics.")
]


def register(app: typer.Typer) -> None:
    """Add the group to the app."""
    topic = group("topic", "List, read, measure and publish topics, as `ros2 topic` does.")
    app.add_typer(topic)
    topic.command(name="list")(list_topics)
    topic.command()(info)
    topic.command(name="type")(print_type)
    topic.command()(find)
    topic_echo.register(topic)
    topic_rates.register(topic)
    topic_pub.register(topic)


def list_topics(
    show_types: Annotated[bool, typer.Option("--show-types", "-t", help="Show types too.")] = False,
    count_topics: Count = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show types, and how many publish and listen.")
    ] = False,
    include_hidden_topics: Hidden = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the topics: edge-robot topic list -t."""
    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        topics = _topics(node, include_hidden_topics)
        if count_topics:
            print(len(topics))
        elif verbose:
            if topics:
                print(_overview(topics, node.count_publishers, "Published", "publisher"))
                print(_overview(topics, node.count_subscribers, "Subscribed", "subscriber"))
        else:
            for name, types in topics:
                print(f"{name} [{', '.join(types)}]" if show_types else name)


def info(
    topic_name: Name,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show node, type hash, GUID and QoS of each.")
    ] = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Say what a topic carries and who is on it: edge-robot topic info -v /odom."""
    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        types = dict(_topics(node, hidden=True)).get(topic_name)
        if types is None:
            raise SystemExit(f"Unknown topic '{topic_name}'")
        end = "\n\n" if verbose else "\n"
        print(f"Type: {types[0] if len(types) == 1 else types}", end=end)
        print(f"Publisher count: {node.count_publishers(topic_name)}", end=end)
        if verbose:
            for endpoint in node.get_publishers_info_by_topic(topic_name):
                print(endpoint_text(endpoint), end=end)
        print(f"Subscription count: {node.count_subscribers(topic_name)}", end=end)
        if verbose:
            for endpoint in node.get_subscriptions_info_by_topic(topic_name):
                print(endpoint_text(endpoint), end=end)


def print_type(
    topic_name: Name,
    include_hidden_topics: Hidden = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """Print a topic's type: edge-robot topic type /odom."""
    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        types = dict(_topics(node, include_hidden_topics)).get(topic_name)
    if types is None:
        raise SystemExit(1)
    print(*types, sep="\n")


def find(
    topic_type: Annotated[str, typer.Argument(metavar="TYPE", help="std_msgs/msg/String.")],
    count_topics: Count = False,
    include_hidden_topics: Hidden = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
) -> None:
    """List the topics of a type: edge-robot topic find sensor_msgs/msg/Image."""
    from edge_robot.cli.direct_node import direct_node

    with direct_node(spin_time) as node:
        found = [n for n, types in _topics(node, include_hidden_topics) if topic_type in types]
    if count_topics:
        print(len(found))
    else:
        for name in found:
            print(name)


def _topics(node: Node, hidden: bool) -> list[tuple[str, list[str]]]:
    from edge_robot.cli.direct_node import is_hidden

    return [(n, t) for n, t in node.get_topic_names_and_types() if hidden or not is_hidden(n)]


def _overview(topics: list[tuple[str, list[str]]], count: Any, title: str, who: str) -> str:
    text = f"{title} topics:\n"
    for name, types in topics:
        number = count(name)
        if number:
            plural = "s" if number > 1 else ""
            text += f" * {name} [{', '.join(types)}] {number} {who}{plural}\n"
    return text


def endpoint_text(endpoint: Any) -> str:
    """Return the description of a publisher or subscription."""
    qos = endpoint.qos_profile
    history = qos.history.name
    if history == "KEEP_LAST":
        history += f" ({qos.depth})"
    gid = ".".join(f"{byte:02x}" for byte in endpoint.endpoint_gid)
    return "\n".join(
        [
            f"Node name: {endpoint.node_name}",
            f"Node namespace: {endpoint.node_namespace}",
            f"Topic type: {endpoint.topic_type}",
            f"Topic type hash: {endpoint.topic_type_hash}",
            f"Endpoint type: {endpoint.endpoint_type.name}",
            f"GID: {gid}",
            "QoS profile:",
            f"  Reliability: {qos.reliability.name}",
            f"  History (Depth): {history}",
            f"  Durability: {qos.durability.name}",
            f"  Lifespan: {_limit(qos.lifespan)}",
            f"  Deadline: {_limit(qos.deadline)}",
            f"  Liveliness: {qos.liveliness.name}",
            f"  Liveliness lease duration: {_limit(qos.liveliness_lease_duration)}",
        ]
    )


def _limit(duration: Any) -> str:
    from edge_robot.introspection.qos import FOREVER

    if duration.nanoseconds >= FOREVER:
        return "Infinite"
    return f"{duration.nanoseconds} nanoseconds"
