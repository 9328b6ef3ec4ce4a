"""`edge-robot bag record`: writes what is published into a bag, as bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import SeveralValues

if TYPE_CHECKING:
    from rclpy.node import Node

    from edge_robot.recording.bag_writer import BagWriter

CHECK_PERIOD = 0.2
"""Between two looks at the writing thread, s."""

QUEUE_DEPTH = 1000
"""Samples of one topic that may wait in the middleware: a listener that must not lose any."""


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(cls=SeveralValues)(record)


def record(
    topics_positional: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC...", help="Topics to record.")
    ] = None,
    topics: Annotated[list[str] | None, typer.Option(help="Topics to record.")] = None,
    record_all: Annotated[
        bool, typer.Option("--all", "-a", "--all-topics", help="Record all topics.")
    ] = False,
    regex: Annotated[
        str, typer.Option("--regex", "-e", help="Record topics whose names hold this.")
    ] = "",
    exclude_regex: Annotated[
        str, typer.Option(help="Leave out topics whose names hold this.")
    ] = "",
    exclude_topics: Annotated[list[str] | None, typer.Option(help="Leave out topics.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to make; by default rosbag2_ and the time."),
    ] = None,
    max_duration: Annotated[
        float | None, typer.Option(min=0.0, help="Stop after so many seconds.")
    ] = None,
    compression: Annotated[str, typer.Option(help="Of chunks: none, zstd or lz4.")] = "none",
    include_hidden_topics: Annotated[
        bool, typer.Option("--include-hidden-topics", help="Record hidden topics as well.")
    ] = False,
    include_unpublished_topics: Annotated[
        bool,
        typer.Option("--include-unpublished-topics", help="Do not wait for a publisher's QoS."),
    ] = False,
    polling_interval: Annotated[
        int, typer.Option("--polling-interval", "-p", min=1, help="Between two looks around, ms.")
    ] = 100,
    use_sim_time: Annotated[
        bool, typer.Option("--use-sim-time", help="Take times of reception from /clock.")
    ] = False,
) -> None:
    """Record topics until Ctrl-C: edge-robot bag record -o drive /odom /scan.

    The bag is a folder with metadata.yaml and an MCAP file that holds its message definitions;
    `ros2 bag`, Foxglove and rosbags read it.
    """
    from datetime import datetime

    from edge_robot.cli.direct_node import direct_node
    from edge_robot.recording.bag_writer import BagWriter

    names = [*(topics or []), *(topics_positional or [])]
    if not (names or record_all or regex):
        raise SystemExit(
            "[ERROR] [ros2bag]: Need to specify at least one option out of --all, --topics or "
            "--regex"
        )
    folder = output or Path(datetime.now().strftime("rosbag2_%Y_%m_%d-%H_%M_%S"))
    if folder.exists():
        raise SystemExit(f"[ERROR] [ros2bag]: Output folder '{folder}' already exists.")
    try:
        selection = Selection(
            names=frozenset(name if name.startswith("/") else f"/{name}" for name in names),
            everything=record_all,
            regex=re.compile(regex) if regex else None,
            exclude_regex=re.compile(exclude_regex) if exclude_regex else None,
            exclude=frozenset(exclude_topics or []),
            hidden=include_hidden_topics,
        )
    except re.error as error:
        raise SystemExit(f"[ERROR] [ros2bag]: no regular expression: {error}") from None
    with direct_node(name="rosbag2_recorder", use_sim_time=use_sim_time) as node:
        bag = BagWriter(folder, _distro(), compression)
        try:
            recorder = _Recorder(node, bag, selection, include_unpublished_topics, use_sim_time)
            recorder.run(polling_interval * 1e-3, max_duration)
        finally:
            bag.close()
    print(f"Recording stopped: {bag.written} messages in {folder}")


def _distro() -> str:
    import os

    import rclpy

    if rclpy.__name__ == "rclpy":
        return os.environ.get("ROS_DISTRO", "")
    from edge_robot.standalone.interfaces.store import ros_distro

    return ros_distro()


@dataclass(frozen=True)
class Selection:
    """Which topics are to be recorded."""

    names: frozenset[str]
    everything: bool
    regex: re.Pattern[str] | None
    exclude_regex: re.Pattern[str] | None
    exclude: frozenset[str]
    hidden: bool

    def wants(self, name: str) -> bool:
        """Return whether a topic is wanted."""
        from edge_robot.cli.direct_node import is_hidden

        if name in self.exclude or (self.exclude_regex and self.exclude_regex.search(name)):
            return False
        if is_hidden(name) and not self.hidden:
            return False
        if self.everything or name in self.names:
            return True
        return bool(self.regex and self.regex.search(name))


class _Recorder:
    """Subscribes to what is wanted as it appears, and hands its bytes to the bag."""

    def __init__(
        self, node: Node, bag: BagWriter, selection: Selection, unpublished: bool, sim_time: bool
    ) -> None:
        self._node = node
        self._bag = bag
        self._selection = selection
        self._unpublished = unpublished
        self._sim_time = sim_time
        self._seen: set[str] = set()
        self._dropped = 0

    def run(self, polling_interval: float, max_duration: float | None) -> None:
        """Record until the time is over or a signal comes."""
        import rclpy
        from rclpy.clock import Clock, ClockType
        from rclpy.executors import ExternalShutdownException

        from edge_robot.cli.direct_node import spin_until

        self._node.get_logger().info("Listening for topics...")
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        try:
            self._look()
            self._node.create_timer(polling_interval, self._look, clock=steady)
            self._node.create_timer(CHECK_PERIOD, self._check, clock=steady)
            self._node.get_logger().info("Recording...")
            spin_until(self._node, lambda: False, max_duration)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass  # the usual end
        except Exception:
            if rclpy.ok():  # otherwise a signal broke into a call
                raise

    def _look(self) -> None:
        for name, types in self._node.get_topic_names_and_types():
            if name in self._seen or not self._selection.wants(name):
                continue
            publishers = self._node.get_publishers_info_by_topic(name)
            if not publishers and not self._unpublished:
                continue
            self._seen.add(name)
            if len(types) > 1:
                self._warn(f"Topic '{name}' has more than one type; it is not recorded")
            else:
                self._subscribe(name, types[0], publishers)

    def _subscribe(self, name: str, type_name: str, publishers: list[Any]) -> None:
        from edge_robot.cli.direct_node import contract_of, qos_profile
        from edge_robot.introspection.interfaces import interface_class
        from edge_robot.introspection.qos import PRESETS, matching, to_bag
        from edge_robot.nodes.message_text import definition_with_dependencies

        package, kind, short = type_name.split("/")
        try:
            if kind != "msg":
                raise ValueError(f"{type_name} is part of a service or an action")
            message_class = interface_class(type_name)
        except ValueError as error:
            self._warn(f"Topic '{name}' is not recorded: {error}")
            return
        offers = [contract_of(publisher.qos_profile) for publisher in publishers]
        wanted, _ = matching(replace(PRESETS["default"], depth=QUEUE_DEPTH), offers)
        channel = self._bag.add_topic(
            name,
            type_name,
            definition_with_dependencies(f"{package}/{short}"),
            str(publishers[0].topic_type_hash) if publishers else "",
            to_bag(offers),
        )
        self._node.create_subscription(
            message_class, name, self._writing(channel), qos_profile(wanted), raw=True
        )
        self._node.get_logger().info(f"Subscribed to topic '{name}'")

    def _writing(self, channel: int) -> Callable[[bytes, Any], None]:
        clock = self._node.get_clock()

        def on_sample(data: bytes, info: dict[str, int]) -> None:
            received = clock.now().nanoseconds if self._sim_time else info["received_timestamp"]
            self._bag.write(channel, received, info["source_timestamp"], data)

        return on_sample

    def _check(self) -> None:
        self._bag.check()
        if self._bag.dropped > self._dropped:
            self._dropped = self._bag.dropped
            self._warn(f"the disk is too slow: samples dropped so far: {self._dropped}")

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text)
