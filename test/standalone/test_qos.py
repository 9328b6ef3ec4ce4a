from __future__ import annotations

from typing import Any

import pytest
from rclpy.duration import Duration, Infinite
from rclpy.exceptions import RCLError
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    InvalidQoSProfileException,
    LivelinessPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
    qos_profile_best_available,
    qos_profile_sensor_data,
    qos_profile_system_default,
)
from std_msgs.msg import String
from std_srvs.srv import Trigger


def test_profiles_know_their_rules() -> None:
    assert QoSProfile(depth=3).depth == 3
    assert QoSProfile(depth=3) == QoSProfile(depth=3)
    assert QoSProfile(depth=3) != QoSProfile(depth=3, deadline=Duration(seconds=1))
    assert qos_profile_sensor_data.reliability is ReliabilityPolicy.BEST_EFFORT
    assert QoSProfile(history=1, depth=1).history is HistoryPolicy.KEEP_LAST
    for arguments in ({}, {"history": HistoryPolicy.KEEP_LAST}):
        with pytest.raises(InvalidQoSProfileException):
            QoSProfile(**arguments)
    with pytest.raises(AssertionError):
        QoSProfile(depth=1, deadlin=Duration())
    with pytest.raises(AssertionError):
        QoSProfile(depth=1, deadline=1.0)
    with pytest.warns(UserWarning, match="zero depth"):
        QoSProfile(depth=0)


def test_values_have_short_and_old_names() -> None:
    assert ReliabilityPolicy.BEST_EFFORT.short_key == "best_effort"
    assert "best_available" in DurabilityPolicy.short_keys()
    assert LivelinessPolicy.get_from_short_key("Manual_By_Topic") == 3
    assert QoSPresetProfiles.get_from_short_key("sensor_data") is qos_profile_sensor_data
    assert qos_policy_name_from_kind(16) == QoSPolicyKind.RELIABILITY.name
    with pytest.warns(UserWarning, match="deprecated"):
        old: Any = HistoryPolicy.RMW_QOS_POLICY_HISTORY_KEEP_LAST
    assert old is HistoryPolicy.KEEP_LAST
    with pytest.raises(AttributeError):
        HistoryPolicy.RMW_QOS_POLICY_HISTORY_NONE  # noqa: B018


def second(seconds: float) -> Duration:
    return Duration(seconds=seconds)


@pytest.mark.parametrize(
    ("offered", "requested", "compatibility", "reason"),
    [
        ({}, {}, QoSCompatibility.OK, ""),
        (
            {"reliability": ReliabilityPolicy.BEST_EFFORT},
            {},
            QoSCompatibility.ERROR,
            "ERROR: Best effort publisher and reliable subscription;",
        ),
        ({}, {"durability": DurabilityPolicy.TRANSIENT_LOCAL}, QoSCompatibility.ERROR, "Volatile"),
        ({}, {"deadline": second(1)}, QoSCompatibility.ERROR, "publisher does not"),
        ({"deadline": second(2)}, {"deadline": second(1)}, QoSCompatibility.ERROR, "less than"),
        ({"deadline": second(1)}, {"deadline": second(2)}, QoSCompatibility.OK, ""),
        (
            {"liveliness": LivelinessPolicy.AUTOMATIC},
            {"liveliness": LivelinessPolicy.MANUAL_BY_TOPIC},
            QoSCompatibility.ERROR,
            "manual by topic",
        ),
        ({}, {"liveliness_lease_duration": second(1)}, QoSCompatibility.ERROR, "lease"),
        (
            {"reliability": ReliabilityPolicy.SYSTEM_DEFAULT},
            {},
            QoSCompatibility.WARNING,
            "WARNING: Reliable subscription, but publisher is system_default;",
        ),
        (
            {},
            {"durability": DurabilityPolicy.SYSTEM_DEFAULT},
            QoSCompatibility.WARNING,
            "Volatile publisher, but subscription is system_default",
        ),
    ],
)
def test_contracts_are_compared(
    offered: dict[str, Any], requested: dict[str, Any], compatibility: QoSCompatibility, reason: str
) -> None:
    known = {"depth": 1, "liveliness": LivelinessPolicy.AUTOMATIC}
    result = qos_check_compatible(
        QoSProfile(**{**known, **offered}), QoSProfile(**{**known, **requested})
    )
    assert result[0] is compatibility
    assert reason in result[1]
    assert bool(reason) == bool(result[1])


def test_the_system_default_is_reliable_and_volatile(node: Node) -> None:
    node.create_publisher(String, "s", qos_profile_system_default)
    (info,) = node.get_publishers_info_by_topic("s")
    assert info.qos_profile == QoSProfile(
        depth=1,
        lifespan=Infinite,
        deadline=Infinite,
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Infinite,
    )


def test_the_best_available_contract_suits_who_is_there(node: Node) -> None:
    node.create_publisher(
        String,
        "s",
        QoSProfile(
            depth=1, reliability=ReliabilityPolicy.BEST_EFFORT, deadline=Duration(seconds=2)
        ),
    )
    subscription = node.create_subscription(String, "s", print, qos_profile_best_available)
    (info,) = node.get_subscriptions_info_by_topic("s")
    assert info.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
    assert info.qos_profile.durability is DurabilityPolicy.VOLATILE
    assert info.qos_profile.deadline == Duration(seconds=2)
    assert subscription.get_publisher_count() == 1

    requested = QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, deadline=Duration(seconds=3)
    )
    node.create_subscription(String, "t", print, requested)
    publisher = node.create_publisher(String, "t", qos_profile_best_available)
    assert publisher.get_subscription_count() == 1

    node.create_client(Trigger, "go", qos_profile=qos_profile_best_available)
    node.create_service(Trigger, "go", lambda _, response: response)
    assert node.count_services("go") == 1


def test_impossible_contracts_are_refused(node: Node) -> None:
    for qos in (QoSPresetProfiles.UNKNOWN.value, QoSProfile(depth=1 << 31)):
        with pytest.raises(RCLError):
            node.create_publisher(String, "s", qos)
    with pytest.raises(ValueError, match="greater than or equal to zero"):
        node.create_subscription(String, "s", print, -1)


def test_names_may_go_to_dds_as_they_are(node: Node) -> None:
    node.create_publisher(String, "s", QoSProfile(depth=1, avoid_ros_namespace_conventions=True))
    (info,) = node.get_publishers_info_by_topic("/s", no_mangle=True)
    assert info.topic_type == "std_msgs::msg::dds_::String_"
    assert ("/s", ["std_msgs::msg::dds_::String_"]) in node.get_topic_names_and_types(
        no_demangle=True
    )
