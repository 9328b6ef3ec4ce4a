"""Hears a topic under its QoS contract, and notes what becomes of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind

from edge_robot.control.inputs import Input
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.unhurried import unhurried
from edge_robot.topics import Topic

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


class ContractWatch:
    """Subscribes to a topic with its whole contract and all of its events.

    Where a driver promises less than the contract of a foreign topic, the topic is heard without
    it and watched by the clock alone.

    Args:
        node: Who listens.
        topic: To listen to.
        state: Is told of deadlines missed, of deaths and of contracts that do not match.
        on_message: Called with every message; it tells `state` that it was heard.
        on_event: Called after `state` was told of an event.
        idle: Whether nobody acts on a message at once. `on_message` gets them as serialized bytes,
            which may be malformed, when something else wakes the node: as much later as that is,
            20 ms in the nodes that use it.
    """

    def __init__(
        self,
        node: Node,
        topic: Topic,
        state: Input,
        on_message: Callable[[Any], None],
        on_event: Callable[[], None],
        *,
        idle: bool,
    ) -> None:
        self._node = node
        self._topic = topic
        self._state = state
        self._on_message = on_message
        self._on_event = on_event
        self._idle = idle
        self._unpromised: Any = None
        events = SubscriptionEventCallbacks(
            deadline=self._on_deadline if topic.qos.deadline else None,
            liveliness=self._on_liveliness if topic.qos.liveliness_lease else None,
            incompatible_qos=self._on_incompatible,
        )
        self._subscribe(contract_profile(topic), event_callbacks=events)

    def _subscribe(self, profile: Any, **options: Any) -> Any:
        kind, name = interface_class(self._topic.type), self._topic.name
        subscription = self._node.create_subscription(
            kind, name, self._on_message, profile, raw=self._idle, **options
        )
        return unhurried(subscription) if self._idle else subscription

    def _on_deadline(self, _info: Any) -> None:
        self._state.missed(steady_seconds(), self._topic.deadline)
        self._on_event()

    def _on_liveliness(self, info: Any) -> None:
        self._state.alive(info.alive_count)
        self._on_event()

    def _on_incompatible(self, info: Any) -> None:
        policy = qos_policy_name_from_kind(info.last_policy_kind)
        if not self._topic.foreign:
            self._state.refused(policy)
            self._node.get_logger().error(
                f"{self._state.name}: somebody publishes under another contract ({policy}) and is "
                "not heard; see the table of topics in docs/reference/topics.md"
            )
        elif self._unpromised is None:
            self._node.get_logger().info(
                f"{self._state.name}: its driver promises less ({policy}); watched by the clock"
            )
            self._unpromised = self._subscribe(qos_profile(self._topic))
        self._on_event()
