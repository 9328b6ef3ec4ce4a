"""The services by which other nodes read and set the levels of loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.service import service_class
from edge_robot.standalone.rclpy.logging import get_logger_level, set_logger_level
from edge_robot.standalone.rclpy.qos import qos_profile_services_default

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node


class LoggingService:
    """Serves the levels of the loggers of this process, under the node's name."""

    def __init__(self, node: Node) -> None:
        for kind, name, callback in (
            ("GetLoggerLevels", "get_logger_levels", self._get_logger_levels),
            ("SetLoggerLevels", "set_logger_levels", self._set_logger_levels),
        ):
            node.create_service(
                service_class(f"rcl_interfaces/srv/{kind}"),
                f"{node.get_name()}/{name}",
                callback,
                qos_profile=qos_profile_services_default,
            )

    def _get_logger_levels(self, request: Any, response: Any) -> Any:
        level = message_class("rcl_interfaces/msg/LoggerLevel")
        response.levels = [
            level(name=name, level=int(get_logger_level(name))) for name in request.names
        ]
        return response

    def _set_logger_levels(self, request: Any, response: Any) -> Any:
        make = message_class("rcl_interfaces/msg/SetLoggerLevelsResult")
        for item in request.levels:
            try:
                set_logger_level(item.name, item.level, detailed_error=True)
                result = make(successful=True)
            except ValueError:
                result = make(successful=False, reason="Failed reason: Invalid logger level.")
            response.results.append(result)
        return response
