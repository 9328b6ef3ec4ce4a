"""Callbacks for QoS events: missed deadlines, lost publishers, contracts that do not match."""

from __future__ import annotations

import ctypes as ct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from cyclonedds.internal import dds_c_t

from edge_robot.standalone.dds import library
from edge_robot.standalone.dds.library import check, lib
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


class QoSPolicyKind(IntEnum):
    """Policies by the numbers ROS 2 gives them."""

    INVALID = 1
    DURABILITY = 2
    DEADLINE = 4
    LIVELINESS = 8
    RELIABILITY = 16
    HISTORY = 32
    LIFESPAN = 64


_POLICIES = {
    2: QoSPolicyKind.DURABILITY,
    4: QoSPolicyKind.DEADLINE,
    8: QoSPolicyKind.LIVELINESS,
    11: QoSPolicyKind.RELIABILITY,
    13: QoSPolicyKind.HISTORY,
    21: QoSPolicyKind.LIFESPAN,
}
"""DDS policy numbers to ROS 2's."""


@dataclass(frozen=True)
class QoSDeadlineMissedInfo:
    """Deadlines missed: since the beginning, and since the last report."""

    total_count: int
    total_count_change: int


QoSRequestedDeadlineMissedInfo = QoSDeadlineMissedInfo
QoSOfferedDeadlineMissedInfo = QoSDeadlineMissedInfo


@dataclass(frozen=True)
class QoSLivelinessChangedInfo:
    """Publishers heard of: now alive, now dead, and the changes since the last report."""

    alive_count: int
    not_alive_count: int
    alive_count_change: int
    not_alive_count_change: int


@dataclass(frozen=True)
class QoSLivelinessLostInfo:
    """Times this publisher failed to show a sign of life."""

    total_count: int
    total_count_change: int


@dataclass(frozen=True)
class QoSIncompatibleInfo:
    """Endpoints met whose contract does not match, and which policy was in the way last."""

    total_count: int
    total_count_change: int
    last_policy_kind: QoSPolicyKind


QoSRequestedIncompatibleQoSInfo = QoSIncompatibleInfo
QoSOfferedIncompatibleQoSInfo = QoSIncompatibleInfo


EventCallback = Callable[[Any], object]


@dataclass
class SubscriptionEventCallbacks:
    """What to call for a subscription's events; each gets the event's info."""

    deadline: EventCallback | None = None
    liveliness: EventCallback | None = None
    incompatible_qos: EventCallback | None = None
    use_default_callbacks: bool = True


@dataclass
class PublisherEventCallbacks:
    """What to call for a publisher's events; each gets the event's info."""

    deadline: EventCallback | None = None
    liveliness: EventCallback | None = None
    incompatible_qos: EventCallback | None = None
    use_default_callbacks: bool = True


@dataclass(frozen=True)
class _Kind:
    """One kind of event: its status bit, and how its info is read from an entity."""

    status: int
    read: Callable[[int], Any]


def _read(getter: str, status_type: type[ct.Structure]) -> Callable[[int], Any]:
    def read(entity: int) -> Any:
        status = status_type()
        check(getattr(lib, getter)(entity, ct.byref(status)), f"reading {getter}")
        return status

    return read


def _counts(make: Callable[[int, int], Any], read: Callable[[int], Any]) -> Callable[[int], Any]:
    def info(entity: int) -> Any:
        status = read(entity)
        return make(status.total_count, status.total_count_change)

    return info


def _liveliness_changed(entity: int) -> QoSLivelinessChangedInfo:
    status = _read("get_liveliness_changed_status", dds_c_t.liveliness_changed_status)(entity)
    return QoSLivelinessChangedInfo(
        status.alive_count,
        status.not_alive_count,
        status.alive_count_change,
        status.not_alive_count_change,
    )


def _incompatible(getter: str, status_type: type[ct.Structure]) -> Callable[[int], Any]:
    read = _read(getter, status_type)

    def info(entity: int) -> QoSIncompatibleInfo:
        status = read(entity)
        policy = _POLICIES.get(status.last_policy_id, QoSPolicyKind.INVALID)
        return QoSIncompatibleInfo(status.total_count, status.total_count_change, policy)

    return info


_SUBSCRIPTION_KINDS = {
    "deadline": _Kind(
        library.REQUESTED_DEADLINE_MISSED,
        _counts(
            QoSDeadlineMissedInfo,
            _read("get_requested_deadline_missed_status", dds_c_t.requested_deadline_missed_status),
        ),
    ),
    "liveliness": _Kind(library.LIVELINESS_CHANGED, _liveliness_changed),
    "incompatible_qos": _Kind(
        library.REQUESTED_INCOMPATIBLE_QOS,
        _incompatible(
            "get_requested_incompatible_qos_status", dds_c_t.requested_incompatible_qos_status
        ),
    ),
}

_PUBLISHER_KINDS = {
    "deadline": _Kind(
        library.OFFERED_DEADLINE_MISSED,
        _counts(
            QoSDeadlineMissedInfo,
            _read("get_offered_deadline_missed_status", dds_c_t.offered_deadline_missed_status),
        ),
    ),
    "liveliness": _Kind(
        library.LIVELINESS_LOST,
        _counts(
            QoSLivelinessLostInfo,
            _read("get_liveliness_lost_status", dds_c_t.liveliness_lost_status),
        ),
    ),
    "incompatible_qos": _Kind(
        library.OFFERED_INCOMPATIBLE_QOS,
        _incompatible(
            "get_offered_incompatible_qos_status", dds_c_t.offered_incompatible_qos_status
        ),
    ),
}


class EventHandler:
    """Watches the events of one endpoint.

    Args:
        entity: DDS handle of the reader or writer.
        callback_group: Decides when callbacks may run.
        callbacks: What to call.
        warn: Writes a warning; contracts that do not match are reported by default.
    """

    def __init__(
        self,
        entity: int,
        callback_group: CallbackGroup,
        callbacks: SubscriptionEventCallbacks | PublisherEventCallbacks,
        warn: Callable[[str], object],
    ) -> None:
        is_reader = isinstance(callbacks, SubscriptionEventCallbacks)
        kinds = _SUBSCRIPTION_KINDS if is_reader else _PUBLISHER_KINDS
        other = "publisher" if is_reader else "subscription"

        def report(info: QoSIncompatibleInfo) -> None:
            warn(
                f"a {other} offers or requests an incompatible QoS contract; no messages pass. "
                f"Last incompatible policy: {info.last_policy_kind.name}"
            )

        chosen: dict[str, EventCallback | None] = {
            "deadline": callbacks.deadline,
            "liveliness": callbacks.liveliness,
            "incompatible_qos": callbacks.incompatible_qos
            or (report if callbacks.use_default_callbacks else None),
        }
        self.callback_group = callback_group
        self._entity = entity
        self._watched = [(kinds[name], call) for name, call in chosen.items() if call is not None]
        mask = 0
        for kind, _ in self._watched:
            mask |= kind.status
        check(lib.set_status_mask(entity, mask), "choosing the events of an endpoint")

    # What an executor needs.

    def handles(self) -> list[int]:
        """Return the endpoint, whose status changes trigger it."""
        return [self._entity] if self._watched else []

    def bind(self, executor: Executor | None) -> None:
        """Nothing to tell the executor: DDS triggers."""

    def take(self) -> Callable[[], object] | None:
        """Return the call of the callbacks whose events have occurred."""
        occurred = ct.c_uint32()
        mask = 0
        for kind, _ in self._watched:
            mask |= kind.status
        if lib.take_status(self._entity, ct.byref(occurred), mask) < 0 or not occurred.value:
            return None
        calls = [
            (call, kind.read(self._entity))
            for kind, call in self._watched
            if occurred.value & kind.status
        ]

        def run() -> None:
            for call, info in calls:
                call(info)

        return run
