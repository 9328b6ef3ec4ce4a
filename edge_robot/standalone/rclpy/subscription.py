"""Subscriptions."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

from edge_robot.standalone.dds.endpoints import Reader
from edge_robot.standalone.dds.naming import topic_name, type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.interfaces.codec import CdrError, codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import Message
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.event_handler import EventHandler, SubscriptionEventCallbacks
from edge_robot.standalone.rclpy.logging import Logger
from edge_robot.standalone.rclpy.qos import QoSProfile, dds_qos

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


class MessageInfo(TypedDict):
    """When a message was sent and received, ns since the epoch of the machine's clock."""

    source_timestamp: int
    received_timestamp: int
    publication_sequence_number: int | None
    reception_sequence_number: int | None


class Subscription:
    """Receives messages of one type from one topic. Made by `Node.create_subscription`.

    What cannot be understood is dropped, counted and reported once a second.
    """

    def __init__(
        self,
        participant: Participant,
        msg_type: type[Message],
        topic: str,
        callback: Callable[..., Any],
        callback_group: CallbackGroup,
        qos_profile: QoSProfile,
        raw: bool,
        event_callbacks: SubscriptionEventCallbacks,
        logger: Logger,
    ) -> None:
        self.msg_type = msg_type
        self.topic = topic
        self.callback = callback
        self.callback_group = callback_group
        self.qos_profile = qos_profile
        self.raw = raw
        self.malformed_count = 0
        self._with_info = _takes_two(callback)
        self._logger = logger
        name = msg_type.definition.name
        self._read = codec(msg_type).read
        self.reader = Reader(
            participant,
            topic_name(topic),
            type_name(name),
            dds_qos(qos_profile),
            type_hash_user_data(name),
        )
        self.event_handler = EventHandler(
            self.reader.handle,
            callback_group,
            event_callbacks,
            lambda text: logger.warning(f"{topic}: {text}"),
        )

    @property
    def topic_name(self) -> str:
        """Fully qualified topic."""
        return self.topic

    def get_publisher_count(self) -> int:
        """Return how many publishers are heard."""
        return len(self.reader.matched())

    # What an executor needs.

    def handles(self) -> list[int]:
        """Return the condition that waiting messages trigger."""
        return [self.reader.condition]

    def bind(self, executor: Executor | None) -> None:
        """Nothing to tell the executor: DDS triggers."""

    def take(self) -> Callable[[], object] | None:
        """Take the oldest waiting message; return the call of the callback with it."""
        while True:
            sample = self.reader.take()
            if sample is None:
                return None
            data, info = sample
            message: Any = data
            if not self.raw:
                try:
                    message = self._read(data)
                except CdrError as error:
                    self._drop(error)
                    continue
            callback = self.callback
            if not self._with_info:
                return lambda: callback(message)
            message_info = MessageInfo(
                source_timestamp=info.source_timestamp,
                received_timestamp=time.time_ns(),
                publication_sequence_number=None,
                reception_sequence_number=None,
            )
            return lambda: callback(message, message_info)

    def _drop(self, error: CdrError) -> None:
        self.malformed_count += 1
        self._logger.warning(
            f"{self.topic}: dropped a malformed message ({self.malformed_count} so far): {error}",
            throttle_duration_sec=1.0,
        )

    def destroy(self) -> None:
        """End it; use `Node.destroy_subscription`."""
        self.reader.close()


def _takes_two(callback: Callable[..., Any]) -> bool:
    """Return whether a callback wants the message's info as well."""
    try:
        signature = inspect.signature(callback)
    except ValueError:  # a function written in C that does not tell
        return False
    try:
        signature.bind(object())
    except TypeError:
        try:
            signature.bind(object(), object())
        except TypeError:
            raise RuntimeError(
                "Subscription.__init__(): callback should be either be callable with one argument "
                "(to get only the message) or two (to get message and message info)"
            ) from None
        return True
    return False
