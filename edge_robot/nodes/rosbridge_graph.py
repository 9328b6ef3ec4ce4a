"""The robot's graph as rosbridge looks at it, for the dashboard's threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import deserialize_message

from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.errands import Errands
from edge_robot.nodes.qos import listening_profile, matching_profile
from edge_robot.nodes.service_calls import ServiceCalls
from edge_robot.topics import TOPICS

LISTENING_DEPTH = 10
PUBLISHING_DEPTH = 10
CALL_TIMEOUT = 5.0  # s


class RosbridgeGraph:
    """Looks at the graph of a node, and makes its endpoints in the thread that spins it.

    Args:
        node: The node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._table = {node.resolve_topic_name(topic.name): topic for topic in TOPICS}
        self._errands = Errands(node)
        self._calls = ServiceCalls(node, self._errands)

    def close(self) -> None:
        """Give up what is under way (called in the node's thread)."""
        self._errands.close()
        self._calls.close()

    def topics(self) -> dict[str, list[str]]:
        """Return all topics with their types."""
        return dict(self._node.get_topic_names_and_types())

    def services(self) -> dict[str, list[str]]:
        """Return all services with their types."""
        return dict(self._node.get_service_names_and_types())

    def nodes(self) -> list[str]:
        """Return the full names of all nodes but those of tools."""
        return [
            f"{namespace.rstrip('/')}/{name}"
            for name, namespace in self._node.get_node_names_and_namespaces()
            if not name.startswith("_")
        ]

    def node(self, name: str) -> tuple[list[str], list[str], list[str]]:
        """Return the topics a node publishes, those it subscribes to, and its services.

        Raises:
            LookupError: there is no such node.
        """
        namespace, _, short = f"/{name.lstrip('/')}".rpartition("/")
        if f"{namespace}/{short}" not in self.nodes():
            raise LookupError(f"there is no node {name[:80]}")
        of = (short, namespace or "/")
        try:
            found = (
                self._node.get_publisher_names_and_types_by_node(*of),
                self._node.get_subscriber_names_and_types_by_node(*of),
                self._node.get_service_names_and_types_by_node(*of),
            )
        except RuntimeError as error:  # rclpy's for a node that has gone meanwhile
            raise LookupError(str(error)) from None
        publishing, subscribing, services = ([name for name, _ in names] for names in found)
        return publishing, subscribing, services

    def publishers(self, topic: str) -> list[str]:
        """Return the full names of the nodes that publish a topic."""
        return _names(self._node.get_publishers_info_by_topic(topic))

    def subscribers(self, topic: str) -> list[str]:
        """Return the full names of the nodes that subscribe to a topic."""
        return _names(self._node.get_subscriptions_info_by_topic(topic))

    def listen(self, topic: str, type_name: str, hear: Callable[[bytes], None]) -> _Listening:
        """Subscribe to a topic as the topic table says, else so that all publishers are heard."""
        row = self._table.get(topic)
        if row is not None:
            profile = listening_profile(row, row.qos.depth)
        else:
            publishers = self._node.get_publishers_info_by_topic(topic)
            profile = matching_profile(publishers, LISTENING_DEPTH)
        kind = interface_class(type_name)
        made = self._errands.do(
            lambda: self._node.create_subscription(
                kind, topic, lambda data: hear(bytes(data)), profile, raw=True
            )
        )
        is_latched = profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
        return _Listening(self._node, self._errands, made, profile.depth if is_latched else 0)

    def decode(self, type_name: str, data: bytes) -> Any:
        """Return a message from its bytes.

        Raises:
            ValueError: they are no such message.
        """
        try:
            return deserialize_message(data, interface_class(type_name))
        except Exception as error:  # of what kind depends on the middleware
            raise ValueError(f"a sample is no {type_name} ({error})") from error

    def advertise(self, topic: str, type_name: str) -> _Publication:
        """Make a publisher."""
        kind = interface_class(type_name)
        made = self._errands.do(lambda: self._node.create_publisher(kind, topic, PUBLISHING_DEPTH))
        return _Publication(self._node, self._errands, made)

    def call(self, service: str, type_name: str, request: Any) -> Future[Any]:
        """Call a service; the future ends with a TimeoutError where there is no answer."""
        return self._calls.call(service, type_name, request, CALL_TIMEOUT)

    def now(self) -> tuple[int, int]:
        """Return the node's time, s and ns."""
        stamp = self._node.get_clock().now().to_msg()
        return stamp.sec, stamp.nanosec


class _Listening:
    """A subscription, once it is made."""

    def __init__(self, node: Node, errands: Errands, made: Future[Any], keeps: int) -> None:
        self.keeps = keeps
        self._node = node
        self._errands = errands
        self._made = made

    def close(self) -> None:
        """End it."""
        self._errands.tell(lambda: self._node.destroy_subscription(self._made.result()))


class _Publication:
    """A publisher, once it is made."""

    def __init__(self, node: Node, errands: Errands, made: Future[Any]) -> None:
        self._node = node
        self._errands = errands
        self._made = made

    def publish(self, message: Any) -> None:
        """Publish a message."""
        self._errands.tell(lambda: self._made.result().publish(message))

    def close(self) -> None:
        """End it."""
        self._errands.tell(lambda: self._node.destroy_publisher(self._made.result()))


def _names(endpoints: list[Any]) -> list[str]:
    names = (f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in endpoints)
    return list(dict.fromkeys(names))
