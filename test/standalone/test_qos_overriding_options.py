from __future__ import annotations

from typing import Any

import pytest
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import (
    InvalidQosOverridesError,
    QosCallbackResult,
    QoSOverridingOptions,
)
from std_msgs.msg import String

PREFIX = "qos_overrides./words.publisher"


def make_node(*settings: str) -> Node:
    return Node("tested", cli_args=[word for item in settings for word in ("-p", item)])


def test_parameters_change_a_contract_on_the_wire(ros: None) -> None:
    node = make_node(f"{PREFIX}.reliability:=best_effort", f"{PREFIX}.depth:=3")
    profile = QoSProfile(depth=7)
    options = QoSOverridingOptions.with_default_policies()
    publisher = node.create_publisher(String, "words", profile, qos_overriding_options=options)
    (info,) = node.get_publishers_info_by_topic("/words")
    assert info.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
    assert publisher.qos_profile.depth == 3
    assert (profile.depth, profile.reliability) == (7, ReliabilityPolicy.RELIABLE)
    declared = node.get_parameters_by_prefix(PREFIX)
    assert {name: item.value for name, item in declared.items()} == {
        "history": "keep_last",
        "depth": 3,
        "reliability": "best_effort",
    }
    assert node.describe_parameter(f"{PREFIX}.depth").read_only


def test_subscriptions_have_parameters_of_their_own(ros: None) -> None:
    name = "qos_overrides./words.subscription_second.deadline"
    node = make_node(f"{name}:=2000000")
    kinds = [QoSPolicyKind.DEADLINE, QoSPolicyKind.LIFESPAN]
    options = QoSOverridingOptions(kinds, entity_id="second")
    node.create_subscription(String, "words", print, 10, qos_overriding_options=options)
    (info,) = node.get_subscriptions_info_by_topic("/words")
    assert info.qos_profile.deadline.nanoseconds == 2000000
    assert not node.has_parameter("qos_overrides./words.subscription_second.lifespan")


@pytest.mark.parametrize(
    ("setting", "error"),
    [("reliability:=surely", RuntimeError), ("depth:=many", InvalidParameterTypeException)],
)
def test_nonsense_is_refused(ros: None, setting: str, error: type[Exception]) -> None:
    node = make_node(f"{PREFIX}.{setting}")
    options = QoSOverridingOptions.with_default_policies()
    with pytest.raises(error):
        node.create_publisher(String, "words", 10, qos_overriding_options=options)
    assert node.count_publishers("/words") == 0


def test_a_callback_has_the_last_word(ros: None) -> None:
    def refuse(profile: QoSProfile) -> Any:
        return QosCallbackResult(successful=profile.depth < 5, reason="too deep")

    options = QoSOverridingOptions.with_default_policies(callback=refuse)
    node = make_node()
    with pytest.raises(InvalidQosOverridesError, match="too deep"):
        node.create_publisher(String, "words", 10, qos_overriding_options=options)
    node.create_publisher(String, "others", 4, qos_overriding_options=options)
