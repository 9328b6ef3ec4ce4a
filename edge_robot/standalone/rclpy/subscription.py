"""Subscriptions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from edge_robot.standalone import machine
from edge_robot.standalone.dds.discovery import TypeWatch
from edge_robot.standalone.dds.drops import Drops
from edge_robot.standalone.dds.endpoints import Reader
from edge_robot.standalone.dds.naming import type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.interfaces.codec import CdrError, codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import Message
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.event_handler import EventWatcher, SubscriptionEventCallbacks
from edge_robot.standalone.rclpy.exceptions import InvalidHandle
from edge_robot.standalone.rclpy.logging import Logger
from edge_robot.standalone.rclpy.qos import QoSProfile, dds_qos, dds_topic_name

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

    What cannot be understood is dropped, counted (`drops.count`) and reported once a second.

    Args:
        participant: DDS parent.
        msg_type: Message class.
        topic: Topic as the program names it.
        topic_name: Fully qualified topic, after renamings.
        callback: Called with a message, or with a message and its `MessageInfo`.
        callback_group: Decides when callbacks may run.
        qos_profile: Contract.
        raw: Whether the callback gets the serialized bytes.
        event_callbacks: What to call for events.
        logger: Writes warnings.

    Raises:
        RuntimeError: the callback takes neither one argument nor two.
    """

    class CallbackType(Enum):
        """What a callback is called with."""

        MessageOnly = 0
        WithMessageInfo = 1

    def __init__(
        self,
        participant: Participant,
        msg_type: type[Message],
        topic: str,
        topic_name: str,
        callback: Callable[..., Any],
        callback_group: CallbackGroup,
        qos_profile: QoSProfile,
        raw: bool,
        event_callbacks: SubscriptionEventCallbacks,
        logger: Logger,
    ) -> None:
        self.msg_type = msg_type
        self.topic = topic
        self.topic_name = topic_name
        self.callback = callback
        self.callback_group = callback_group
        self.qos_profile = qos_profile
        self.raw = raw
        self.drops = Drops(topic_name, "message", logger.warn)
        name = msg_type.definition.name
        dds_topic = dds_topic_name(topic_name, qos_profile)
        dds_type = type_name(name)
        self._codec = codec(msg_type)
        self._executor: Executor | None = None
        self._wakes = True
        self._unhurried = False
        self.reader = Reader(
            participant, dds_topic, dds_type, dds_qos(qos_profile), type_hash_user_data(name)
        )
        self.event_handlers = event_callbacks.handlers(topic, logger.name)
        types = None
        if event_callbacks.incompatible_type is not None:
            types = TypeWatch(participant, dds_topic, dds_type, writers=True)
        self.events = EventWatcher(self.reader.handle, callback_group, self.event_handlers, types)

    @property
    def callback(self) -> Callable[..., Any]:
        """Called with a message, or with a message and its `MessageInfo`."""
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[..., Any]) -> None:
        self._callback_type = _callback_type(callback)
        self._callback = callback

    def get_publisher_count(self) -> int:
        """Return how many publishers are heard.

        Raises:
            InvalidHandle: the subscription was destroyed.
        """
        if not self.reader.handle:
            raise InvalidHandle("cannot use a subscription after it was destroyed")
        return len(self.reader.matched())

    @property
    def wakes(self) -> bool:
        """Whether the executor is woken by messages, or they wait for somebody to take them."""
        return self._wakes

    @wakes.setter
    def wakes(self, wakes: bool) -> None:
        with self._reattached():
            self._wakes = wakes

    @property
    def unhurried(self) -> bool:
        """Whether its messages wait until something else wakes the executor.

        They are then taken one after the other, before what it was woken for.

        Raises:
            TypeError: on setting it; the callback is a coroutine function.
        """
        return self._unhurried

    @unhurried.setter
    def unhurried(self, unhurried: bool) -> None:
        if unhurried and inspect.iscoroutinefunction(self._callback):
            raise TypeError("the messages of a coroutine function cannot wait for others")
        with self._reattached():
            self._unhurried = unhurried

    @contextmanager
    def _reattached(self) -> Iterator[None]:
        """Let the executor look anew at how it is to be watched, after the body has run."""
        executor = self._executor
        if executor is not None:
            executor.detach(self)
        yield
        if executor is not None:
            executor.attach(self)

    # What an executor needs.

    def handles(self) -> list[int]:
        """Return the condition that waiting messages trigger."""
        return [self.reader.condition] if self._wakes else []

    def bind(self, executor: Executor | None) -> None:
        """Learn where it is attached; DDS triggers."""
        self._executor = executor

    def take(self) -> Callable[[], object] | None:
        """Take the oldest waiting message; return the call of the callback with it.

        Where they need not wake anybody, it goes on with those behind it.
        """
        call = self._take_one()
        return call if call is None or not self._unhurried else partial(self._call_all, call)

    def _call_all(self, call: Callable[[], object] | None) -> None:
        while call is not None:
            call()
            call = self._take_one()

    def _take_one(self) -> Callable[[], object] | None:
        while True:
            sample = self.reader.take()
            if sample is None:
                return None
            data, info = sample
            message: Any = data
            if not self.raw:
                try:
                    message = self._codec.read(data)
                except CdrError as error:
                    self.drops.add(error)
                    continue
            callback = self._callback
            if self._callback_type is Subscription.CallbackType.MessageOnly:
                return lambda: callback(message)
            message_info = MessageInfo(
                source_timestamp=info.source_timestamp,
                received_timestamp=machine.system_ns(),
                publication_sequence_number=None,
                reception_sequence_number=None,
            )
            return lambda: callback(message, message_info)

    def destroy(self) -> None:
        """End it; use `Node.destroy_subscription`."""
        self.events.destroy()
        self.reader.close()


def _callback_type(callback: Callable[..., Any]) -> Subscription.CallbackType:
    """Return whether a callback wants the message's info as well.

    Raises:
        RuntimeError: it takes neither one argument nor two.
    """
    try:
        signature = inspect.signature(callback)
    except ValueError:  # a function written in C that does not tell
        return Subscription.CallbackType.MessageOnly
    for kind in Subscription.CallbackType:
        try:
            signature.bind(*[None] * (kind.value + 1))
        except TypeError:
            continue
        return kind
    raise RuntimeError(
        "Subscription.__init__(): callback should be either be callable with one argument "
        "(to get only the message) or two (to get message and message info)"
    )
