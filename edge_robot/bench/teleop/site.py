"""A real dashboard, a robot on paper behind it, and whoever looks at it: programs of a bench."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_robot.bench.bad_link import ROBOT, BadLink
from edge_robot.bench.certificates import certify
from edge_robot.bench.runtimes import Program, Runtime, Start, foremost, programs
from edge_robot.listening import free_port
from edge_robot.token_file import add_token

CAMERA_RATE = 12.0
"""Hz."""

_PORT = 8080
_START = 60.0  # s


@dataclass(frozen=True)
class Site:
    """The programs, and how others reach the dashboard.

    Attributes:
        robot: `teleop_robot`.
        dashboard: `teleop_dashboard`.
        url: Of the dashboard.
        certificate: To trust for `https`, or None.
        tokens: Of two administrators.
        near: Starts programs at the robot's end.
        far: Starts programs at the operators' end.
    """

    robot: Program
    dashboard: Program
    url: str
    certificate: str | None
    tokens: tuple[str, str]
    near: Start
    far: Start

    def people(self) -> tuple[Program, Program]:
        """Start two `teleop_operator`: one to drive, one to watch; neither keeps the other busy."""
        about = {"url": self.url, "token": self.tokens[0], "certificate": self.certificate}
        operator, audience = (self.far("teleop_operator", **about) for _ in range(2))
        for program in (operator, audience):
            program.next(_START)
        return operator, audience

    def notes(self) -> dict[str, Any]:
        """Return what the dashboard has noted since the last time."""
        return ask(self.dashboard, notes=True)


def ask(program: Program, **order: Any) -> dict[str, Any]:
    """Give a program an order, and return its answer."""
    program.tell(**order)
    return program.next()


@contextmanager
def on_link(link: BadLink) -> Iterator[Site]:
    """Set up a robot at one end of a link; operators are at the other, and come by TLS."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate, key = folder / "robot.pem", folder / "robot.key"
        certify(certificate, key, ROBOT)
        parameters = {"host": ROBOT, "tls_cert": str(certificate), "tls_key": str(key)}
        url = f"https://{ROBOT}:{_PORT}"
        with _site(link.robot, link.operator, url, parameters, folder, str(certificate)) as site:
            yield site


@contextmanager
def on_loopback(
    runtime: Runtime, camera: float = CAMERA_RATE, trace: bool = False
) -> Iterator[Site]:
    """Set up a robot, and operators on the same machine.

    Args:
        runtime: Runs all programs.
        camera: Its rate, Hz; 0: none.
        trace: Whether the dashboard's memory is counted.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        parameters = {"host": "127.0.0.1", "port": str(port)}
        url = f"http://127.0.0.1:{port}"
        with _site(
            runtime, runtime, url, parameters, Path(name), None, camera=camera, trace=trace
        ) as site:
            yield site


@contextmanager
def _site(
    near: Runtime,
    far: Runtime,
    url: str,
    parameters: dict[str, str],
    folder: Path,
    certificate: str | None,
    *,
    camera: float = CAMERA_RATE,
    trace: bool = False,
) -> Iterator[Site]:
    file = folder / "tokens"
    tokens = (add_token(file, "anna", "admin"), add_token(file, "bert", "admin"))
    parameters |= {"tokens": str(file), "audit_folder": str(folder / "audit")}
    # Images are larger than what a socket holds unless somebody raised that.
    environment = {**near.environment, "EDGE_ROBOT_SENSOR_RELIABILITY": "reliable"}
    environment.pop("EDGE_ROBOT_TOKEN", None)
    near = replace(near, environment=environment)
    # The dashboard has the priority it has on a robot; the rest are machines of their own, or none.
    with (
        programs(near) as start,
        programs(foremost(near)) as start_near,
        programs(foremost(far)) as start_far,
    ):
        robot = start_near("teleop_robot", rate=camera)
        dashboard = start("teleop_dashboard", parameters=parameters, trace=trace)
        for program in (robot, dashboard):
            program.next(_START)
        yield Site(robot, dashboard, url, certificate, tokens, start_near, start_far)
