"""`edge-robot topic echo`: prints the messages of a topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import (
    DEFAULT_SPIN_TIME,
    QosDepth,
    QosDurability,
    QosHistory,
    QosLease,
    QosLiveliness,
    QosProfile,
    QosReliability,
    SimTime,
    SpinTime,
)
from edge_robot.errors import UserError
from edge_robot.expressions import Expression, ExpressionError

if TYPE_CHECKING:
    from rclpy.node import Node

    from edge_robot.introspection.qos import Contract

TRUNCATE_LENGTH = 128


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(echo)


def echo(
    topic_name: Annotated[str, typer.Argument(metavar="TOPIC", help="Name of the topic: /odom.")],
    message_type: Annotated[
        str | None,
        typer.Argument(metavar="TYPE", help="Its type; found by who publishes if left out."),
    ] = None,
    qos_profile: QosProfile = "sensor_data",
    qos_depth: QosDepth = None,
    qos_history: QosHistory = None,
    qos_reliability: QosReliability = None,
    qos_durability: QosDurability = None,
    qos_liveliness: QosLiveliness = None,
    qos_lease: QosLease = None,
    csv: Annotated[bool, typer.Option("--csv", help="All values, separated by commas.")] = False,
    field: Annotated[
        str | None, typer.Option(help="Print one field only: pose.pose.position.")
    ] = None,
    full_length: Annotated[
        bool, typer.Option("--full-length", "-f", help="Do not truncate.")
    ] = False,
    truncate_length: Annotated[
        int,
        typer.Option("--truncate-length", "-l", min=0, help="Longest sequence and string shown."),
    ] = TRUNCATE_LENGTH,
    no_arr: Annotated[bool, typer.Option("--no-arr", help="Do not print sequences.")] = False,
    no_str: Annotated[bool, typer.Option("--no-str", help="Do not print strings.")] = False,
    flow_style: Annotated[
        bool, typer.Option("--flow-style", help="Print sequences on one line.")
    ] = False,
    no_lost_messages: Annotated[
        bool, typer.Option("--no-lost-messages", help="Do not report lost messages.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print the serialized bytes.")] = False,
    filter_expr: Annotated[
        str | None,
        typer.Option("--filter", help="Print only if a Python expression of the message m holds."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one message and exit.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="N", min=0.0, help="Exit after so many seconds.")
    ] = None,
    include_message_info: Annotated[
        bool, typer.Option("--include-message-info", "-i", help="Print when it was sent and came.")
    ] = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
    use_sim_time: SimTime = False,
) -> None:
    """Print the messages of a topic: edge-robot topic echo /odom --field pose.pose.position.

    The QoS is chosen to hear all publishers, unless a --qos-* policy is given.
    """
    from rclpy.task import Future

    from edge_robot.cli import direct_node as tool

    if field is not None and not any(field.split(".")):
        raise SystemExit(f"Invalid field value '{field}'")
    explicit: dict[str, Any] = {
        "depth": qos_depth,
        "history": qos_history,
        "reliability": qos_reliability,
        "durability": qos_durability,
        "liveliness": qos_liveliness,
        "lease": qos_lease,
    }
    contract = tool.contract(qos_profile or "sensor_data", **explicit)
    done = Future()
    printer = _Printer(
        field=field,
        accept=accept(filter_expr),
        csv=csv,
        with_info=include_message_info,
        options={
            "truncate": None if full_length else truncate_length,
            "no_arrays": no_arr,
            "no_strings": no_str,
        },
        flow_style=flow_style,
    )

    def on_message(message: Any, info: Any) -> None:
        if not done.done() and printer.show(message, info) and once:
            done.set_result(True)

    with tool.direct_node(spin_time, use_sim_time=use_sim_time) as node:
        if all(value is None for value in explicit.values()):
            contract = _heard_by_all(node, topic_name, contract)
        if message_type is None:
            kind = tool.topic_class(node, topic_name)
        else:
            kind = tool.message_class(message_type)
        _subscribe(node, kind, topic_name, on_message, contract, raw, not no_lost_messages)
        tool.spin_until(node, done.done, timeout)


def _heard_by_all(node: Node, topic: str, contract: Contract) -> Contract:
    from edge_robot.cli.direct_node import contract_of
    from edge_robot.introspection.qos import matching

    publishers = node.get_publishers_info_by_topic(topic)
    offers = [contract_of(publisher.qos_profile) for publisher in publishers]
    matched, notes = matching(contract, offers)
    for note in notes:
        print(note)
    return matched


def _subscribe(
    node: Node,
    kind: Any,
    topic: str,
    on_message: Callable[[Any, Any], None],
    contract: Contract,
    raw: bool,
    report_lost: bool,
) -> None:
    from rclpy.event_handler import SubscriptionEventCallbacks

    from edge_robot.cli.direct_node import qos_profile

    events = SubscriptionEventCallbacks()
    events.message_lost = _print_lost if report_lost else None
    node.create_subscription(
        kind, topic, on_message, qos_profile(contract), event_callbacks=events, raw=raw
    )


def _print_lost(status: Any) -> None:
    print(
        f"A message was lost!!!\n\ttotal count change:{status.total_count_change}"
        f"\n\ttotal count: {status.total_count}",
        end="---\n",
    )


def accept(text: str | None) -> Callable[[Any], Any] | None:
    """Return the function of a message m that an expression is; None for none.

    Raises:
        UserError: it is no expression; the function raises it where the expression fails.
    """
    if text is None:
        return None
    try:
        expression = Expression(text)
    except ExpressionError as error:
        raise UserError(f"--filter {text!r} {error}") from None

    def judge(message: Any) -> Any:
        try:
            return expression.value({"m": message})
        except ExpressionError as error:
            raise UserError(f"--filter {text!r} {error}") from None

    return judge


@dataclass
class _Printer:
    field: str | None
    accept: Callable[[Any], Any] | None
    csv: bool
    with_info: bool
    options: dict[str, Any]
    flow_style: bool

    def show(self, message: Any, info: Any) -> bool:
        """Print a message; False if it is not wanted."""
        import yaml

        from edge_robot.introspection.message_text import csv_text, yaml_text
        from edge_robot.introspection.message_values import select

        if self.field is not None:
            message = select(message, self.field)
        if self.accept is not None and not self.accept(message):
            return False
        if not hasattr(message, "get_fields_and_field_types"):  # bytes, or a field's value
            if self.with_info:
                print("---Got new message, message info:---")
                print(info)
                print("---Message data:---")
            print(message, end="\n---\n")
        elif self.csv:
            text = csv_text(message, **self.options)
            if self.with_info:
                text = f"{','.join(str(value) for value in info.values())},{text}"
            print(text)
        else:
            if self.with_info:
                print(yaml.dump(dict(info)), end="---\n")
            text = yaml_text(message, flow_style=self.flow_style, **self.options)
            print(text, end="---\n")
        return True
