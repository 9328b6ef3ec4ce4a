"""The topic table's QoS contracts as rclpy profiles."""

from __future__ import annotations

import os
from dataclasses import replace

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

from edge_robot.errors import UserError
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

    Raises:
        UserError: As `qos_profile`.
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
        profile.deadline = Duration(seconds=qos.deadline)
    if qos.lifespan is not None:
        profile.lifespan = Duration(seconds=qos.lifespan)
    if qos.liveliness_lease is not None:
        profile.liveliness = LivelinessPolicy.AUTOMATIC
        profile.liveliness_lease_duration = Duration(seconds=qos.liveliness_lease)
    return profile


def _reliability(wanted: Reliability) -> ReliabilityPolicy:
    if wanted is not Reliability.SENSOR:
        return _POLICIES[wanted.name.lower()]
    name = os.environ.get(SENSOR_RELIABILITY, "best_effort")
    if name not in _POLICIES:
        raise UserError(f"{SENSOR_RELIABILITY} is {name!r}; set it to {' or '.join(_POLICIES)}")
    return _POLICIES[name]
