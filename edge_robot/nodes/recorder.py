"""Records the topics of the topic table into one MCAP file, laid out as Foxglove reads it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.conversions import stamp_of
from edge_robot.nodes.message_text import definition_with_dependencies
from edge_robot.nodes.qos import listening_profile
from edge_robot.nodes.runner import run
from edge_robot.recording.images import compress_image, compressed_image_definition
from edge_robot.recording.writer import RecordingWriter
from edge_robot.topics import Topic, full_name

QUEUE_DEPTH = 200
"""Samples of one topic that may wait in the middleware: a listener that must not lose any."""

CHECK_PERIOD = 0.2
"""Between two looks at the writing thread, s."""


class Recorder(Node):
    """Subscribes to topics as serialized bytes and hands them to the writing thread."""

    def __init__(self) -> None:
        super().__init__("recorder")
        output = self._parameter("output", "recording.mcap", "MCAP file to write")
        compression = self._parameter("compression", "zstd", "of chunks: zstd, lz4 or none")
        queue_mb = self._parameter("queue_mb", 64, "most MB that may wait for the disk")
        names = self._parameter("topics", [""], "topics to record; none named: all not derived")
        self._quality = self._parameter("jpeg_quality", 80, "of recorded images, 1..100")
        image_rate = self._parameter("image_rate", 5.0, "recorded images per s; 0: all")
        points_rate = self._parameter("points_rate", 2.0, "recorded sweeps per s; 0: all")
        self._periods = {
            topics.CAMERA_IMAGE.name: _period(image_rate),
            topics.LIDAR_POINTS.name: _period(points_rate),
        }
        self._newest: dict[str, int] = {}
        selected = _select([name for name in names if name])
        self._writer = RecordingWriter(Path(output).expanduser(), compression, queue_mb << 20)
        self._dropped = 0
        self._unreadable = 0
        for topic in selected:
            self._record(topic)
        self.create_timer(CHECK_PERIOD, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"recording {len(selected)} topics into {output}")

    def destroy_node(self) -> None:
        """Stop listening and finish the file.

        Raises:
            UserError: The file could not be finished.
        """
        super().destroy_node()
        self._writer.close()

    def _parameter(self, name: str, default: Any, description: str) -> Any:
        descriptor = ParameterDescriptor(description=description)
        return self.declare_parameter(name, default, descriptor).value

    def _record(self, topic: Topic) -> None:
        encode = None
        if topic.type == "sensor_msgs/Image":
            channel = self._writer.add_channel(
                f"{self._recorded(topic)}/compressed",
                "sensor_msgs/msg/CompressedImage",
                compressed_image_definition(),
            )
            encode = partial(compress_image, quality=self._quality)
        else:
            package, name = topic.type.split("/")
            channel = self._writer.add_channel(
                self._recorded(topic),
                f"{package}/msg/{name}",
                definition_with_dependencies(topic.type),
            )

        def on_sample(data: bytes, info: dict[str, int]) -> None:
            if not self._is_due(topic.name, data):
                return
            published = info["source_timestamp"]
            self._writer.write(channel, published, published, data, encode)

        profile = listening_profile(topic, QUEUE_DEPTH)
        self.create_subscription(
            interface_class(topic.type), topic.name, on_sample, profile, raw=True
        )

    def _recorded(self, topic: Topic) -> str:
        """Return the name in the file: of the table, whatever it is remapped to on this robot."""
        return full_name(topic.name, self.get_namespace())

    def _is_due(self, name: str, data: bytes) -> bool:
        """Thin out a heavy topic by its header stamps, so that the result is the same anywhere."""
        period = self._periods.get(name)
        if period is None:
            return True
        stamp, newest = stamp_of(data), self._newest.get(name)
        if stamp is None:
            return True  # whatever that is, it was published
        # A twentieth of slack: stamps at exactly the period jitter by the clock's resolution.
        if newest is not None and 0 <= stamp - newest < 0.95 * period:
            return False
        self._newest[name] = stamp
        return True

    def _check(self) -> None:
        self._writer.check()
        dropped = self._writer.dropped.total()
        if dropped > self._dropped:
            counts = ", ".join(f"{name} {n}" for name, n in self._writer.dropped.most_common())
            self.get_logger().warning(f"the disk is too slow: samples dropped so far: {counts}")
            self._dropped = dropped
        unreadable = self._writer.unreadable.total()
        if unreadable > self._unreadable:
            counts = ", ".join(f"{n} {c}" for n, c in self._writer.unreadable.most_common())
            self.get_logger().warning(
                f"samples that do not fit the size they state, left out so far: {counts}"
            )
            self._unreadable = unreadable


def _period(rate: float) -> int | None:
    return round(1e9 / rate) if rate > 0.0 else None


def _select(names: list[str]) -> list[Topic]:
    table = {full_name(topic.name): topic for topic in topics.TOPICS}
    if unknown := [name for name in names if full_name(name) not in table]:
        raise UserError(
            f"recorder: parameter 'topics' names {', '.join(unknown)}, which the topic table does "
            "not have; see docs/reference/topics.md"
        )
    return [table[full_name(name)] for name in names] or [t for t in topics.TOPICS if not t.derived]


def main() -> None:
    """Run the node."""
    run(Recorder)


if __name__ == "__main__":
    main()
