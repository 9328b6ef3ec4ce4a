"""The services by which other nodes read and set a node's parameters."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.exceptions import (
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from edge_robot.standalone.rclpy.parameter import Parameter
from edge_robot.standalone.rclpy.qos import qos_profile_parameters

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node


class ParameterService:
    """Serves a node's parameters, under the node's name."""

    def __init__(self, node: Node) -> None:
        # Weak: the node owns this.
        self._node = weakref.ref(node)
        services: dict[str, Callable[[Any, Any], Any]] = {
            "DescribeParameters": self._describe_parameters_callback,
            "GetParameters": self._get_parameters_callback,
            "GetParameterTypes": self._get_parameter_types_callback,
            "ListParameters": self._list_parameters_callback,
            "SetParameters": self._set_parameters_callback,
            "SetParametersAtomically": self._set_parameters_atomically_callback,
        }
        for kind, callback in services.items():
            node.create_service(
                service_class(f"rcl_interfaces/srv/{kind}"),
                f"{node.get_name()}/{_snake_case(kind)}",
                callback,
                qos_profile=qos_profile_parameters,
            )

    def _get_node(self) -> Node:
        node = self._node()
        if node is None:
            raise ReferenceError("Expected valid node weak reference")
        return node

    def _describe_parameters_callback(self, request: Any, response: Any) -> Any:
        try:
            response.descriptors = self._get_node().describe_parameters(request.names)
        except ParameterNotDeclaredException:
            response.descriptors = []
        return response

    def _get_parameters_callback(self, request: Any, response: Any) -> Any:
        try:
            parameters = self._get_node().get_parameters(request.names)
        except (ParameterNotDeclaredException, ParameterUninitializedException):
            parameters = []
        response.values = [parameter.get_parameter_value() for parameter in parameters]
        return response

    def _get_parameter_types_callback(self, request: Any, response: Any) -> Any:
        try:
            response.types = self._get_node().get_parameter_types(request.names)
        except ParameterNotDeclaredException:
            response.types = []
        return response

    def _list_parameters_callback(self, request: Any, response: Any) -> Any:
        response.result = self._get_node().list_parameters(request.prefixes, request.depth)
        return response

    def _set_parameters_callback(self, request: Any, response: Any) -> Any:
        response.results = [self._set([message]) for message in request.parameters]
        return response

    def _set_parameters_atomically_callback(self, request: Any, response: Any) -> Any:
        response.result = self._set(request.parameters)
        return response

    def _set(self, messages: list[Any]) -> Any:
        result = message_class("rcl_interfaces/msg/SetParametersResult")
        try:
            parameters = [Parameter.from_parameter_msg(message) for message in messages]
        except ValueError as error:  # its type is none that a parameter can have
            return result(successful=False, reason=str(error))
        try:
            return self._get_node().set_parameters_atomically(parameters)
        except ParameterNotDeclaredException as error:
            return result(successful=False, reason=str(error))


def _snake_case(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
