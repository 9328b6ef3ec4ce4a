"""What a node can find out about the nodes, topics and services of its domain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from edge_robot.standalone.dds import naming
from edge_robot.standalone.dds.discovery import Endpoint
from edge_robot.standalone.dds.graph import Graph, NodeEntities
from edge_robot.standalone.rclpy.arguments import Remap
from edge_robot.standalone.rclpy.context import Context
from edge_robot.standalone.rclpy.exceptions import NodeNameNonExistentError
from edge_robot.standalone.rclpy.expand_topic_name import expand_topic_name
from edge_robot.standalone.rclpy.names import remap_name
from edge_robot.standalone.rclpy.topic_endpoint_info import (
    TopicEndpointInfo,
    TopicEndpointTypeEnum,
    topic_endpoints,
)
from edge_robot.standalone.rclpy.validate_full_topic_name import validate_full_topic_name

_POLL_PERIOD = 0.02
"""Time between two looks at who is there, s."""

_NamesAndTypes = list[tuple[str, list[str]]]


class NodeGraph:
    """The part of a node that asks who else is there."""

    _context: Context
    _remaps: list[Remap]

    if TYPE_CHECKING:  # what the node itself has

        def get_name(self) -> str:
            """Return the name without namespace."""

        def get_namespace(self) -> str:
            """Return the namespace."""

    @property
    def _graph(self) -> Graph:
        return self._context.graph

    # Nodes.

    def get_node_names(self) -> list[str]:
        """Return the names of all nodes known."""
        return [name for name, _ in self.get_node_names_and_namespaces()]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """Return name and namespace of all nodes known."""
        return [(node.name, node.namespace) for node in self._graph.nodes()]

    def get_node_names_and_namespaces_with_enclaves(self) -> list[tuple[str, str, str]]:
        """Return name, namespace and security enclave of all nodes known."""
        enclaves = self._graph.enclaves()
        return [
            (node.name, node.namespace, enclaves.get(node.participant, ""))
            for node in self._graph.nodes()
        ]

    def get_fully_qualified_node_names(self) -> list[str]:
        """Return the full names of all nodes known."""
        return [
            f"{namespace.rstrip('/')}/{name}"
            for name, namespace in self.get_node_names_and_namespaces()
        ]

    def wait_for_node(self, fully_qualified_node_name: str, timeout: float) -> bool:
        """Wait until a node is known; False if it is not within `timeout` (s)."""
        wanted = f"/{fully_qualified_node_name.lstrip('/')}"
        deadline = time.monotonic() + timeout
        while True:
            if wanted in self.get_fully_qualified_node_names():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_PERIOD)

    # Names and types.

    def get_topic_names_and_types(self, no_demangle: bool = False) -> _NamesAndTypes:
        """Return all topics known, with the types found on them.

        Args:
            no_demangle: Whether to list all of DDS's topics, as DDS calls them.
        """
        endpoints = [*self._graph.writers(), *self._graph.readers()]
        return _topics(endpoints, no_demangle)

    def get_service_names_and_types(self) -> _NamesAndTypes:
        """Return all services known, with their types."""
        endpoints = [*self._graph.writers(), *self._graph.readers()]
        return _names_and_types(endpoints, naming.ros_service_name, naming.ros_service_type_name)

    def get_publisher_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> _NamesAndTypes:
        """Return the topics that a node publishes on, with their types.

        Raises:
            NodeNameNonExistentError: no such node is known.
        """
        node = self._find(node_name, node_namespace, "publisher")
        return _topics(_of(self._graph.writers(), node.writers), no_demangle)

    def get_subscriber_names_and_types_by_node(
        self, node_name: str, node_namespace: str, no_demangle: bool = False
    ) -> _NamesAndTypes:
        """Return the topics that a node subscribes to, with their types.

        Raises:
            NodeNameNonExistentError: no such node is known.
        """
        node = self._find(node_name, node_namespace, "subscriber")
        return _topics(_of(self._graph.readers(), node.readers), no_demangle)

    def get_service_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> _NamesAndTypes:
        """Return the services that a node offers, with their types.

        Raises:
            NodeNameNonExistentError: no such node is known.
        """
        node = self._find(node_name, node_namespace, "service")
        return _names_and_types(
            _of(self._graph.readers(), node.readers),
            naming.ros_request_name,
            naming.ros_service_type_name,
        )

    def get_client_names_and_types_by_node(
        self, node_name: str, node_namespace: str
    ) -> _NamesAndTypes:
        """Return the services that a node is a client of, with their types.

        Raises:
            NodeNameNonExistentError: no such node is known.
        """
        node = self._find(node_name, node_namespace, "client")
        return _names_and_types(
            _of(self._graph.readers(), node.readers),
            naming.ros_reply_name,
            naming.ros_service_type_name,
        )

    def _find(self, name: str, namespace: str, what: str) -> NodeEntities:
        for node in self._graph.nodes():
            if (node.name, node.namespace) == (name, namespace):
                return node
        raise NodeNameNonExistentError(
            f"cannot get {what} names and types for nonexistent node: "
            f"{namespace.rstrip('/')}/{name}"
        )

    # Numbers.

    def count_publishers(self, topic_name: str) -> int:
        """Return how many publish on a topic, whose name is not renamed.

        Raises:
            ValueError: the name is malformed.
        """
        return _count(self._graph.writers(), naming.topic_name(self._expand(topic_name)))

    def count_subscribers(self, topic_name: str) -> int:
        """Return how many subscribe to a topic, whose name is not renamed.

        Raises:
            ValueError: the name is malformed.
        """
        return _count(self._graph.readers(), naming.topic_name(self._expand(topic_name)))

    def count_clients(self, service_name: str) -> int:
        """Return how many clients a service has; its name is not renamed.

        Raises:
            ValueError: the name is malformed.
        """
        service = self._expand(service_name, is_service=True)
        return _count(self._graph.readers(), naming.reply_topic_name(service))

    def count_services(self, service_name: str) -> int:
        """Return how many offer a service, whose name is not renamed.

        Raises:
            ValueError: the name is malformed.
        """
        service = self._expand(service_name, is_service=True)
        return _count(self._graph.readers(), naming.request_topic_name(service))

    def _expand(self, name: str, *, is_service: bool = False) -> str:
        full = expand_topic_name(name, self.get_name(), self.get_namespace())
        validate_full_topic_name(full, is_service=is_service)
        return full

    # Endpoints.

    def get_publishers_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Return who publishes on a topic.

        Args:
            topic_name: Topic; relative and private names are resolved, renamings applied.
            no_mangle: Whether it is a DDS topic's name, to be taken as it is.

        Raises:
            ValueError: the name is malformed.
        """
        return self._endpoints(topic_name, no_mangle, TopicEndpointTypeEnum.PUBLISHER)

    def get_subscriptions_info_by_topic(
        self, topic_name: str, no_mangle: bool = False
    ) -> list[TopicEndpointInfo]:
        """Return who subscribes to a topic; arguments as for `get_publishers_info_by_topic`."""
        return self._endpoints(topic_name, no_mangle, TopicEndpointTypeEnum.SUBSCRIPTION)

    def _endpoints(
        self, topic: str, no_mangle: bool, kind: TopicEndpointTypeEnum
    ) -> list[TopicEndpointInfo]:
        if no_mangle:
            return topic_endpoints(self._graph, topic, kind, mangled=True)
        full = remap_name(self._expand(topic), self.get_name(), self.get_namespace(), self._remaps)
        return topic_endpoints(self._graph, naming.topic_name(full), kind)


def _of(endpoints: Iterable[Endpoint], guids: list[bytes]) -> list[Endpoint]:
    wanted = set(guids)
    return [endpoint for endpoint in endpoints if endpoint.guid in wanted]


def _count(endpoints: Iterable[Endpoint], dds_topic: str) -> int:
    return sum(endpoint.topic_name == dds_topic for endpoint in endpoints)


def _topics(endpoints: Iterable[Endpoint], no_demangle: bool) -> _NamesAndTypes:
    if no_demangle:
        return _names_and_types(endpoints, _as_it_is, _as_it_is)
    return _names_and_types(endpoints, naming.ros_topic_name, naming.ros_type_name)


def _as_it_is(name: str) -> str:
    return name


def _names_and_types(
    endpoints: Iterable[Endpoint],
    name_of: Callable[[str], str | None],
    type_of: Callable[[str], str],
) -> _NamesAndTypes:
    """Return the names that these endpoints' topics have, sorted, each with its types."""
    types: dict[str, set[str]] = {}
    for endpoint in endpoints:
        name = name_of(endpoint.topic_name)
        if name is not None:
            types.setdefault(name, set()).add(type_of(endpoint.type_name))
    return [(name, sorted(found)) for name, found in sorted(types.items())]
