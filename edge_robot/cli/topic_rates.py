"""`edge-robot topic hz`, `bw`, `delay`: how often messages come, how big and how old they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import DEFAULT_SPIN_TIME, SimTime, SpinTime

if TYPE_CHECKING:
    from rclpy.node import Node

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="Name of the topic: /scan.")]
Window = Annotated[
    int, typer.Option("--window", "-w", min=1, metavar="N", help="Most messages that count.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for command in (hz, bw, delay):
        app.command()(command)


def hz(
    topic_name: Topic,
    window: Window = 10_000,
    filter_expr: Annotated[
        str | None,
        typer.Option("--filter", help="Count only if a Python expression of the message m holds."),
    ] = None,
    wall_time: Annotated[
        bool, typer.Option("--wall-time", help="Measure by the wall clock, not by simulated time.")
    ] = False,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
    use_sim_time: SimTime = False,
) -> None:
    """Measure the rate of a topic: edge-robot topic hz /scan."""
    from rclpy.clock import Clock, ClockType

    from edge_robot.cli.direct_node import direct_node
    from edge_robot.cli.topic_echo import accept
    from edge_robot.introspection.rates import Rate

    rate = Rate(window)
    wanted = accept(filter_expr)
    with direct_node(spin_time, use_sim_time=use_sim_time) as node:
        clock = Clock(clock_type=ClockType.SYSTEM_TIME) if wall_time else node.get_clock()

        def on_message(message: Any) -> None:
            # Only a filter needs to see inside; decoding would cost what is to be measured.
            if wanted is not None and not wanted(message):
                return
            if rate.add(clock.now().nanoseconds):
                print("time has reset, resetting counters")
            _print(rate.report())

        _listen(node, topic_name, on_message, raw=wanted is None)


def bw(
    topic_name: Topic,
    window: Window = 100,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
    use_sim_time: SimTime = False,
) -> None:
    """Measure the bandwidth of a topic: edge-robot topic bw /camera/front/image_raw."""
    import sys

    from edge_robot.cli.direct_node import direct_node
    from edge_robot.introspection.rates import Bandwidth

    bandwidth = Bandwidth(window)
    with direct_node(spin_time, use_sim_time=use_sim_time) as node:
        clock = node.get_clock()

        def report() -> None:
            now = clock.now().nanoseconds
            if bandwidth.reset(now):
                print("WARNING: time is reset!", file=sys.stderr)
            _print(bandwidth.report(now))

        def on_message(data: bytes) -> None:
            bandwidth.add(clock.now().nanoseconds, len(data))

        def announce() -> None:
            print(f"Subscribed to [{topic_name}]")

        _listen(node, topic_name, on_message, raw=True, report=report, announce=announce)


def delay(
    topic_name: Topic,
    window: Window = 10_000,
    spin_time: SpinTime = DEFAULT_SPIN_TIME,
    use_sim_time: SimTime = False,
) -> None:
    """Measure how old messages are by their headers: edge-robot topic delay /lidar/points."""
    from rclpy.time import Time

    from edge_robot.cli.direct_node import direct_node
    from edge_robot.introspection.rates import Delay

    ages = Delay(window)
    with direct_node(spin_time, use_sim_time=use_sim_time) as node:
        clock = node.get_clock()

        def on_message(message: Any) -> None:
            if not hasattr(message, "header"):
                raise RuntimeError("msg does not have header")
            stamp = Time.from_msg(message.header.stamp).nanoseconds
            if ages.add(clock.now().nanoseconds, stamp):
                print("time has reset, resetting counters")

        _listen(node, topic_name, on_message, report=lambda: _print(ages.report()))


def _listen(
    node: Node,
    topic: str,
    on_message: Callable[[Any], None],
    *,
    raw: bool = False,
    report: Callable[[], None] | None = None,
    announce: Callable[[], None] | None = None,
) -> None:
    """Subscribe once somebody publishes, and report once a second, for ever."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data

    from edge_robot.cli.direct_node import topic_class

    kind = topic_class(node, topic, wait=True)
    node.create_subscription(kind, topic, on_message, qos_profile_sensor_data, raw=raw)
    if announce is not None:
        announce()
    if report is not None:
        node.create_timer(1.0, report)
    rclpy.spin(node)


def _print(text: str | None) -> None:
    if text is not None:
        print(text)
