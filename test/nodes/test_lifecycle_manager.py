"""The lifecycle manager among real processes: who is brought up when, and who holds up nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import rclpy
from lifecycle_msgs.msg import TransitionEvent
from lifecycle_msgs.srv import GetState
from nav2_msgs.srv import ManageLifecycleNodes
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from std_srvs.srv import Trigger

from edge_robot.nodes.lifecycle_manager import LifecycleManager
from edge_robot.nodes.managed import ManagedNode
from edge_robot.standalone.virtual import VirtualWorld

LIMIT = 30.0  # s; the machine may be busy with others
PUPIL = Path(__file__).with_name("managed_program.py")
NAMES = ("first", "sleeper", "unable", "last")
Command = ManageLifecycleNodes.Request


class School:
    """A manager, its nodes, and who watches them."""

    def __init__(self) -> None:
        self.node = Node("watcher")
        self.events: list[tuple[int, str, str]] = []  # when it was sent, by whom, reached state
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in NAMES:
            self.node.create_subscription(
                TransitionEvent,
                f"{name}/transition_event",
                partial(self._on_event, name),
                100,
            )
        self._states = {n: self.node.create_client(GetState, f"{n}/get_state") for n in NAMES}
        self._manage = self.node.create_client(
            ManageLifecycleNodes, "lifecycle_manager/manage_nodes"
        )
        self._is_active = self.node.create_client(Trigger, "lifecycle_manager/is_active")

    def _on_event(self, name: str, event: TransitionEvent, info: Any) -> None:
        self.events.append((info["source_timestamp"], name, event.goal_state.label))

    def start(self, name: str, **parameters: Any) -> None:
        arguments = [str(PUPIL), name, "--ros-args", "-p", "autostart:=false"]
        self._start(name, arguments, parameters)

    def start_manager(self, order_patience: float) -> None:
        arguments = ["-m", "edge_robot.nodes.lifecycle_manager", "--ros-args"]
        parameters = {
            "node_names": f"[{', '.join(NAMES)}]",
            "order_patience": order_patience,
            "retry_after": 1.0,
        }
        self._start("lifecycle_manager", arguments, parameters)

    def _start(self, name: str, arguments: list[str], parameters: dict[str, Any]) -> None:
        given = [word for item in parameters.items() for word in ("-p", "{}:={}".format(*item))]
        self.processes[name] = subprocess.Popen([sys.executable, *arguments, *given])

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def spin_until(self, condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}: {self.events}"
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def ask(self, client: Any, request: Any) -> Any:
        while True:
            self.spin_until(client.service_is_ready, client.srv_name)
            answer = client.call_async(request)
            end = time.monotonic() + 5.0
            while not answer.done() and time.monotonic() < end:
                rclpy.spin_once(self.node, timeout_sec=0.05)
            if answer.done():
                return answer.result()

    def is_active(self) -> tuple[bool, str]:
        answer = self.ask(self._is_active, Trigger.Request())
        return answer.success, answer.message

    def manage(self, command: int) -> bool:
        return bool(self.ask(self._manage, Command(command=command)).success)

    def state(self, name: str) -> str:
        return str(self.ask(self._states[name], GetState.Request()).current_state.label)

    def set(self, name: str, **values: Any) -> None:
        client = AsyncParameterClient(self.node, name)
        self.spin_until(client.services_are_ready, f"parameters of {name}")
        future = client.set_parameters([Parameter(n, value=v) for n, v in values.items()])
        self.spin_until(future.done, f"parameters of {name}")

    def reached(self, state: str) -> list[str]:
        """Return who reached a state, in that order."""
        return [name for _, name, reached in sorted(self.events) if reached == state]

    def end(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            process.wait(10.0)
        self.node.destroy_node()


@pytest.fixture
def school(domain: int) -> Iterator[School]:
    rclpy.init()
    made = School()
    yield made
    made.end()
    rclpy.try_shutdown()


def test_it_brings_up_keeps_up_and_takes_back(school: School) -> None:
    school.start("sleeper", delay=3.0)
    school.start("unable", able=False)
    school.start_manager(order_patience=0.3)
    school.start("first")
    school.start("last")

    # Who hangs or is unable holds up nobody.
    school.spin_until(lambda: {"first", "last"} <= set(school.reached("active")), "the able")
    assert len(school.reached("active")) == 2
    assert not school.is_active()[0]
    school.spin_until(
        lambda: "unable: failed to configure; its own log" in school.is_active()[1], "the reason"
    )
    school.set("unable", able=True)
    school.spin_until(lambda: len(school.reached("active")) == 4, "all")
    school.spin_until(lambda: school.is_active()[0], "the manager to know")

    # Who was killed and respawned is brought up again, by a manager that was killed, too.
    school.kill("lifecycle_manager")
    assert [school.state(name) for name in NAMES] == 4 * ["active"]
    school.kill("first")
    school.events.clear()
    school.start_manager(order_patience=LIMIT)
    school.start("first")
    school.spin_until(lambda: school.reached("active"), "the first again")
    school.spin_until(lambda: school.is_active()[0], "the manager to know")
    assert {name for _, name, _ in school.events} == {"first"}, "the others were left as they were"

    # In reverse, each when those that go after it are inactive.
    school.events.clear()
    assert school.manage(Command.PAUSE)
    school.spin_until(lambda: len(school.reached("inactive")) == 4, "all events")
    assert school.reached("inactive") == list(reversed(NAMES))
    assert school.manage(Command.RESUME)
    school.spin_until(lambda: len(school.reached("active")) == 4, "all events")
    assert school.reached("active") == list(NAMES)
    assert school.manage(Command.RESET)
    assert {school.state(name) for name in NAMES} == {"unconfigured"}
    assert all(process.poll() is None for process in school.processes.values())


def test_what_somebody_else_wishes_is_let_be() -> None:
    def pupil() -> ManagedNode:
        return ManagedNode("pupil", parameter_overrides=[Parameter("autostart", value=False)])

    with VirtualWorld(1, ["--ros-args", "-p", "node_names:=[pupil]"]) as world:
        process: Any = world.start("pupil", pupil)
        world.start("manager", LifecycleManager)
        world.run_for(1.0)
        assert process.node.is_active
        with world.running(process):
            process.node.trigger_deactivate()
            process.node.trigger_cleanup()
        world.run_for(30.0)
        assert not process.node.is_configured
        process.kill()
        world.run_for(2.0)
        again: Any = world.start("pupil", pupil)
        world.run_for(3.0)
        assert again.node.is_active
