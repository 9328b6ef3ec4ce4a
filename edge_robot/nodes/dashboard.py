"""Serves the teleoperator's page: puts server, channels and their sides of the robot together."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_robot.errors import UserError
from edge_robot.nodes.dashboard_views import DashboardViews, ViewSettings
from edge_robot.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.operator_wheel import OperatorWheel
from edge_robot.nodes.rosbridge_graph import RosbridgeGraph
from edge_robot.nodes.runner import run
from edge_robot.nodes.urgency import Urgency, claim_priority
from edge_robot.settings import Settings, setting
from edge_robot.teleop.access import Access, OneToken, people_of
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


@dataclass(frozen=True)
class RosbridgeSettings(Settings):
    """What programs may do that connect to /rosbridge."""

    rosbridge_publish: Sequence[str] = setting(
        ("",), "who may publish: 'drive goal_pose'; none: nobody"
    )
    rosbridge_call: Sequence[str] = setting(("",), "who may call: 'admin planner/set_parameters'")
    rosbridge_origins: Sequence[str] = setting(
        ("",), "other servers whose pages may connect to /rosbridge: https://tools.example"
    )

    @property
    def origins(self) -> list[str]:
        """The other servers."""
        return [origin for origin in self.rosbridge_origins if origin]

    def permissions(self, namespace: str) -> Permissions:
        """Return what is permitted, names taken as in a namespace.

        Raises:
            UserError: an entry is none.
        """
        return Permissions(
            filter(None, self.rosbridge_publish), filter(None, self.rosbridge_call), namespace
        )


class _Robot:
    """What the server itself asks of the robot."""

    def __init__(self, name: str, control: ControlChannel, views: DashboardViews) -> None:
        self._name = name
        self._control = control
        self._views = views

    async def stop(self) -> str:
        return await self._control.stop()

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


class Dashboard(ManagedNode):
    """The robot's door for people: page, views, commands."""

    def __init__(self) -> None:
        super().__init__("dashboard")
        self._server_settings = self.settings(ServerSettings())
        self._people = self.settings(PeopleSettings())
        self._helm = self.settings(HelmSettings())
        self._views = self.settings(ViewSettings())
        self._rosbridge = self.settings(RosbridgeSettings())
        about = "other robots to list; see NAME.url, NAME.token_file and NAME.ca_file"
        self._listed = self.named_settings("neighbours", about, {}, NeighbourSettings())

    def configure(self) -> None:
        """Read who may come in, what they may do, and whom to ask."""
        self._access, self._token = self._people.value.access()
        self._neighbours = Neighbours(self._listed.value)
        self._permissions = self._rosbridge.value.permissions(self.get_namespace())

    def activate(self) -> None:
        """Open the door.

        Raises:
            UserError: the audit log cannot be written, or the address is no good.
        """
        people = self._people.value
        folder = Path(people.audit_folder).expanduser()
        wheel = OperatorWheel(self)
        self._audit = Audit(folder, lambda: int(self.get_clock().now().nanoseconds))
        self._control = ControlChannel(wheel, self._audit, self._helm.value)
        views = DashboardViews(self, people.robot, self._views.value)
        self._rosbridge_graph = RosbridgeGraph(self)
        origins = self._rosbridge.value.origins
        channels = (
            self._control,
            ViewChannel(views, self._audit, {"neighbours": self._neighbours.section}),
            RosbridgeChannel(
                self._rosbridge_graph, self._control, self._permissions, self._audit, origins
            ),
        )
        try:
            self._server = DashboardServer(
                channels,
                self._access,
                self._server_settings.value,
                self._audit,
                _Robot(people.robot, self._control, views),
                background=[self._neighbours.run],
            )
        except UserError:
            self._audit.close()
            raise
        # Commands and stops pass through it; pictures are made in threads that are not urgent.
        granted = claim_priority(Urgency.PROMPT, self._server.thread)
        self._refused = 0
        DiagnosticsReporter(self, self._diagnostics)
        self.get_logger().info(f"dashboard: {self._server.url}, served with {granted}")
        if self._token:  # printed, not logged: logs are published, kept and sent
            print(f"dashboard: {self._server.url} access token: {self._token}", flush=True)

    def reconfigure(self) -> None:
        """Let people drive by the new settings."""
        if self.is_active:
            self._control.adopt(self._helm.value)

    def deactivate(self) -> None:
        """Disconnect everybody."""
        self._server.close()
        self._rosbridge_graph.close()
        self._audit.close()

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
