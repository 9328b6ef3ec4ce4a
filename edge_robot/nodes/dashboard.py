"""Serves the teleoperator's page: puts server, channels and their sides of the robot together."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from edge_robot.nodes.dashboard_views import DashboardViews
from edge_robot.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.operator_wheel import OperatorWheel
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.rosbridge_graph import RosbridgeGraph
from edge_robot.nodes.runner import run
from edge_robot.nodes.urgency import Urgency, claim_priority
from edge_robot.settings import Settings, setting
from edge_robot.teleop.access import Access, Identity, OneToken, people_of
from edge_robot.teleop.audit import Audit
from edge_robot.teleop.control_channel import ControlChannel
from edge_robot.teleop.helm import HelmSettings
from edge_robot.teleop.neighbours import Neighbours, NeighbourSettings
from edge_robot.teleop.permissions import Permissions
from edge_robot.teleop.rosbridge.channel import RosbridgeChannel
from edge_robot.teleop.server import DashboardServer, ServerSettings
from edge_robot.teleop.view_channel import ViewChannel

VIEWS_OF_SUMMARY = ("mode", "stopped", "holder", "battery", "link")
SILENCE = 5.0  # s; whoever has told nothing for so long may not be as told


@dataclass(frozen=True)
class PeopleSettings(Settings):
    """Who may come in, to which robot, and what is kept of what they do."""

    robot: str = setting("robot", "the robot's name, as people read it")
    tokens: str = setting("", "file of people's tokens: `edge-robot teleop token add`")
    session_life: float = setting(43200.0, "how long a log-in lasts, s", ge=1.0)
    session_idle: float = setting(1800.0, "how long it lasts with no page open, s", ge=1.0)
    audit_folder: str = setting("~/.ros/edge_robot/audit", "where it is kept what operators did")

    def access(self) -> tuple[Access, str]:
        """Return who may come in, and the token that was made up for them, if any.

        Raises:
            UserError: the token file or EDGE_ROBOT_TOKEN cannot be used.
        """
        if self.tokens:
            people = people_of(Path(self.tokens).expanduser())
            return Access(people, self.session_life, self.session_idle), ""
        given = os.environ.get("EDGE_ROBOT_TOKEN", "")
        made_up = "" if given else secrets.token_urlsafe(16)
        return Access(OneToken(given or made_up), self.session_life, self.session_idle), made_up


class _Robot:
    """What the server itself asks of the robot."""

    def __init__(self, name: str, control: ControlChannel, views: DashboardViews) -> None:
        self._name = name
        self._control = control
        self._views = views

    async def stop(self, who: Identity) -> str:
        return await self._control.stop(who)

    def summary(self) -> dict[str, Any]:
        """Return what is known now, None for what is not."""
        told = {name: self._views.value(name, SILENCE) for name in VIEWS_OF_SUMMARY}
        mode, link, battery = told["mode"], told["link"], told["battery"]
        return {
            "name": self._name,
            "mode": mode and mode["name"],
            "stopped": told["stopped"],
            "holder": told["holder"],
            "operator": self._control.operator,
            "battery": battery and battery["charge"],
            "link": link and link["up"],
        }


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
        views = DashboardViews(self, people.robot)
        self._rosbridge_graph = RosbridgeGraph(self)
        channels = (
            control,
            ViewChannel(views, self._audit, {"neighbours": neighbours.section}),
            self._rosbridge(control),
        )
        self._server = DashboardServer(
            channels,
            access,
            settings,
            self._audit,
            _Robot(people.robot, control, views),
            background=[neighbours.run],
        )
        # Commands and stops pass through it; pictures are made in threads that are not urgent.
        granted = claim_priority(Urgency.PLANNING, self._server.thread)
        self._refused = 0
        DiagnosticsReporter(self, self._diagnostics)
        self.get_logger().info(f"dashboard: {self._server.url}, served with {granted}")
        if token:  # printed, not logged: logs are published, kept and sent
            print(f"dashboard: {self._server.url} access token: {token}", flush=True)

    def destroy_node(self) -> None:
        """Disconnect everybody, then leave the graph."""
        server = getattr(self, "_server", None)
        if server is not None:
            server.close()
            self._rosbridge_graph.close()
        audit = getattr(self, "_audit", None)
        if audit is not None:
            audit.close()
        super().destroy_node()

    def _names(self, parameter: str, about: str) -> list[str]:
        names = self.declare_parameter(parameter, [""], ParameterDescriptor(description=about))
        return [name for name in names.value if name]

    def _rosbridge(self, robot: ControlChannel) -> RosbridgeChannel:
        permissions = Permissions(
            self._names("rosbridge_publish", "who may publish: 'drive goal_pose'; none: nobody"),
            self._names("rosbridge_call", "who may call: 'admin planner/set_parameters'"),
            self.get_namespace(),
        )
        about = "other servers whose pages may connect to /rosbridge: https://tools.example"
        origins = self._names("rosbridge_origins", about)
        return RosbridgeChannel(self._rosbridge_graph, robot, permissions, self._audit, origins)

    def _neighbours(self) -> dict[str, NeighbourSettings]:
        about = "other robots to list; see NAME.url, NAME.token_file and NAME.ca_file"
        return {
            name: declare_settings(self, NeighbourSettings(), prefix=f"{name}.")
            for name in self._names("neighbours", about)
        }

    def _diagnostics(self) -> Iterator[Status]:
        problem = self._audit.problem()
        yield Status("audit log", ERROR if problem else OK, problem or "written")
        connected, refused = self._server.crowd()
        fresh, self._refused = refused - self._refused, refused
        text = f"{connected} open" + (f"; {fresh} found no place" if fresh else "")
        yield Status("connections", WARN if fresh else OK, text, {"refused": refused})


def main() -> None:
    """Run the node."""
    sys.setswitchinterval(0.001)  # whoever makes pictures hands the interpreter on to commands
    run(Dashboard)


if __name__ == "__main__":
    main()
