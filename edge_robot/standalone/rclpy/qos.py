"""Quality-of-service profiles."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from enum import Enum, EnumMeta, IntEnum
from typing import Any

from edge_robot.standalone.dds.library import INFINITE
from edge_robot.standalone.dds.naming import topic_name
from edge_robot.standalone.dds.qos import DdsQos
from edge_robot.standalone.rclpy.duration import Duration, Infinite
from edge_robot.standalone.rclpy.exceptions import RCLError

_MAX_DEPTH = (1 << 31) - 1


class InvalidQoSProfileException(Exception):
    """The arguments of a profile contradict each other."""

    def __init__(self, *arguments: object) -> None:
        super().__init__("Invalid QoSProfile", *arguments)


class QoSPolicyKind(IntEnum):
    """Policies by the numbers ROS 2 gives them."""

    INVALID = 1
    DURABILITY = 2
    DEADLINE = 4
    LIVELINESS = 8
    RELIABILITY = 16
    HISTORY = 32
    LIFESPAN = 64
    DEPTH = 128
    LIVELINESS_LEASE_DURATION = 256
    AVOID_ROS_NAMESPACE_CONVENTIONS = 512


def qos_policy_name_from_kind(policy_kind: QoSPolicyKind | int) -> str:
    """Return a policy's name by its number."""
    return QoSPolicyKind(policy_kind).name


class _OldNames(EnumMeta):
    """Lets old programs find values under the names of ROS 2's C enumerations."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("RMW_QOS_POLICY_"):
            for key in cls.__members__:
                if name.endswith(f"_{key}"):
                    warnings.warn(
                        f"{cls.__name__}.{name} is deprecated. Use {cls.__name__}.{key} instead.",
                        stacklevel=2,
                    )
                    return cls[key]
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")


class QoSPolicyEnum(IntEnum, metaclass=_OldNames):
    """Base of the values of a policy."""

    @classmethod
    def short_keys(cls) -> list[str]:
        """Return the values' names in lower case."""
        return [key.lower() for key in cls.__members__]

    @classmethod
    def get_from_short_key(cls, name: str) -> int:
        """Return a value by its name, in whatever case."""
        return int(cls[name.upper()])

    @property
    def short_key(self) -> str:
        """The value's name in lower case."""
        return self.name.lower()


class HistoryPolicy(QoSPolicyEnum):
    """Which samples are kept."""

    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class ReliabilityPolicy(QoSPolicyEnum):
    """Whether lost samples are resent."""

    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class DurabilityPolicy(QoSPolicyEnum):
    """Whether late joiners get the kept samples."""

    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class LivelinessPolicy(QoSPolicyEnum):
    """How a publisher shows that it lives."""

    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4
    BEST_AVAILABLE = 5


QoSHistoryPolicy = HistoryPolicy
QoSReliabilityPolicy = ReliabilityPolicy
QoSDurabilityPolicy = DurabilityPolicy
QoSLivelinessPolicy = LivelinessPolicy

DeadlineBestAvailable = Duration(nanoseconds=INFINITE - 1)
"""Deadline that is chosen to suit the other side."""

LivelinessLeaseDurationeBestAvailable = Duration(nanoseconds=INFINITE - 1)
"""Lease that is chosen to suit the other side; the name is spelt as in rclpy."""


_UNSPECIFIED = Duration()


def _choice(slot: str, kind: type[QoSPolicyEnum], doc: str) -> Any:
    def assign(self: QoSProfile, value: int) -> None:
        assert isinstance(value, int)
        setattr(self, slot, kind(value))

    return property(lambda self: getattr(self, slot), assign, doc=doc)


def _value(slot: str, kind: type, doc: str) -> Any:
    def assign(self: QoSProfile, value: Any) -> None:
        assert isinstance(value, kind)
        setattr(self, slot, value)

    return property(lambda self: getattr(self, slot), assign, doc=doc)


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
        avoid_ros_namespace_conventions: Whether the topic's name goes to DDS as it is.

    Raises:
        InvalidQoSProfileException: neither history nor depth is given, or keep-last without depth.
        AssertionError: an argument is unknown or of another type.
    """

    __slots__ = (
        "_avoid_ros_namespace_conventions",
        "_deadline",
        "_depth",
        "_durability",
        "_history",
        "_lifespan",
        "_liveliness",
        "_liveliness_lease_duration",
        "_reliability",
    )

    _POLICIES = (
        "history",
        "depth",
        "reliability",
        "durability",
        "lifespan",
        "deadline",
        "liveliness",
        "liveliness_lease_duration",
        "avoid_ros_namespace_conventions",
    )

    def __init__(self, **policies: Any) -> None:
        unknown = policies.keys() - set(self._POLICIES)
        assert not unknown, f"Invalid arguments passed to constructor: {sorted(unknown)}"
        if "history" not in policies and "depth" not in policies:
            raise InvalidQoSProfileException("History and/or depth settings are required.")
        self.history = policies.get("history", HistoryPolicy.KEEP_LAST)
        if self.history == HistoryPolicy.KEEP_LAST and "depth" not in policies:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        self.depth = policies.get("depth", 10)
        self.reliability = policies.get("reliability", ReliabilityPolicy.RELIABLE)
        self.durability = policies.get("durability", DurabilityPolicy.VOLATILE)
        self.lifespan = policies.get("lifespan", _UNSPECIFIED)
        self.deadline = policies.get("deadline", _UNSPECIFIED)
        self.liveliness = policies.get("liveliness", LivelinessPolicy.SYSTEM_DEFAULT)
        self.liveliness_lease_duration = policies.get("liveliness_lease_duration", _UNSPECIFIED)
        self.avoid_ros_namespace_conventions = policies.get(
            "avoid_ros_namespace_conventions", False
        )

    history = _choice("_history", HistoryPolicy, "Which samples are kept.")
    reliability = _choice("_reliability", ReliabilityPolicy, "Whether lost samples are resent.")
    durability = _choice(
        "_durability", DurabilityPolicy, "Whether late joiners get the kept samples."
    )
    liveliness = _choice("_liveliness", LivelinessPolicy, "How a publisher shows that it lives.")
    lifespan = _value("_lifespan", Duration, "Age after which a sample is dropped.")
    deadline = _value("_deadline", Duration, "Longest promised time between samples.")
    liveliness_lease_duration = _value(
        "_liveliness_lease_duration", Duration, "Silence after which a publisher counts as dead."
    )
    avoid_ros_namespace_conventions = _value(
        "_avoid_ros_namespace_conventions", bool, "Whether the topic's name goes to DDS as it is."
    )

    @property
    def depth(self) -> int:
        """How many samples are kept, for keep-last."""
        return self._depth

    @depth.setter
    def depth(self, value: int) -> None:
        assert isinstance(value, int)
        if value == 0 and self.history == HistoryPolicy.KEEP_LAST:
            warnings.warn(
                "A zero depth with KEEP_LAST doesn't make sense; no data could be stored. "
                "This will be interpreted as SYSTEM_DEFAULT",
                stacklevel=2,
            )
        self._depth = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QoSProfile):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self._POLICIES)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)}" for name in self._POLICIES)
        return f"{type(self).__name__}({values})"

    __repr__ = __str__


def _nanoseconds(span: Duration) -> int:
    """Return a span as DDS takes it: none given, or a negative one, is for ever."""
    return span.nanoseconds if span.nanoseconds > 0 else INFINITE


def dds_qos(profile: QoSProfile) -> DdsQos:
    """Return a profile as the wire layer takes it.

    Raises:
        RCLError: a policy is unknown, or the depth is beyond DDS's limits.
    """
    for policy in (profile.history, profile.reliability, profile.durability, profile.liveliness):
        if policy.name == "UNKNOWN":
            raise RCLError(f"cannot offer or request a contract with an unknown policy: {profile}")
    if not 0 <= profile.depth <= _MAX_DEPTH:
        raise RCLError(f"unsupported history depth: {profile.depth}")
    keep_all = profile.history is HistoryPolicy.KEEP_ALL
    return DdsQos(
        depth=0 if keep_all else max(profile.depth, 1),
        reliable=profile.reliability is not ReliabilityPolicy.BEST_EFFORT,
        transient_local=profile.durability is DurabilityPolicy.TRANSIENT_LOCAL,
        deadline=_nanoseconds(profile.deadline),
        lifespan=_nanoseconds(profile.lifespan),
        lease=_nanoseconds(profile.liveliness_lease_duration),
        manual_liveliness=profile.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC,
    )


def dds_topic_name(name: str, profile: QoSProfile) -> str:
    """Return what DDS calls a fully qualified topic under this contract."""
    return name if profile.avoid_ros_namespace_conventions else topic_name(name)


def as_profile(qos: Any) -> QoSProfile:
    """Return a profile, made from a depth if that is what is given.

    Raises:
        TypeError: it is neither.
        ValueError: the depth is negative.
    """
    if isinstance(qos, QoSProfile):
        return qos
    if isinstance(qos, int):
        if qos < 0:
            raise ValueError("history depth must be greater than or equal to zero")
        return QoSProfile(depth=qos)
    raise TypeError(f"Expected QoSProfile or int, but received {type(qos)!r}")


# The best available contract.


def is_best_available(profile: QoSProfile) -> bool:
    """Return whether a policy is left open, to suit the other side."""
    return (
        profile.reliability is ReliabilityPolicy.BEST_AVAILABLE
        or profile.durability is DurabilityPolicy.BEST_AVAILABLE
        or profile.liveliness is LivelinessPolicy.BEST_AVAILABLE
        or profile.deadline == DeadlineBestAvailable
        or profile.liveliness_lease_duration == LivelinessLeaseDurationeBestAvailable
    )


def settle_for_subscription(profile: QoSProfile, publishers: Sequence[QoSProfile]) -> QoSProfile:
    """Return a profile with open policies as high as all these publishers offer them."""
    return _settled(
        profile,
        reliable=all(qos.reliability is ReliabilityPolicy.RELIABLE for qos in publishers),
        transient_local=all(
            qos.durability is DurabilityPolicy.TRANSIENT_LOCAL for qos in publishers
        ),
        manual=all(qos.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC for qos in publishers),
        deadline=max((_span(qos.deadline) for qos in publishers), default=Infinite),
        lease=max((_span(qos.liveliness_lease_duration) for qos in publishers), default=Infinite),
    )


def settle_for_publisher(profile: QoSProfile, subscriptions: Sequence[QoSProfile]) -> QoSProfile:
    """Return a profile with open policies as high as any of these subscriptions asks for."""
    return _settled(
        profile,
        reliable=True,
        transient_local=True,
        manual=any(qos.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC for qos in subscriptions),
        deadline=min((_span(qos.deadline) for qos in subscriptions), default=Infinite),
        lease=min(
            (_span(qos.liveliness_lease_duration) for qos in subscriptions), default=Infinite
        ),
    )


def settle_for_service(profile: QoSProfile) -> QoSProfile:
    """Return a profile with open policies as services have them by default."""
    return _settled(
        profile,
        reliable=True,
        transient_local=False,
        manual=False,
        deadline=Infinite,
        lease=Infinite,
    )


def _span(span: Duration) -> Duration:
    return Duration(nanoseconds=_nanoseconds(span))


def _settled(
    profile: QoSProfile,
    *,
    reliable: bool,
    transient_local: bool,
    manual: bool,
    deadline: Duration,
    lease: Duration,
) -> QoSProfile:
    settled = QoSProfile(**{name: getattr(profile, name) for name in QoSProfile._POLICIES})
    if profile.reliability is ReliabilityPolicy.BEST_AVAILABLE:
        settled.reliability = (
            ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        )
    if profile.durability is DurabilityPolicy.BEST_AVAILABLE:
        settled.durability = (
            DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE
        )
    if profile.liveliness is LivelinessPolicy.BEST_AVAILABLE:
        settled.liveliness = (
            LivelinessPolicy.MANUAL_BY_TOPIC if manual else LivelinessPolicy.AUTOMATIC
        )
    if profile.deadline == DeadlineBestAvailable:
        settled.deadline = deadline
    if profile.liveliness_lease_duration == LivelinessLeaseDurationeBestAvailable:
        settled.liveliness_lease_duration = lease
    return settled


# Whether two contracts match.


class QoSCompatibility(Enum):
    """Whether a publisher and a subscription can talk."""

    OK = 0
    WARNING = 1
    ERROR = 2


def qos_check_compatible(
    publisher_qos: QoSProfile, subscription_qos: QoSProfile
) -> tuple[QoSCompatibility, str]:
    """Return whether two contracts match, and why not.

    Where a policy is left to the system, the answer can only be a warning.
    """
    reasons = [f"ERROR: {reason};" for reason in _contradictions(publisher_qos, subscription_qos)]
    if reasons:
        return QoSCompatibility.ERROR, "".join(reasons)
    reasons = [f"WARNING: {reason};" for reason in _doubts(publisher_qos, subscription_qos)]
    return (QoSCompatibility.WARNING if reasons else QoSCompatibility.OK), "".join(reasons)


def _contradictions(offered: QoSProfile, requested: QoSProfile) -> list[str]:
    found = []
    if (
        offered.reliability is ReliabilityPolicy.BEST_EFFORT
        and requested.reliability is ReliabilityPolicy.RELIABLE
    ):
        found.append("Best effort publisher and reliable subscription")
    if (
        offered.durability is DurabilityPolicy.VOLATILE
        and requested.durability is DurabilityPolicy.TRANSIENT_LOCAL
    ):
        found.append("Volatile publisher and transient local subscription")
    found += _later(
        offered.deadline,
        requested.deadline,
        "Subscription has a deadline, but publisher does not",
        "Subscription deadline is less than publisher deadline",
    )
    if (
        offered.liveliness is LivelinessPolicy.AUTOMATIC
        and requested.liveliness is LivelinessPolicy.MANUAL_BY_TOPIC
    ):
        found.append("Publisher's liveliness is automatic and subscription's is manual by topic")
    found += _later(
        offered.liveliness_lease_duration,
        requested.liveliness_lease_duration,
        "Subscription has a liveliness lease duration, but publisher does not",
        "Subscription liveliness lease duration is less than publisher",
    )
    return found


def _later(offered: Duration, requested: Duration, missing: str, late: str) -> list[str]:
    if requested == _UNSPECIFIED:
        return []
    if offered == _UNSPECIFIED:
        return [missing]
    return [late] if requested < offered else []


def _doubts(offered: QoSProfile, requested: QoSProfile) -> list[str]:
    rules: list[tuple[str, QoSPolicyEnum, QoSPolicyEnum, tuple[str, str, str]]] = [
        (
            "reliability",
            ReliabilityPolicy.BEST_EFFORT,
            ReliabilityPolicy.RELIABLE,
            (
                "Publisher reliability is {0} and subscription reliability is {1}",
                "Reliable subscription, but publisher is {0}",
                "Best effort publisher, but subscription is {1}",
            ),
        ),
        (
            "durability",
            DurabilityPolicy.VOLATILE,
            DurabilityPolicy.TRANSIENT_LOCAL,
            (
                "Publisher durabilty is {0} and subscription durability is {1}",
                "Transient local subscription, but publisher is {0}",
                "Volatile publisher, but subscription is {1}",
            ),
        ),
        (
            "liveliness",
            LivelinessPolicy.AUTOMATIC,
            LivelinessPolicy.MANUAL_BY_TOPIC,
            (
                "Publisher liveliness is {0} and subscription liveliness is {1}",
                "Subscription's liveliness is manual by topic, but publisher's is {0}",
                "Publisher's liveliness is automatic, but subscription's is {1}",
            ),
        ),
    ]
    found = []
    for policy, weak, strong, (both, publisher, subscription) in rules:
        offers, requests = getattr(offered, policy), getattr(requested, policy)
        open_offer, open_request = (
            value.name in ("SYSTEM_DEFAULT", "UNKNOWN") for value in (offers, requests)
        )
        if open_offer and open_request:
            reason = both
        elif open_offer and requests is strong:
            reason = publisher
        elif open_request and offers is weak:
            reason = subscription
        else:
            continue
        found.append(reason.format(offers.short_key, requests.short_key))
    return found


# Profiles of ROS 2.

qos_profile_unknown = QoSProfile(
    history=HistoryPolicy.UNKNOWN,
    depth=0,
    reliability=ReliabilityPolicy.UNKNOWN,
    durability=DurabilityPolicy.UNKNOWN,
    liveliness=LivelinessPolicy.UNKNOWN,
)
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
qos_profile_best_available = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.BEST_AVAILABLE,
    durability=DurabilityPolicy.BEST_AVAILABLE,
    deadline=DeadlineBestAvailable,
    liveliness=LivelinessPolicy.BEST_AVAILABLE,
    liveliness_lease_duration=LivelinessLeaseDurationeBestAvailable,
)
qos_profile_action_status_default = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class QoSPresetProfiles(Enum):
    """Profiles of ROS 2 by name."""

    UNKNOWN = qos_profile_unknown
    DEFAULT = qos_profile_default
    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events
    ACTION_STATUS_DEFAULT = qos_profile_action_status_default
    BEST_AVAILABLE = qos_profile_best_available

    @classmethod
    def short_keys(cls) -> list[str]:
        """Return the profiles' names in lower case."""
        return [key.lower() for key in cls.__members__]

    @classmethod
    def get_from_short_key(cls, name: str) -> QoSProfile:
        """Return a profile by its name, in whatever case."""
        profile: QoSProfile = cls[name.upper()].value
        return profile
