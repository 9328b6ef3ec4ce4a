"""Callbacks for events: missed deadlines, lost publishers, contracts that do not match."""

from __future__ import annotations

import ctypes as ct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.dds import library
from edge_robot.standalone.dds.library import check, lib
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.exceptions import UnsupportedEventTypeError
from edge_robot.standalone.rclpy.logging import get_logger
from edge_robot.standalone.rclpy.qos import QoSPolicyKind, qos_policy_name_from_kind

if TYPE_CHECKING:
    from edge_robot.standalone.dds.discovery import TypeWatch
    from edge_robot.standalone.rclpy.executors import Executor

__all__ = [
    "EventHandler",
    "IncompatibleTypeInfo",
    "PublisherEventCallbacks",
    "QoSLivelinessChangedInfo",
    "QoSLivelinessLostInfo",
    "QoSMessageLostInfo",
    "QoSOfferedDeadlineMissedInfo",
    "QoSOfferedIncompatibleQoSInfo",
    "QoSPolicyKind",
    "QoSPublisherEventType",
    "QoSPublisherMatchedInfo",
    "QoSRequestedDeadlineMissedInfo",
    "QoSRequestedIncompatibleQoSInfo",
    "QoSSubscriptionEventType",
    "QoSSubscriptionMatchedInfo",
    "SubscriptionEventCallbacks",
    "UnsupportedEventTypeError",
]

_POLICIES = {
    2: QoSPolicyKind.DURABILITY,
    4: QoSPolicyKind.DEADLINE,
    8: QoSPolicyKind.LIVELINESS,
    11: QoSPolicyKind.RELIABILITY,
    13: QoSPolicyKind.HISTORY,
    21: QoSPolicyKind.LIFESPAN,
}
"""DDS policy numbers to ROS 2's."""


class QoSPublisherEventType(Enum):
    """What can happen to a publisher."""

    RCL_PUBLISHER_OFFERED_DEADLINE_MISSED = 0
    RCL_PUBLISHER_LIVELINESS_LOST = 1
    RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS = 2
    RCL_PUBLISHER_INCOMPATIBLE_TYPE = 3
    RCL_PUBLISHER_MATCHED = 4


class QoSSubscriptionEventType(Enum):
    """What can happen to a subscription."""

    RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED = 0
    RCL_SUBSCRIPTION_LIVELINESS_CHANGED = 1
    RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS = 2
    RCL_SUBSCRIPTION_MESSAGE_LOST = 3
    RCL_SUBSCRIPTION_INCOMPATIBLE_TYPE = 4
    RCL_SUBSCRIPTION_MATCHED = 5


@dataclass(frozen=True)
class _CountInfo:
    """How often something happened: since the beginning, and since the last report."""

    total_count: int
    total_count_change: int


class QoSRequestedDeadlineMissedInfo(_CountInfo):
    """Messages that came later than the subscription asked for."""


class QoSOfferedDeadlineMissedInfo(_CountInfo):
    """Messages that were published later than the publisher promised."""


class QoSLivelinessLostInfo(_CountInfo):
    """Times this publisher failed to show a sign of life."""


class QoSMessageLostInfo(_CountInfo):
    """Messages that did not arrive."""


class IncompatibleTypeInfo(_CountInfo):
    """Endpoints met on the topic that are of another type."""


@dataclass(frozen=True)
class QoSLivelinessChangedInfo:
    """Publishers heard of: now alive, now dead, and the changes since the last report."""

    alive_count: int
    not_alive_count: int
    alive_count_change: int
    not_alive_count_change: int


@dataclass(frozen=True)
class QoSRequestedIncompatibleQoSInfo(_CountInfo):
    """Endpoints met whose contract does not match, and which policy was in the way last."""

    last_policy_kind: QoSPolicyKind


QoSOfferedIncompatibleQoSInfo = QoSRequestedIncompatibleQoSInfo


@dataclass(frozen=True)
class QoSSubscriptionMatchedInfo(_CountInfo):
    """Endpoints that were ever matched and that are now, and the changes since the last report."""

    current_count: int
    current_count_change: int


QoSPublisherMatchedInfo = QoSSubscriptionMatchedInfo

EventCallback = Callable[[Any], object]


@dataclass(kw_only=True)
class SubscriptionEventCallbacks:
    """What to call for a subscription's events; each gets the event's info.

    Attributes:
        deadline: A message came later than asked for.
        incompatible_qos: A publisher offers less than asked for; a warning by default.
        liveliness: A publisher has come, died or revived.
        message_lost: A message did not arrive.
        incompatible_type: A publisher of another type is on the topic.
        matched: A publisher was found or has gone.
        use_default_callbacks: Whether to warn where there is no callback.
    """

    deadline: EventCallback | None = None
    incompatible_qos: EventCallback | None = None
    liveliness: EventCallback | None = None
    message_lost: EventCallback | None = None
    incompatible_type: EventCallback | None = None
    matched: EventCallback | None = None
    use_default_callbacks: bool = True

    def handlers(self, topic: str, logger_name: str) -> list[EventHandler]:
        """Return what watches the events asked for.

        Args:
            topic: Topic, for warnings.
            logger_name: Logger of warnings.
        """
        kinds = QoSSubscriptionEventType

        def report_contract(info: QoSRequestedIncompatibleQoSInfo) -> None:
            get_logger(logger_name).warn(
                f"New publisher discovered on topic '{topic}', offering incompatible QoS. "
                "No messages will be received from it. Last incompatible policy: "
                f"{qos_policy_name_from_kind(info.last_policy_kind)}"
            )

        return _handlers(
            {
                kinds.RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED: self.deadline,
                kinds.RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS: self.incompatible_qos
                or (report_contract if self.use_default_callbacks else None),
                kinds.RCL_SUBSCRIPTION_LIVELINESS_CHANGED: self.liveliness,
                kinds.RCL_SUBSCRIPTION_MESSAGE_LOST: self.message_lost,
                kinds.RCL_SUBSCRIPTION_INCOMPATIBLE_TYPE: self.incompatible_type
                or _type_report(self.use_default_callbacks, topic, logger_name),
                kinds.RCL_SUBSCRIPTION_MATCHED: self.matched,
            }
        )


@dataclass(kw_only=True)
class PublisherEventCallbacks:
    """What to call for a publisher's events; each gets the event's info.

    Attributes:
        deadline: A message was published later than promised.
        liveliness: A sign of life was not shown in time.
        incompatible_qos: A subscription asks for more than is offered; a warning by default.
        incompatible_type: A subscription of another type is on the topic.
        matched: A subscription was found or has gone.
        use_default_callbacks: Whether to warn where there is no callback.
    """

    deadline: EventCallback | None = None
    liveliness: EventCallback | None = None
    incompatible_qos: EventCallback | None = None
    incompatible_type: EventCallback | None = None
    matched: EventCallback | None = None
    use_default_callbacks: bool = True

    def handlers(self, topic: str, logger_name: str) -> list[EventHandler]:
        """Return what watches the events asked for; arguments as for subscriptions."""
        kinds = QoSPublisherEventType

        def report_contract(info: QoSOfferedIncompatibleQoSInfo) -> None:
            get_logger(logger_name).warn(
                f"New subscription discovered on topic '{topic}', requesting incompatible QoS. "
                "No messages will be sent to it. Last incompatible policy: "
                f"{qos_policy_name_from_kind(info.last_policy_kind)}"
            )

        return _handlers(
            {
                kinds.RCL_PUBLISHER_OFFERED_DEADLINE_MISSED: self.deadline,
                kinds.RCL_PUBLISHER_LIVELINESS_LOST: self.liveliness,
                kinds.RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS: self.incompatible_qos
                or (report_contract if self.use_default_callbacks else None),
                kinds.RCL_PUBLISHER_INCOMPATIBLE_TYPE: self.incompatible_type
                or _type_report(self.use_default_callbacks, topic, logger_name),
                kinds.RCL_PUBLISHER_MATCHED: self.matched,
            }
        )


def _type_report(wanted: bool, topic: str, logger_name: str) -> EventCallback | None:
    if not wanted:
        return None
    return lambda _: get_logger(logger_name).warn(
        f"Incompatible type on topic '{topic}', no messages will be sent to it."
    )


def _handlers(chosen: dict[Any, EventCallback | None]) -> list[EventHandler]:
    return [EventHandler(call, kind) for kind, call in chosen.items() if call is not None]


@dataclass(frozen=True)
class EventHandler:
    """One kind of event of one endpoint, and what to call for it."""

    callback: EventCallback
    event_type: QoSPublisherEventType | QoSSubscriptionEventType


@dataclass(frozen=True)
class _Status:
    """A kind of event as DDS has it: its status bit, and how its info is read from an entity."""

    bit: int
    read: Callable[[int], Any]


def _status(bit: int, getter: str, make: Callable[..., Any], numbers: int = 2) -> _Status:
    """Return how an event is read: all of DDS's statuses begin with the info's 32-bit numbers."""

    def read(entity: int) -> Any:
        status = (ct.c_int32 * 8)()
        check(getattr(lib, getter)(entity, status), f"reading {getter}")
        return make(*status[:numbers])

    return _Status(bit, read)


def _incompatible(total: int, change: int, policy: int) -> QoSRequestedIncompatibleQoSInfo:
    kind = _POLICIES.get(policy, QoSPolicyKind.INVALID)
    return QoSRequestedIncompatibleQoSInfo(total, change, kind)


_STATUSES: dict[QoSPublisherEventType | QoSSubscriptionEventType, _Status] = {
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_REQUESTED_DEADLINE_MISSED: _status(
        library.REQUESTED_DEADLINE_MISSED,
        "get_requested_deadline_missed_status",
        QoSRequestedDeadlineMissedInfo,
    ),
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_LIVELINESS_CHANGED: _status(
        library.LIVELINESS_CHANGED, "get_liveliness_changed_status", QoSLivelinessChangedInfo, 4
    ),
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS: _status(
        library.REQUESTED_INCOMPATIBLE_QOS,
        "get_requested_incompatible_qos_status",
        _incompatible,
        3,
    ),
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST: _status(
        library.SAMPLE_LOST, "get_sample_lost_status", QoSMessageLostInfo
    ),
    QoSSubscriptionEventType.RCL_SUBSCRIPTION_MATCHED: _status(
        library.SUBSCRIPTION_MATCHED,
        "get_subscription_matched_status",
        QoSSubscriptionMatchedInfo,
        4,
    ),
    QoSPublisherEventType.RCL_PUBLISHER_OFFERED_DEADLINE_MISSED: _status(
        library.OFFERED_DEADLINE_MISSED,
        "get_offered_deadline_missed_status",
        QoSOfferedDeadlineMissedInfo,
    ),
    QoSPublisherEventType.RCL_PUBLISHER_LIVELINESS_LOST: _status(
        library.LIVELINESS_LOST, "get_liveliness_lost_status", QoSLivelinessLostInfo
    ),
    QoSPublisherEventType.RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS: _status(
        library.OFFERED_INCOMPATIBLE_QOS,
        "get_offered_incompatible_qos_status",
        _incompatible,
        3,
    ),
    QoSPublisherEventType.RCL_PUBLISHER_MATCHED: _status(
        library.PUBLICATION_MATCHED, "get_publication_matched_status", QoSPublisherMatchedInfo, 4
    ),
}


class EventWatcher:
    """Watches the events of one endpoint.

    Args:
        entity: DDS handle of the reader or writer.
        callback_group: Decides when callbacks may run.
        handlers: Events to watch and what to call for them.
        types: Notices endpoints of another type, if someone wants to know.
    """

    def __init__(
        self,
        entity: int,
        callback_group: CallbackGroup,
        handlers: Sequence[EventHandler],
        types: TypeWatch | None = None,
    ) -> None:
        self.callback_group = callback_group
        self._entity = entity
        self._types = types
        self._watched: deque[tuple[_Status, EventCallback]] = deque()
        self._type_callbacks: list[EventCallback] = []
        for handler in handlers:
            status = _STATUSES.get(handler.event_type)
            if status is None:
                self._type_callbacks.append(handler.callback)
            else:
                self._watched.append((status, handler.callback))
        mask = 0
        for status, _ in self._watched:
            mask |= status.bit
        check(lib.set_status_mask(entity, mask), "choosing the events of an endpoint")

    # What an executor needs.

    def handles(self) -> list[int]:
        """Return the endpoint, whose status changes trigger it."""
        handles = [self._entity] if self._watched else []
        return handles if self._types is None else [*handles, self._types.condition]

    def bind(self, executor: Executor | None) -> None:
        """Nothing to tell the executor: DDS triggers."""

    def take(self) -> Callable[[], object] | None:
        """Return the call of the callback of one event that has occurred; others stay for later."""
        occurred = ct.c_uint32()
        for status, callback in list(self._watched):
            self._watched.rotate(-1)  # none waits behind one that occurs all the time
            lib.take_status(self._entity, ct.byref(occurred), status.bit)
            if occurred.value:
                return self._call(callback, status.read(self._entity))
        if self._types is not None and (count := self._types.take()):
            info = IncompatibleTypeInfo(*count)
            return self._call(self._type_callbacks[0], info)
        return None

    @staticmethod
    def _call(callback: EventCallback, info: Any) -> Callable[[], object]:
        return lambda: callback(info)

    def destroy(self) -> None:
        """End what it made for itself; the endpoint is its owner's to end."""
        if self._types is not None:
            self._types.close()
