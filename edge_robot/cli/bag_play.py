"""`edge-robot bag play`: publishes what a bag holds, as bytes, when its turn comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_robot.cli.options import SeveralValues

if TYPE_CHECKING:
    from rclpy.node import Node

    from edge_robot.recording.bag_reader import Bag, BagTopic

_STEP = 0.1
"""Longest sleep: how late a signal may be noticed, s."""

_PROGRESS_PERIOD = 0.2
"""Between two looks of the user at the progress, s."""


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(cls=SeveralValues)(play)


def play(
    bag_path: Annotated[
        Path, typer.Argument(metavar="BAG", help="Folder, .mcap or .db3 file of a bag.")
    ],
    rate: Annotated[float, typer.Option("--rate", "-r", help="Times real time.")] = 1.0,
    topics: Annotated[list[str] | None, typer.Option(help="Play these topics only.")] = None,
    exclude_topics: Annotated[
        list[str] | None, typer.Option(help="Do not play these topics.")
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", "-l", help="Begin again at the end, for ever.")
    ] = False,
    remap: Annotated[
        list[str] | None, typer.Option("--remap", "-m", metavar="OLD:=NEW", help="Rename topics.")
    ] = None,
    clock: Annotated[
        float | None,
        typer.Option(metavar="HZ", min=0.001, help="Publish the bag's time on /clock so often."),
    ] = None,
    delay: Annotated[
        float, typer.Option("--delay", "-d", min=0.0, help="Seconds to wait before it begins.")
    ] = 0.0,
    start_offset: Annotated[
        float, typer.Option(min=0.0, help="Seconds of the bag to leave out.")
    ] = 0.0,
) -> None:
    """Play a bag with the QoS it was recorded with: edge-robot bag play drive --rate 2 --clock 40.

    On a terminal, the time played is shown.
    """
    from edge_robot.cli.direct_node import direct_node
    from edge_robot.recording.bag_reader import Bag

    if rate <= 0.0:
        raise SystemExit("rate must be greater than zero")
    bag = Bag(bag_path)
    left_out = {*(exclude_topics or []), *(["/clock"] if clock else [])}
    chosen = [
        topic
        for topic in bag.topics
        if topic.name not in left_out and (not topics or topic.name in topics)
    ]
    arguments = [word for rule in remap or [] for word in ("--remap", rule)]
    with direct_node(name="rosbag2_player", arguments=tuple(arguments)) as node:
        player = _Player(node, bag, chosen, rate, clock)
        try:
            player.sleep(delay)
            while player.play(round(start_offset * 1e9)) and loop:
                pass
        except KeyboardInterrupt:
            pass  # the usual end of a loop


class _Player:
    """Publishes the samples of a bag at their times."""

    def __init__(
        self, node: Node, bag: Bag, topics: list[BagTopic], rate: float, clock: float | None
    ) -> None:
        self._bag = bag
        self._rate = rate
        self._log = node.get_logger()
        self._publishers: dict[str, Any] = {}
        for topic in topics:
            self._add(node, topic)
        self._ticks = _Ticks(node, clock) if clock else None
        self._shown = 0.0
        self._log.info(f"Set rate to {rate:g}")

    def _add(self, node: Node, topic: BagTopic) -> None:
        from edge_robot.cli.direct_node import contract_of, qos_profile
        from edge_robot.introspection.interfaces import interface_class
        from edge_robot.introspection.qos import offering

        if topic.serialization != "cdr":
            self._log.warning(f"Ignoring a topic '{topic.name}': it is not serialized as CDR")
            return
        try:
            message_class = interface_class(topic.type)
        except ValueError as error:
            self._log.warning(f"Ignoring a topic '{topic.name}', reason: {error}")
            return
        if topic.name not in self._publishers:  # a bag may hold a topic in several parts
            contract = offering([contract_of(offer, _nanoseconds) for offer in topic.offers])
            self._publishers[topic.name] = node.create_publisher(
                message_class, topic.name, qos_profile(contract)
            )

    def play(self, offset: int) -> bool:
        """Play the bag once.

        Args:
            offset: Time of the bag to leave out, ns.

        Returns:
            False if it was stopped, or there is nothing to play.
        """
        begin, count = self._bag.start + offset, 0
        wall = time.monotonic()
        if self._ticks is not None:
            self._ticks.begin(begin)
        for topic, stamp, data in self._bag.messages(self._publishers, begin):
            if not self._wait_until(wall, begin, stamp):
                return False
            self._publishers[topic].publish(data)
            count += 1
        self._show(self._bag.duration, last=True)
        self._wait_for_listeners()
        return count > 0

    def sleep(self, seconds: float) -> bool:
        """Sleep; False if it was stopped."""
        import rclpy

        end = time.monotonic() + seconds
        while rclpy.ok() and (left := end - time.monotonic()) > 0.0:
            time.sleep(min(left, _STEP))
        return rclpy.ok()

    def _wait_until(self, wall: float, begin: int, stamp: int) -> bool:
        """Wait until it is time for a stamp of the bag; False if the player was stopped."""
        for tick in self._ticks.until(stamp) if self._ticks else ():
            if not self._sleep_until(wall, begin, tick):
                return False
            assert self._ticks is not None
            self._ticks.publish(tick)
        self._show(stamp - self._bag.start)
        return self._sleep_until(wall, begin, stamp)

    def _sleep_until(self, wall: float, begin: int, stamp: int) -> bool:
        return self.sleep(wall + (stamp - begin) * 1e-9 / self._rate - time.monotonic())

    def _show(self, played: int, last: bool = False) -> None:
        if not sys.stderr.isatty():
            return
        now = time.monotonic()
        if last or now - self._shown > _PROGRESS_PERIOD:
            self._shown = now
            text = f"\r{played * 1e-9:.1f} of {self._bag.duration * 1e-9:.1f} s"
            print(text, end="\n" if last else "", file=sys.stderr, flush=True)

    def _wait_for_listeners(self) -> None:
        """Wait until reliable listeners have everything."""
        from rclpy.duration import Duration

        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=1.0))


class _Ticks:
    """Publishes the bag's time on `/clock`."""

    def __init__(self, node: Node, frequency: float) -> None:
        from rosgraph_msgs.msg import Clock

        self._publisher = node.create_publisher(Clock, "/clock", 1)
        self._make = Clock
        self._period = round(1e9 / frequency)
        self._next = 0

    def begin(self, stamp: int) -> None:
        """Begin a round at a time of the bag, ns."""
        self._next = stamp

    def until(self, stamp: int) -> Iterator[int]:
        """Return the ticks due by a time of the bag, ns."""
        while self._next <= stamp:
            yield self._next
            self._next += self._period

    def publish(self, tick: int) -> None:
        """Publish a time, ns."""
        from rclpy.time import Time

        self._publisher.publish(self._make(clock=Time(nanoseconds=tick).to_msg()))


def _nanoseconds(duration: Any) -> int:
    """Return a duration of a bag's contract as discovery tells it."""
    from edge_robot.introspection.qos import FOREVER

    return min(duration.sec * 1_000_000_000 + duration.nsec, FOREVER)
