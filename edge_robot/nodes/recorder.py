"""Records the topics of the topic table into one MCAP file, laid out as Foxglove reads it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rclpy.clock import Clock, ClockType
from rclpy.subscription import Subscription

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.conversions import stamp_of
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.message_text import definition_with_dependencies
from edge_robot.nodes.qos import listening_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.unhurried import take_waiting, unhurried
from edge_robot.nodes.urgency import Urgency
from edge_robot.recording.images import compress_image, compressed_image_definition
from edge_robot.recording.writer import Encoder, RecordingWriter
from edge_robot.topics import Topic, full_name

QUEUE_DEPTH = 200
"""Samples of one topic that may wait in the middleware: a listener that must not lose any."""

CHECK_PERIOD = 0.2
"""Between two looks at the writing thread, s."""

TAKE_PERIOD = 0.02
"""Between two looks at what has come, s: a fifth of the life of a command."""


class Recorder(ManagedNode):
    """Subscribes to topics as serialized bytes and hands them to the writing thread.

    The file is begun by `configure` and finished by `cleanup`; while inactive nothing is recorded.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self._output = self.parameter("output", "recording.mcap", "MCAP file to write")
        self._compression = self.parameter(
            "compression", "zstd", "of chunks: zstd, lz4 or none", one_of=("zstd", "lz4", "none")
        )
        self._queue_mb = self.parameter(
            "queue_mb", 64, "most MB that may wait for the disk before samples are dropped", ge=1
        )
        self._topics = self.parameter(
            "topics", [""], "topics to record; none named: all not derived"
        )
        self._quality = self.parameter(
            "jpeg_quality", 80, "of recorded images, 1..100", ge=1, le=100
        )
        self._image_rate = self.parameter(
            "image_rate", 5.0, "recorded images per s; 0: all", ge=0.0, live=True
        )
        self._points_rate = self.parameter(
            "points_rate", 2.0, "recorded sweeps per s; 0: all", ge=0.0, live=True
        )

    def configure(self) -> None:
        """Begin the file.

        Raises:
            UserError: it cannot be written, or a topic is not in the table.
        """
        selected = _select([name for name in self._topics.value if name])
        self._writer = RecordingWriter(
            Path(self._output.value).expanduser(),
            self._compression.value,
            self._queue_mb.value << 20,
        )
        self._channels = [(topic, *self._channel(topic)) for topic in selected]
        self._dropped = self._unreadable = 0

    def activate(self) -> None:
        """Record."""
        self._newest: dict[str, int] = {}
        self._recorded_topics = [
            self._record(topic, channel, encode) for topic, channel, encode in self._channels
        ]
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(TAKE_PERIOD, lambda: None, clock=steady)
        self.create_timer(CHECK_PERIOD, self._check, clock=steady)
        self.get_logger().info(f"recording {len(self._channels)} topics into {self._output.value}")

    def deactivate(self) -> None:
        """Record what has come since the last look."""
        for subscription in self._recorded_topics:
            take_waiting(subscription)

    def cleanup(self) -> None:
        """Finish the file.

        Raises:
            UserError: it could not be finished.
        """
        self._writer.close()

    def _channel(self, topic: Topic) -> tuple[int, Encoder | None]:
        """Return a channel of the file for a topic, and how its samples are encoded."""
        if topic.type == "sensor_msgs/Image":
            channel = self._writer.add_channel(
                f"{self._recorded(topic)}/compressed",
                "sensor_msgs/msg/CompressedImage",
                compressed_image_definition(),
            )
            return channel, partial(compress_image, quality=self._quality.value)
        package, name = topic.type.split("/")
        channel = self._writer.add_channel(
            self._recorded(topic),
            f"{package}/msg/{name}",
            definition_with_dependencies(topic.type),
        )
        return channel, None

    def _record(self, topic: Topic, channel: int, encode: Encoder | None) -> Subscription:
        def on_sample(data: bytes, info: dict[str, int]) -> None:
            if not self._is_due(topic.name, data):
                return
            published = info["source_timestamp"]
            self._writer.write(channel, published, published, data, encode)

        profile = listening_profile(topic, QUEUE_DEPTH)
        return unhurried(
            self.create_subscription(
                interface_class(topic.type), topic.name, on_sample, profile, raw=True
            )
        )

    def _recorded(self, topic: Topic) -> str:
        """Return the name in the file: of the table, whatever it is remapped to on this robot."""
        return full_name(topic.name, self.get_namespace())

    def _is_due(self, name: str, data: bytes) -> bool:
        """Thin out a heavy topic by its header stamps, so that the result is the same anywhere."""
        if name == topics.CAMERA_IMAGE.name:
            rate = self._image_rate.value
        elif name == topics.LIDAR_POINTS.name:
            rate = self._points_rate.value
        else:
            return True
        if rate == 0.0:
            return True
        stamp, newest = stamp_of(data), self._newest.get(name)
        if stamp is None:
            return True  # whatever that is, it was published
        # A twentieth of slack: stamps at exactly the period jitter by the clock's resolution.
        if newest is not None and 0 <= stamp - newest < 0.95e9 / rate:
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
    run(Recorder, Urgency.RECORDING)


if __name__ == "__main__":
    main()
