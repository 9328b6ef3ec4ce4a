"""The topic table's QoS contracts as rclpy profiles."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

from edge_robot.topics import Durability, Reliability, Topic


def qos_profile(topic: Topic) -> QoSProfile:
    """Return the rclpy QoS profile of a row of the topic table."""
    qos = topic.qos
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=qos.depth,
        reliability=(
            ReliabilityPolicy.RELIABLE
            if qos.reliability is Reliability.RELIABLE
            else ReliabilityPolicy.BEST_EFFORT
        ),
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
