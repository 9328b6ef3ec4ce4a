"""Publishers."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.dds.discovery import TypeWatch
from edge_robot.standalone.dds.endpoints import Writer
from edge_robot.standalone.dds.library import INFINITE, DdsError
from edge_robot.standalone.dds.naming import type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.interfaces.codec import codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import Message
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.duration import Duration
from edge_robot.standalone.rclpy.event_handler import EventWatcher, PublisherEventCallbacks
from edge_robot.standalone.rclpy.exceptions import InvalidHandle, RCLError
from edge_robot.standalone.rclpy.logging import Logger
from edge_robot.standalone.rclpy.qos import QoSProfile, dds_qos, dds_topic_name

_FOR_EVER = Duration(seconds=-1)


class Publisher:
    """Publishes messages of one type on one topic. Made by `Node.create_publisher`.

    Args:
        participant: DDS parent.
        msg_type: Message class.
        topic: Topic as the program names it.
        topic_name: Fully qualified topic, after renamings.
        qos_profile: Contract.
        event_callbacks: What to call for events.
        callback_group: Decides when those callbacks may run.
        logger: Writes warnings.
    """

    def __init__(
        self,
        participant: Participant,
        msg_type: type[Message],
        topic: str,
        topic_name: str,
        qos_profile: QoSProfile,
        event_callbacks: PublisherEventCallbacks,
        callback_group: CallbackGroup,
        logger: Logger,
    ) -> None:
        self.msg_type = msg_type
        self.topic = topic
        self.topic_name = topic_name
        self.qos_profile = qos_profile
        name = msg_type.definition.name
        dds_topic = dds_topic_name(topic_name, qos_profile)
        dds_type = type_name(name)
        self._codec = codec(msg_type)
        self.writer = Writer(
            participant, dds_topic, dds_type, dds_qos(qos_profile), type_hash_user_data(name)
        )
        self.event_handlers = event_callbacks.handlers(topic, logger.name)
        types = None
        if event_callbacks.incompatible_type is not None:
            types = TypeWatch(participant, dds_topic, dds_type, writers=False)
        self.events = EventWatcher(self.writer.handle, callback_group, self.event_handlers, types)

    def publish(self, msg: Any) -> None:
        """Send a message, or one that is serialized already (bytes).

        Raises:
            TypeError: it is of another type than the publisher's.
            InvalidHandle: the publisher was destroyed.
            RCLError: it cannot be sent.
        """
        if isinstance(msg, self.msg_type):
            data: bytes | bytearray | memoryview = self._codec.write(msg)
        elif isinstance(msg, bytes):
            data = msg
        else:
            raise TypeError(f"Expected {self.msg_type}, got {type(msg)}")
        try:
            self.writer.write(data)
        except DdsError as error:
            self._check_alive()
            raise RCLError(f"Failed to publish: {error}") from error

    def _check_alive(self) -> None:
        if not self.writer.handle:
            raise InvalidHandle("cannot use a publisher after it was destroyed")

    def get_subscription_count(self) -> int:
        """Return how many subscriptions get what is published.

        Raises:
            InvalidHandle: the publisher was destroyed.
        """
        self._check_alive()
        return len(self.writer.matched())

    def assert_liveliness(self) -> None:
        """Show a sign of life, where liveliness is manual.

        Raises:
            InvalidHandle: the publisher was destroyed.
        """
        self._check_alive()
        self.writer.assert_liveliness()

    def wait_for_all_acked(self, timeout: Duration = _FOR_EVER) -> bool:
        """Wait until all reliable subscriptions have everything; False on time-out.

        A negative time-out is none.

        Raises:
            InvalidHandle: the publisher was destroyed.
        """
        self._check_alive()
        nanoseconds = timeout.nanoseconds
        return self.writer.wait_for_acknowledgements(INFINITE if nanoseconds < 0 else nanoseconds)

    def destroy(self) -> None:
        """End it; use `Node.destroy_publisher`."""
        self.events.destroy()
        self.writer.close()
