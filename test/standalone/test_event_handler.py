from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rclpy.duration import Duration
from rclpy.event_handler import (
    IncompatibleTypeInfo,
    PublisherEventCallbacks,
    QoSPublisherMatchedInfo,
    QoSSubscriptionMatchedInfo,
    SubscriptionEventCallbacks,
)
from rclpy.node import Node
from rclpy.qos import (
    LivelinessPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from std_msgs.msg import Bool, String

SpinUntil = Callable[[Node, Callable[[], Any]], None]


def test_missed_deadlines_are_told_to_both_sides(node: Node, spin_until: SpinUntil) -> None:
    offered: list[Any] = []
    requested: list[Any] = []
    qos = QoSProfile(depth=1, deadline=Duration(seconds=0.05))
    node.create_subscription(
        String,
        "s",
        lambda _: None,
        qos,
        event_callbacks=SubscriptionEventCallbacks(deadline=requested.append),
    )
    publisher = node.create_publisher(
        String, "s", qos, event_callbacks=PublisherEventCallbacks(deadline=offered.append)
    )
    publisher.publish(String())
    spin_until(node, lambda: len(offered) > 1 and len(requested) > 1)
    assert requested[-1].total_count >= 2
    assert requested[0].total_count_change >= 1


def test_a_killed_publisher_is_noticed_within_its_lease(
    node: Node, start_peer: Callable[..., Any], spin_until: SpinUntil
) -> None:
    changes: list[tuple[int, int]] = []
    qos = QoSProfile(
        depth=1,
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Duration(seconds=0.3),
    )
    node.create_subscription(
        String,
        "alive",
        lambda _: None,
        qos,
        event_callbacks=SubscriptionEventCallbacks(
            liveliness=lambda info: changes.append((info.alive_count, info.not_alive_count))
        ),
    )
    peer = start_peer(
        """
        from std_msgs.msg import String
        from rclpy.duration import Duration
        from rclpy.qos import LivelinessPolicy, QoSProfile
        rclpy.init(args=[])
        node = rclpy.create_node("living")
        qos = QoSProfile(
            depth=1,
            liveliness=LivelinessPolicy.AUTOMATIC,
            liveliness_lease_duration=Duration(seconds=0.3),
        )
        publisher = node.create_publisher(String, "alive", qos)
        rclpy.spin(node)
        """
    )
    spin_until(node, lambda: changes and changes[-1][0] == 1)
    peer.process.kill()
    spin_until(node, lambda: changes[-1][0] == 0)


def test_manual_liveliness_is_lost_in_silence(node: Node, spin_until: SpinUntil) -> None:
    lost: list[Any] = []
    qos = QoSProfile(
        depth=1,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(seconds=0.1),
    )
    publisher = node.create_publisher(
        String, "s", qos, event_callbacks=PublisherEventCallbacks(liveliness=lost.append)
    )
    publisher.assert_liveliness()
    spin_until(node, lambda: lost)
    assert lost[0].total_count == 1


def test_contracts_that_do_not_match_are_reported(
    node: Node, spin_until: SpinUntil, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []
    node.create_publisher(
        String, "s", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    node.create_subscription(
        String,
        "s",
        lambda _: None,
        1,
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=seen.append),
    )
    warning = (
        "New subscription discovered on topic 's', requesting incompatible QoS. "
        "No messages will be sent to it. Last incompatible policy: RELIABILITY"
    )
    spin_until(node, lambda: seen and warning in capsys.readouterr().err)
    assert seen[0].last_policy_kind is QoSPolicyKind.RELIABILITY


def test_matches_are_told_to_both_sides(node: Node, spin_until: SpinUntil) -> None:
    found_by_subscription: list[Any] = []
    found_by_publisher: list[Any] = []
    publisher = node.create_publisher(
        String,
        "s",
        1,
        event_callbacks=PublisherEventCallbacks(matched=found_by_publisher.append),
    )
    node.create_subscription(
        String,
        "s",
        lambda _: None,
        1,
        event_callbacks=SubscriptionEventCallbacks(matched=found_by_subscription.append),
    )
    spin_until(node, lambda: found_by_publisher and found_by_subscription)
    assert found_by_publisher == [QoSPublisherMatchedInfo(1, 1, 1, 1)]
    assert found_by_subscription == [QoSSubscriptionMatchedInfo(1, 1, 1, 1)]
    node.destroy_publisher(publisher)
    spin_until(node, lambda: len(found_by_subscription) > 1)
    assert found_by_subscription[1] == QoSSubscriptionMatchedInfo(1, 0, 0, -1)


def test_lost_messages_can_be_watched_for(node: Node, spin_until: SpinUntil) -> None:
    # Cyclone DDS tells of few losses, so none can be provoked here.
    lost: list[Any] = []
    received: list[Any] = []
    callbacks = SubscriptionEventCallbacks(message_lost=lost.append)
    node.create_subscription(String, "s", received.append, 1, event_callbacks=callbacks)
    node.create_publisher(String, "s", 1).publish(String())
    spin_until(node, lambda: received)
    assert not lost


def test_another_type_on_the_topic_is_reported_if_someone_wants_to_know(
    node: Node, spin_until: SpinUntil
) -> None:
    seen_by_subscription: list[Any] = []
    seen_by_publisher: list[Any] = []
    node.create_subscription(
        String,
        "s",
        lambda _: None,
        1,
        event_callbacks=SubscriptionEventCallbacks(incompatible_type=seen_by_subscription.append),
    )
    node.create_publisher(
        Bool,
        "s",
        1,
        event_callbacks=PublisherEventCallbacks(incompatible_type=seen_by_publisher.append),
    )
    spin_until(node, lambda: seen_by_subscription and seen_by_publisher)
    assert seen_by_subscription == [IncompatibleTypeInfo(1, 1)]
    assert seen_by_publisher == [IncompatibleTypeInfo(1, 1)]


def test_callbacks_of_events_may_be_coroutines(node: Node, spin_until: SpinUntil) -> None:
    seen: list[Any] = []

    async def matched(info: Any) -> None:
        seen.append(info)

    node.create_publisher(String, "s", 1, event_callbacks=PublisherEventCallbacks(matched=matched))
    node.create_subscription(String, "s", lambda _: None, 1)
    spin_until(node, lambda: seen)


def test_the_old_name_of_the_module_still_works() -> None:
    with pytest.warns(UserWarning, match="deprecated"):
        from rclpy.qos_event import SubscriptionEventCallbacks as OldName
    assert OldName is SubscriptionEventCallbacks
