"""`edge-robot topic pub`: publishes a message, once or at a rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import (
    QosDepth,
    QosDurability,
    QosHistory,
    QosLease,
    QosLiveliness,
    QosProfile,
    QosReliability,
    SimTime,
    Stdin,
)

if TYPE_CHECKING:
    from rclpy.node import Node

WAIT_STEP = 0.1
"""Between two looks at who listens, s."""


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(pub)


def pub(
    topic_name: Annotated[
        str, typer.Argument(metavar="TOPIC", help="Name of the topic: /chatter.")
    ],
    message_type: Annotated[str, typer.Argument(metavar="TYPE", help="std_msgs/msg/String.")],
    values: Annotated[
        str,
        typer.Argument(
            metavar="VALUES",
            help="Fields as YAML: '{data: hello}'. `now` stands for the time in a stamp, `auto` in "
            "a header.",
        ),
    ] = "{}",
    stdin: Stdin = False,
    rate: Annotated[
        float, typer.Option("--rate", "-r", metavar="N", help="Messages per second.")
    ] = 1.0,
    print_nth: Annotated[
        int, typer.Option("--print", "-p", metavar="N", help="Print every N-th; 0: none.")
    ] = 1,
    once: Annotated[bool, typer.Option("--once", "-1", help="Publish once and exit.")] = False,
    times: Annotated[
        int, typer.Option("--times", "-t", min=0, help="Publish so many times and exit.")
    ] = 0,
    wait: Annotated[
        int | None,
        typer.Option(
            "--wait-matching-subscriptions",
            "-w",
            min=0,
            help="Wait for so many subscriptions; 1 with --once or --times, else 0.",
        ),
    ] = None,
    max_wait: Annotated[
        float | None, typer.Option("--max-wait-time-secs", help="Give up waiting after that.")
    ] = None,
    keep_alive: Annotated[
        float, typer.Option(metavar="N", help="Seconds to stay after the last message.")
    ] = 0.1,
    node_name: Annotated[
        str | None, typer.Option("--node-name", "-n", help="Name of the publishing node.")
    ] = None,
    qos_profile: QosProfile = "default",
    qos_depth: QosDepth = None,
    qos_history: QosHistory = None,
    qos_reliability: QosReliability = None,
    qos_durability: QosDurability = None,
    qos_liveliness: QosLiveliness = None,
    qos_lease: QosLease = None,
    use_sim_time: SimTime = False,
) -> None:
    """Publish on a topic.

    edge-robot topic pub --once /cmd_vel geometry_msgs/msg/TwistStamped
    "{header: auto, twist: {linear: {x: 0.2}}}"
    """
    import sys

    import yaml

    from edge_robot.cli import direct_node as tool

    if rate <= 0.0:
        raise SystemExit("Value must be positive")
    if once and times:
        raise SystemExit("argument -t/--times: not allowed with argument -1/--once")
    times = 1 if once else times
    profile = tool.qos_profile(
        tool.contract(
            qos_profile or "default",
            depth=qos_depth,
            history=qos_history,
            reliability=qos_reliability,
            durability=qos_durability,
            liveliness=qos_liveliness,
            lease=qos_lease,
        )
    )
    kind = tool.message_class(message_type)
    try:
        fields = yaml.safe_load(sys.stdin.read() if stdin else values)
    except yaml.YAMLError as error:
        raise SystemExit(f"The passed value is not YAML: {error}") from None
    if not isinstance(fields, dict):
        raise SystemExit("The passed value needs to be a dictionary in YAML format")
    expected = int(times != 0) if wait is None else wait
    if expected == 0 and max_wait is not None:
        raise SystemExit(
            "--max-wait-time-secs option is only effective with --wait-matching-subscriptions, "
            "--once or --times"
        )
    with tool.direct_node(name=node_name, use_sim_time=use_sim_time) as node:
        publisher = node.create_publisher(kind, topic_name, profile)
        _wait_for_listeners(node, publisher, expected, max_wait)
        _publish(node, publisher, kind(), fields, 1.0 / rate, print_nth, times)
        tool.spin_for(node, keep_alive)  # until what was sent is on the wire


def _wait_for_listeners(node: Node, publisher: Any, expected: int, max_wait: float | None) -> None:
    from edge_robot.cli.direct_node import spin_for

    waited = 0
    while publisher.get_subscription_count() < expected:
        if waited % 10 == 0:
            print(f"Waiting for at least {expected} matching subscription(s)...")
        if max_wait is not None and waited * WAIT_STEP >= max_wait:
            raise SystemExit(
                f"Timed out waiting for subscribers: Expected {expected} subcribers but only got "
                f"{publisher.get_subscription_count()} subscribers"
            )
        spin_for(node, WAIT_STEP)
        waited += 1


def _publish(
    node: Node,
    publisher: Any,
    message: Any,
    fields: dict[str, Any],
    period: float,
    print_nth: int,
    times: int,
) -> None:
    from edge_robot.cli.direct_node import spin_until
    from edge_robot.introspection.message_values import FILL_ERRORS, fill

    try:
        setters = fill(message, fields, expand=True)
    except FILL_ERRORS as error:
        raise SystemExit(f"Failed to populate field: {error}") from None
    count = 0

    def publish() -> None:
        nonlocal count
        stamp = node.get_clock().now().to_msg()
        for set_stamp in setters:
            set_stamp(stamp)
        count += 1
        if print_nth and count % print_nth == 0:
            print(f"publishing #{count}: {message!r}\n")
        publisher.publish(message)

    print("publisher: beginning loop")
    publish()
    if times != 1:
        node.create_timer(period, lambda: publish() if not times or count < times else None)
        spin_until(node, lambda: 0 < times <= count, None)
