"""Lets parameters change policies of a publisher's or subscription's contract, once, at the start.

The parameters are read-only and named `qos_overrides.<topic>.publisher.<policy>` (`subscription`,
and `_<id>` after it where several of one topic must be told apart).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.duration import Duration
from edge_robot.standalone.rclpy.exceptions import ParameterAlreadyDeclaredException
from edge_robot.standalone.rclpy.publisher import Publisher
from edge_robot.standalone.rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from edge_robot.standalone.rclpy.subscription import Subscription

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node

QosCallbackResult = message_class("rcl_interfaces/msg/SetParametersResult")
QosCallbackType = Callable[[QoSProfile], Any]

_CHOICES: dict[QoSPolicyKind, type[Enum]] = {
    QoSPolicyKind.HISTORY: HistoryPolicy,
    QoSPolicyKind.RELIABILITY: ReliabilityPolicy,
    QoSPolicyKind.DURABILITY: DurabilityPolicy,
    QoSPolicyKind.LIVELINESS: LivelinessPolicy,
}
_DURATIONS = (
    QoSPolicyKind.LIFESPAN,
    QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)


class InvalidQosOverridesError(Exception):
    """The callback refused what the parameters made of a contract."""


class QoSOverridingOptions:
    """Which policies may be changed by parameters.

    Args:
        policy_kinds: These policies.
        callback: Asked about the contract that comes of it; returns a `QosCallbackResult`.
        entity_id: Tells several publishers or subscriptions of one topic apart.
    """

    def __init__(
        self,
        policy_kinds: Iterable[QoSPolicyKind],
        *,
        callback: QosCallbackType | None = None,
        entity_id: str | None = None,
    ) -> None:
        self._policy_kinds = policy_kinds
        self._callback = callback
        self._entity_id = entity_id

    @property
    def policy_kinds(self) -> Iterable[QoSPolicyKind]:
        """The policies."""
        return self._policy_kinds

    @property
    def callback(self) -> QosCallbackType | None:
        """Who is asked about the contract."""
        return self._callback

    @property
    def entity_id(self) -> str | None:
        """What tells several of one topic apart."""
        return self._entity_id

    @classmethod
    def with_default_policies(
        cls, *, callback: QosCallbackType | None = None, entity_id: str | None = None
    ) -> QoSOverridingOptions:
        """Return options for history, depth and reliability."""
        kinds = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY)
        return cls(kinds, callback=callback, entity_id=entity_id)


def _declare_qos_parameters(
    entity_type: type[Publisher] | type[Subscription],
    node: Node,
    topic_name: str,
    qos: QoSProfile,
    options: QoSOverridingOptions,
) -> None:
    """Declare the parameters of one publisher or subscription, and change its contract by them.

    Raises:
        InvalidQosOverridesError: the callback refused the contract.
        RuntimeError: a parameter is no choice that its policy has.
    """
    if not issubclass(entity_type, (Publisher, Subscription)):
        raise TypeError("Argument `entity_type` should be a subclass of Publisher or Subscription")
    kind = "publisher" if issubclass(entity_type, Publisher) else "subscription"
    suffix = "" if options.entity_id is None else f"_{options.entity_id}"
    place = f"for {kind} `{topic_name}` with id `{options.entity_id}`"
    descriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")
    for policy in options.policy_kinds:
        if policy is QoSPolicyKind.LIFESPAN and kind == "subscription":
            continue  # only publishers have one
        name = f"qos_overrides.{topic_name}.{kind}{suffix}.{policy.name.lower()}"
        description = f"{policy.name.lower()} {place}"
        try:
            parameter = node.declare_parameter(
                name,
                _get_qos_policy_parameter(qos, policy),
                descriptor(description=description, read_only=True),
            )
        except ParameterAlreadyDeclaredException:
            parameter = node.get_parameter(name)
        _set_policy(qos, policy, parameter.value)
    if options.callback is not None:
        result = options.callback(qos)
        if not result.successful:
            raise InvalidQosOverridesError(
                f"Provided QoS overrides {place}, are not valid: {result.reason}"
            )


def _get_qos_policy_parameter(qos: QoSProfile, policy: QoSPolicyKind) -> str | int | bool:
    """Return a policy as a parameter holds it: choices in lower case, durations in ns."""
    value: Any = getattr(qos, policy.name.lower())
    if policy in _CHOICES:
        name: str = value.name.lower()
        if name == "unknown":
            raise ValueError("User provided QoS profile is invalid")
        return name
    if isinstance(value, Duration):
        return value.nanoseconds
    result: int | bool = value
    return result


def _set_policy(qos: QoSProfile, policy: QoSPolicyKind, value: Any) -> None:
    name = policy.name.lower()
    if policy in _CHOICES:
        try:
            value = _CHOICES[policy][value.upper()]
        except KeyError:
            raise RuntimeError(f"Unexpected QoS override for policy `{name}`: `{value}`") from None
    elif policy in _DURATIONS:
        value = Duration(nanoseconds=value)
    setattr(qos, name, value)
