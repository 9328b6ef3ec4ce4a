"""Quality-of-service profiles."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from edge_robot.standalone.dds.library import INFINITE
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.rclpy.duration import Duration


class InvalidQoSProfileException(Exception):
    """The arguments of a profile contradict each other."""

    def __init__(self, *arguments: object) -> None:
        super().__init__("Invalid QoSProfile", *arguments)


class HistoryPolicy(IntEnum):
    """Which samples are kept."""

    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class ReliabilityPolicy(IntEnum):
    """Whether lost samples are resent."""

    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3


class DurabilityPolicy(IntEnum):
    """Whether late joiners get the kept samples."""

    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3


class LivelinessPolicy(IntEnum):
    """How a publisher shows that it lives."""

    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4


QoSHistoryPolicy = HistoryPolicy
QoSReliabilityPolicy = ReliabilityPolicy
QoSDurabilityPolicy = DurabilityPolicy
QoSLivelinessPolicy = LivelinessPolicy


class QoSProfile:
    """A QoS contract; everything not given has the default of ROS 2 (reliable, volatile).

    Args:
        history: Which samples are kept.
        depth: How many, for keep-last.
        reliability: Whether lost samples are resent.
        durability: Whether late joiners get the kept samples.
        lifespan: Age after which a sample is dropped; zero for never.
        deadline: Longest promised time between samples; zero for no promise.
        liveliness: How a publisher shows that it lives.
        liveliness_lease_duration: Silence after which it counts as dead; zero for never.
        avoid_ros_namespace_conventions: Must be False here.

    Raises:
        InvalidQoSProfileException: neither history nor depth is given, or keep-last without depth.
    """

    __slots__ = (
        "avoid_ros_namespace_conventions",
        "deadline",
        "depth",
        "durability",
        "history",
        "lifespan",
        "liveliness",
        "liveliness_lease_duration",
        "reliability",
    )

    def __init__(
        self,
        *,
        history: HistoryPolicy | None = None,
        depth: int | None = None,
        reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
        durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
        lifespan: Duration | None = None,
        deadline: Duration | None = None,
        liveliness: LivelinessPolicy = LivelinessPolicy.SYSTEM_DEFAULT,
        liveliness_lease_duration: Duration | None = None,
        avoid_ros_namespace_conventions: bool = False,
    ) -> None:
        if history is None and depth is None:
            raise InvalidQoSProfileException("History and/or depth settings are required.")
        if history is HistoryPolicy.KEEP_LAST and depth is None:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        if depth is not None and depth < 0:
            raise ValueError("depth must be greater than or equal to zero")
        self.history = HistoryPolicy.KEEP_LAST if history is None else HistoryPolicy(history)
        self.depth = depth or 0
        self.reliability = ReliabilityPolicy(reliability)
        self.durability = DurabilityPolicy(durability)
        self.lifespan = lifespan or Duration()
        self.deadline = deadline or Duration()
        self.liveliness = LivelinessPolicy(liveliness)
        self.liveliness_lease_duration = liveliness_lease_duration or Duration()
        self.avoid_ros_namespace_conventions = avoid_ros_namespace_conventions

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QoSProfile):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!s}" for name in self.__slots__)
        return f"QoSProfile({values})"


def dds_qos(profile: QoSProfile) -> DdsQos:
    """Return a profile as the wire layer takes it."""
    keep_all = profile.history is HistoryPolicy.KEEP_ALL
    return DdsQos(
        depth=0 if keep_all else max(profile.depth, 1),
        reliable=profile.reliability is not ReliabilityPolicy.BEST_EFFORT,
        transient_local=profile.durability is DurabilityPolicy.TRANSIENT_LOCAL,
        deadline=profile.deadline.nanoseconds or INFINITE,
        lifespan=profile.lifespan.nanoseconds or INFINITE,
        lease=profile.liveliness_lease_duration.nanoseconds or INFINITE,
        manual_liveliness=profile.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC,
    )


def as_profile(qos: Any) -> QoSProfile:
    """Return a profile, made from a depth if that is what is given.

    Raises:
        TypeError: it is neither.
        ValueError: the depth is negative.
    """
    if isinstance(qos, QoSProfile):
        return qos
    if isinstance(qos, int):
        return QoSProfile(depth=qos)
    raise TypeError(f"Expected QoSProfile or int, but received {type(qos)!r}")


qos_profile_system_default = QoSProfile(
    history=HistoryPolicy.SYSTEM_DEFAULT,
    depth=0,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
)
qos_profile_default = QoSProfile(depth=10)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)
qos_profile_rosout_default = QoSProfile(
    depth=1000,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    lifespan=Duration(seconds=10),
)
