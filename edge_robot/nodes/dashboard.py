"""Serves the teleoperator's page: puts server, channels and their sides of the robot together."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from edge_robot.nodes.dashboard_views import DashboardViews
from edge_robot.nodes.operator_wheel import OperatorWheel
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.runner import run
from edge_robot.teleop.access import Access
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.control_channel import ControlChannel
from edge_robot.teleop.helm import HelmSettings
from edge_robot.teleop.server import DashboardServer, ServerSettings
from edge_robot.teleop.view_channel import ViewChannel


class Dashboard(Node):
    """The robot's door for people: page, views, commands."""

    def __init__(self) -> None:
        super().__init__("dashboard")
        settings = declare_settings(self, ServerSettings())
        about = "folder in which it is written down what operators did"
        folder = self._parameter("audit_folder", "~/.ros/edge_robot/audit", about)
        token = os.environ.get("EDGE_ROBOT_TOKEN") or secrets.token_urlsafe(16)
        self._audit = Audit(Path(folder).expanduser())
        wheel = OperatorWheel(self)
        control = ControlChannel(wheel, self._audit, declare_settings(self, HelmSettings()))
        channels = (control, ViewChannel(DashboardViews(self), wheel))
        self._server = DashboardServer(channels, Access(token), settings, self._audit, control)
        self.get_logger().info(f"dashboard: {self._server.url} access token: {token}")

    def destroy_node(self) -> None:
        """Disconnect everybody, then leave the graph."""
        server = getattr(self, "_server", None)
        if server is not None:
            server.close()
            self._audit.close()
        super().destroy_node()

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value


def main() -> None:
    """Run the node."""
    run(Dashboard)


if __name__ == "__main__":
    main()
