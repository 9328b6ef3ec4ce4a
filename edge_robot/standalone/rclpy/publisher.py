"""Publishers."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.dds.endpoints import Writer
from edge_robot.standalone.dds.naming import topic_name, type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.interfaces.codec import codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import Message
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.duration import Duration, Infinite
from edge_robot.standalone.rclpy.event_handler import EventHandler, PublisherEventCallbacks
from edge_robot.standalone.rclpy.logging import Logger
from edge_robot.standalone.rclpy.qos import QoSProfile, dds_qos


class Publisher:
    """Publishes messages of one type on one topic. Made by `Node.create_publisher`."""

    def __init__(
        self,
        participant: Participant,
        msg_type: type[Message],
        topic: str,
        qos_profile: QoSProfile,
        event_callbacks: PublisherEventCallbacks,
        callback_group: CallbackGroup,
        logger: Logger,
    ) -> None:
        self.msg_type = msg_type
        self.topic = topic
        self.qos_profile = qos_profile
        name = msg_type.definition.name
        self._write = codec(msg_type).write
        self.writer = Writer(
            participant,
            topic_name(topic),
            type_name(name),
            dds_qos(qos_profile),
            type_hash_user_data(name),
        )
        self.event_handler = EventHandler(
            self.writer.handle,
            callback_group,
            event_callbacks,
            lambda text: logger.warning(f"{topic}: {text}"),
        )

    @property
    def topic_name(self) -> str:
        """Fully qualified topic."""
        return self.topic

    def publish(self, msg: Any) -> None:
        """Send a message, or one that is serialized already (bytes).

        Raises:
            TypeError: it is of another type than the publisher's.
            DdsError: it cannot be sent.
        """
        if isinstance(msg, self.msg_type):
            self.writer.write(self._write(msg))
        elif isinstance(msg, (bytes, bytearray, memoryview)):
            self.writer.write(msg)
        else:
            raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")

    def get_subscription_count(self) -> int:
        """Return how many subscriptions get what is published."""
        return len(self.writer.matched())

    def assert_liveliness(self) -> None:
        """Show a sign of life, where liveliness is manual."""
        self.writer.assert_liveliness()

    def wait_for_all_acked(self, timeout: Duration = Infinite) -> bool:
        """Wait until all reliable subscriptions have everything; False on time-out."""
        return self.writer.wait_for_acknowledgements(timeout.nanoseconds)

    def destroy(self) -> None:
        """End it; use `Node.destroy_publisher`."""
        self.writer.close()
