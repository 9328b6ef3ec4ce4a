"""Serves the teleoperator's page: puts server, channels and their sides of the robot together."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from edge_robot.nodes.dashboard_views import DashboardViews
from edge_robot.nodes.diagnostics import ERROR, OK, DiagnosticsReporter, Status
from edge_robot.nodes.operator_wheel import OperatorWheel
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.runner import run
from edge_robot.settings import setting
from edge_robot.teleop.access import Access, OneToken, people_of
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.control_channel import ControlChannel
from edge_robot.teleop.helm import HelmSettings
from edge_robot.teleop.neighbours import Neighbours, NeighbourSettings
from edge_robot.teleop.server import DashboardServer, ServerSettings
from edge_robot.teleop.view_channel import ViewChannel


@dataclass(frozen=True)
class PeopleSettings:
    """Who may come in, and what is kept of what they do."""

    tokens: str = setting("", "file of people's tokens: `edge-robot teleop token add`")
    session_life: float = setting(43200.0, "how long a log-in lasts, s")
    session_idle: float = setting(1800.0, "how long it lasts with no page open, s")
    audit_folder: str = setting("~/.ros/edge_robot/audit", "where it is kept what operators did")

    def access(self) -> tuple[Access, str]:
        """Return who may come in, and the token to tell whoever starts the robot, if any.

        Raises:
            UserError: the token file or EDGE_ROBOT_TOKEN cannot be used.
        """
        if self.tokens:
            people = people_of(Path(self.tokens).expanduser())
            return Access(people, self.session_life, self.session_idle), ""
        token = os.environ.get("EDGE_ROBOT_TOKEN") or secrets.token_urlsafe(16)
        return Access(OneToken(token), self.session_life, self.session_idle), token


class Dashboard(Node):
    """The robot's door for people: page, views, commands."""

    def __init__(self) -> None:
        super().__init__("dashboard")
        settings = declare_settings(self, ServerSettings())
        people = declare_settings(self, PeopleSettings())
        access, token = people.access()
        neighbours = Neighbours(self._neighbours())
        folder = Path(people.audit_folder).expanduser()
        self._audit = Audit(folder, lambda: int(self.get_clock().now().nanoseconds))
        wheel = OperatorWheel(self)
        control = ControlChannel(wheel, self._audit, declare_settings(self, HelmSettings()))
        views = DashboardViews(self, self.get_name())
        channels = (control, ViewChannel(views, {"neighbours": neighbours.section}))
        self._server = DashboardServer(
            channels, access, settings, self._audit, control, background=[neighbours.run]
        )
        DiagnosticsReporter(self, self._diagnostics)
        known = f"access token: {token}" if token else f"people of {people.tokens}"
        self.get_logger().info(f"dashboard: {self._server.url} {known}")

    def destroy_node(self) -> None:
        """Disconnect everybody, then leave the graph."""
        server = getattr(self, "_server", None)
        if server is not None:
            server.close()
        audit = getattr(self, "_audit", None)
        if audit is not None:
            audit.close()
        super().destroy_node()

    def _neighbours(self) -> dict[str, NeighbourSettings]:
        about = "other robots to list; see NAME.url, NAME.token_file and NAME.ca_file"
        names = self.declare_parameter("neighbours", [""], ParameterDescriptor(description=about))
        return {
            name: declare_settings(self, NeighbourSettings(), prefix=f"{name}.")
            for name in names.value
            if name
        }

    def _diagnostics(self) -> Iterator[Status]:
        problem = self._audit.problem()
        yield Status("audit log", ERROR if problem else OK, problem or "written")


def main() -> None:
    """Run the node."""
    run(Dashboard)


if __name__ == "__main__":
    main()
