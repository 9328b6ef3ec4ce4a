"""What systemd is told of the robot, by a socket as systemd has it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rclpy.node import Node
from std_srvs.srv import Trigger

from edge_robot import systemd
from edge_robot.errors import UserError
from edge_robot.nodes.collision_monitor import CollisionMonitor
from edge_robot.nodes.command_mux import CommandMux
from edge_robot.nodes.controller import Controller
from edge_robot.nodes.mode_manager import ModeManager
from edge_robot.nodes.service_watchdog import ServiceWatchdog
from edge_robot.standalone.virtual import VirtualWorld

CONTROL_PATH = {
    "collision_monitor": CollisionMonitor,
    "command_mux": CommandMux,
    "controller": Controller,
    "mode_manager": ModeManager,
}


class Manager(Node):
    """Answers as the lifecycle manager does."""

    def __init__(self) -> None:
        super().__init__("lifecycle_manager")
        self.active = False
        self.create_service(Trigger, "~/is_active", self._answer)

    def _answer(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.active
        return response


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)

    def told(self) -> list[str]:
        """Return what it was told since the last call."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def wait_for(self, text: str, seconds: float) -> bool:
        """Return whether it is told within a time."""
        self.socket.settimeout(seconds)
        try:
            while text not in self.socket.recv(4096).decode():
                pass
        except TimeoutError:
            return False
        finally:
            self.socket.setblocking(False)
        return True


@pytest.fixture
def service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    made = Systemd(tmp_path / "notify")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    with made.socket:
        yield made


def test_it_is_ready_when_all_are_active_and_alive_while_the_control_path_is(
    service_manager: Systemd,
) -> None:
    told = service_manager.told
    with VirtualWorld(seed=1) as world:
        manager = world.start("lifecycle_manager", Manager).node
        world.start("service_watchdog", ServiceWatchdog)
        world.run_for(2.0)
        assert any("nothing on" in state for state in told())
        for name, node in CONTROL_PATH.items():
            world.start(name, node)
        world.run_for(3.0)
        assert not {"READY=1", "WATCHDOG=1"} & set(told())
        manager.active = True
        world.run_for(5.0)
        states = told()
        assert states.count("READY=1") == 1
        assert states.count("WATCHDOG=1") >= 3  # twice in each WatchdogSec at least
        assert "READY=1" not in states[states.index("WATCHDOG=1") :]
        assert any("STATUS=initializing: " in state for state in states)
        for name in CONTROL_PATH:
            world.processes[name].stop()
            world.run_for(1.1)  # what was heard just before counts once
            told()
            world.run_for(3.0)
            assert "WATCHDOG=1" not in told(), f"{name} is stopped"
            world.processes[name].resume()
            world.run_for(2.0)
            assert "WATCHDOG=1" in told(), name


def test_nobody_to_tell_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with pytest.raises(UserError, match="Type=notify"):
        systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with pytest.raises(UserError, match="does not listen"):
        systemd.notify("READY=1")
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    with pytest.raises(UserError, match="WATCHDOG_USEC"):
        systemd.watchdog_time()


def test_a_manager_that_does_not_read_holds_nobody_up(service_manager: Systemd) -> None:
    with pytest.raises(UserError, match="does not listen"):
        for _ in range(10_000):
            systemd.notify("WATCHDOG=1")
    service_manager.told()
    systemd.notify("WATCHDOG=1")
    assert service_manager.told() == ["WATCHDOG=1"]


REST_OF_THE_ROBOT = """
import edge_robot, rclpy
from edge_robot import topics
from edge_robot.msg import RobotMode
from edge_robot.nodes.qos import qos_profile
from geometry_msgs.msg import TwistStamped
from std_srvs.srv import Trigger
rclpy.init()
node = rclpy.create_node("lifecycle_manager")
def answer(_request, response):
    response.success = True
    return response
node.create_service(Trigger, "~/is_active", answer)
kinds = {topics.MODE: RobotMode, topics.CMD_VEL_NAV: TwistStamped, topics.CMD_VEL_MUX: TwistStamped}
for topic, kind in kinds.items():
    publisher = node.create_publisher(kind, topic.name, qos_profile(topic))
    node.create_timer(0.05, lambda p=publisher, k=kind: p.publish(k()))
rclpy.spin(node)
"""


@pytest.fixture
def start(
    domain: int, service_manager: Systemd
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    environment = {**os.environ, **service_manager.environment}
    running = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen([sys.executable, *arguments], env=environment))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def test_a_frozen_node_silences_it_though_its_process_is_there(
    start: Callable[..., subprocess.Popen[bytes]], service_manager: Systemd
) -> None:
    start("-c", REST_OF_THE_ROBOT)
    monitor = start("-m", "edge_robot.nodes.collision_monitor")
    start("-m", "edge_robot.nodes.service_watchdog")
    assert service_manager.wait_for("READY=1", 30.0)
    assert service_manager.wait_for("WATCHDOG=1", 5.0)
    monitor.send_signal(signal.SIGSTOP)
    time.sleep(0.6)  # what was heard just before counts once
    service_manager.told()
    assert not service_manager.wait_for("WATCHDOG=1", 1.5)
    monitor.send_signal(signal.SIGCONT)
    assert service_manager.wait_for("WATCHDOG=1", 5.0)
