"""The service that describes the types a node uses."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.hashing import type_hash
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.impl.logging_rosout import LOG_TYPE
from edge_robot.standalone.rclpy.parameter import Parameter
from edge_robot.standalone.rclpy.qos import qos_profile_services_default

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node

START_TYPE_DESCRIPTION_SERVICE_PARAM = "start_type_description_service"

_HASH = re.compile(r"RIHS01_[0-9a-f]{64}")


class TypeDescriptionService:
    """Serves `get_type_description` under a node's name, unless a parameter says otherwise."""

    def __init__(self, node: Node) -> None:
        # Weak: the node owns this.
        self._node = weakref.ref(node)
        self.service_name = f"{node.get_name()}/get_type_description"
        self.enabled = False
        name = START_TYPE_DESCRIPTION_SERVICE_PARAM
        if not node.has_parameter(name):
            descriptor = message_class("rcl_interfaces/msg/ParameterDescriptor")
            node.declare_parameter(
                name,
                True,
                descriptor(
                    description="If enabled, start the ~/get_type_description service.",
                    read_only=True,
                ),
            )
        parameter = node.get_parameter(name)
        if parameter.type_ is Parameter.Type.BOOL:
            self.enabled = parameter.value
        else:
            node.get_logger().error(
                f"Invalid type for parameter '{name}' {parameter.type_!r} should be bool"
            )
        if self.enabled:
            node.create_service(
                service_class("type_description_interfaces/srv/GetTypeDescription"),
                self.service_name,
                self._service_callback,
                qos_profile=qos_profile_services_default,
            )

    def _service_callback(self, request: Any, response: Any) -> Any:
        # Late: most nodes are never asked.
        from edge_robot.standalone.interfaces.description import type_description, type_sources

        if not _HASH.fullmatch(request.type_hash):
            response.failure_reason = "Failed to parse type hash"
            return response
        name = next((name for name in self._types() if type_hash(name) == request.type_hash), None)
        if name is None:
            response.failure_reason = "Type not currently in use by this node"
            return response
        response.type_description = type_description(name)
        if request.include_type_sources:
            response.type_sources = type_sources(name)
        response.successful = True
        return response

    def _types(self) -> Iterator[str]:
        """Give the names of the types that the node uses."""
        node = self._node()
        if node is None:
            raise ReferenceError("Expected valid node weak reference")
        yield LOG_TYPE
        topics: list[Any] = [*node.publishers, *node.subscriptions]
        services: list[Any] = [*node.services, *node.clients]
        yield from (topic.msg_type.definition.name for topic in topics)
        yield from (service.srv_type.name for service in services)
