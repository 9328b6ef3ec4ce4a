"""The topic table's QoS contracts as rclpy profiles, and what listeners and users may change."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QosCallbackResult, QoSOverridingOptions

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.nodes.steady import pace
from edge_robot.topics import Durability, Reliability, Topic

SENSOR_RELIABILITY = "EDGE_ROBOT_SENSOR_RELIABILITY"
"""Environment variable: best_effort (default) or reliable, for `Reliability.SENSOR`."""

_POLICIES = {
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
}


def qos_profile(topic: Topic) -> QoSProfile:
    """Return the rclpy QoS profile of a row of the topic table, to publish or to subscribe with.

    Of a foreign topic nothing is asked that a driver does not promise: a subscription that asks
    for more than is offered hears nothing.

    Raises:
        UserError: EDGE_ROBOT_SENSOR_RELIABILITY is neither best_effort nor reliable.
    """
    if topic.foreign:
        qos = replace(topic.qos, deadline=None, liveliness_lease=None)
        topic = replace(topic, qos=qos)
    return contract_profile(topic)


def contract_profile(topic: Topic) -> QoSProfile:
    """Return the profile with the whole contract, for who promises it or watches it.

    Its times are the robot's: in a world that goes slower the middleware's clock is given longer.

    Raises:
        UserError: As `qos_profile` and `pace`.
    """
    qos = topic.qos
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=qos.depth,
        reliability=_reliability(qos.reliability),
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL
            if qos.durability is Durability.TRANSIENT_LOCAL
            else DurabilityPolicy.VOLATILE
        ),
    )
    if qos.deadline is not None:
        profile.deadline = _lasting(qos.deadline)
    if qos.lifespan is not None:
        profile.lifespan = _lasting(qos.lifespan)
    if qos.liveliness_lease is not None:
        profile.liveliness = LivelinessPolicy.AUTOMATIC
        profile.liveliness_lease_duration = _lasting(qos.liveliness_lease)
    return profile


def _lasting(seconds: float) -> Duration:
    return Duration(seconds=seconds / pace())


def listening_profile(topic: Topic, depth: int) -> QoSProfile:
    """Return a topic's reliability and durability, with no promises demanded of its publisher.

    Args:
        topic: Row of the topic table.
        depth: Samples that may wait in the middleware.
    """
    qos = replace(topic.qos, depth=depth, deadline=None, lifespan=None, liveliness_lease=None)
    return contract_profile(replace(topic, qos=qos))


def matching_profile(publishers: Sequence[Any], depth: int) -> QoSProfile:
    """Return a profile that hears all publishers of a topic, with as much as all of them offer.

    Args:
        publishers: `TopicEndpointInfo` of each, from `Node.get_publishers_info_by_topic`.
        depth: Samples that may wait in the middleware.
    """
    offers = [publisher.qos_profile for publisher in publishers]
    reliable = all(offer.reliability is ReliabilityPolicy.RELIABLE for offer in offers)
    latched = all(offer.durability is DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL if offers and latched else DurabilityPolicy.VOLATILE
        ),
    )


def overriding_options(
    node: Node, topic: str, profile: Any, kind: str
) -> QoSOverridingOptions | None:
    """Return which policies of an endpoint parameters may change; None for none at all.

    They are ROS 2's own: `qos_overrides./scan.subscription.depth`, `.history` and `.reliability`.
    What the robot's stopping rests on is declared too, but any other value than the topic table's
    is refused: a contract that is silently weakened is none.

    Args:
        node: Whose endpoint it will be. Of several endpoints for one topic the first is changed.
        topic: Its topic, as the node is given it; those of the topic table can be changed.
        profile: Its profile.
        kind: "publisher" or "subscription".
    """
    row = topics.row_of(topic)
    if row is None or row is topics.CLOCK or not isinstance(profile, QoSProfile):
        return None
    others = node.publishers if kind == "publisher" else node.subscriptions
    if any(other.topic_name == node.resolve_topic_name(topic) for other in others):
        return None
    return QoSOverridingOptions.with_default_policies(
        callback=_only(profile, row) if _is_kept(row) else None
    )


def _is_kept(row: Topic) -> bool:
    """Return whether modes and commands rest on the contract of a topic."""
    watched = row.qos.liveliness_lease is not None and not row.foreign
    return watched or row is topics.CMD_VEL_TELEOP


def _only(profile: QoSProfile, row: Topic) -> Callable[[QoSProfile], Any]:
    """Return what refuses any profile but this one."""
    kept = (profile.history, profile.depth, profile.reliability)

    def check(changed: QoSProfile) -> Any:
        return QosCallbackResult(
            successful=(changed.history, changed.depth, changed.reliability) == kept,
            reason=f"modes and commands rest on the contract of {row.name}: leave it as it is",
        )

    return check


def _reliability(wanted: Reliability) -> ReliabilityPolicy:
    if wanted is not Reliability.SENSOR:
        return _POLICIES[wanted.name.lower()]
    name = os.environ.get(SENSOR_RELIABILITY, "best_effort")
    if name not in _POLICIES:
        raise UserError(f"{SENSOR_RELIABILITY} is {name!r}; set it to {' or '.join(_POLICIES)}")
    return _POLICIES[name]
