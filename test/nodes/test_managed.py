"""What a managed node may do in which state, and how it comes to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from edge_robot.errors import UserError
from edge_robot.nodes.managed import ManagedNode
from edge_robot.standalone.virtual import VirtualWorld

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Talker(ManagedNode):
    """Says its word ten times a second, and answers."""

    def __init__(self, **options: Any) -> None:
        super().__init__("talker", **options)
        self._word = self.parameter("word", "hello", "what it says")
        self.loud = self.parameter("loud", False, "whether it shouts", live=True)
        self.done: list[str] = []

    def configure(self) -> None:
        self.done.append("configure")
        if not self._word.value:
            raise UserError("there is nothing to say")
        self._said = self._word.value

    def activate(self) -> None:
        self.done.append("activate")
        self._publisher = self.create_publisher(String, "word", 1)
        self.create_timer(0.1, lambda: self._publisher.publish(String(data=self._said)))
        self.create_service(Trigger, "ask", lambda _, response: response)
        self.create_subscription(String, "word", lambda _: None, 1)

    def reconfigure(self) -> None:
        self.done.append("reconfigure")

    def farewell(self) -> None:
        self._publisher.publish(String(data="farewell"))

    def deactivate(self) -> None:
        self.done.append("deactivate")

    def cleanup(self) -> None:
        self.done.append("cleanup")


class Listener(Node):
    """Hears what is said."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.heard: list[str] = []
        self.create_subscription(String, "word", lambda m: self.heard.append(m.data), 10)


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    with VirtualWorld(seed=1) as made:
        yield made


def met(world: VirtualWorld, **parameters: Any) -> tuple[Any, Any]:
    """Return a talker and a listener that have been there for a second."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    world.start("listener", Listener)
    world.start("talker", lambda: Talker(parameter_overrides=overrides))
    world.run_for(1.0)
    return world.processes["talker"].node, world.processes["listener"].node


def endpoints(node: Node) -> int:
    kinds = (node.publishers, node.subscriptions, node.services, node.clients, node.timers)
    return sum(len(list(kind)) for kind in kinds)


def test_by_itself_it_begins_to_work(world: VirtualWorld) -> None:
    talker, listener = met(world)
    assert talker.done == ["configure", "activate"]
    assert listener.heard == 9 * ["hello"] or listener.heard == 10 * ["hello"]


def test_with_a_manager_it_waits(world: VirtualWorld) -> None:
    talker, listener = met(world, autostart=False)
    assert (talker.done, listener.heard) == ([], [])


def test_inactive_it_has_nothing_and_says_farewell(world: VirtualWorld) -> None:
    talker, listener = met(world, autostart=False)
    priority: list[str] = []
    talker.around_activity(lambda: priority.append("claimed"), lambda: priority.append("released"))
    bare = endpoints(talker)
    with world.running(world.processes["talker"]):
        for _ in range(2):
            assert talker.trigger_configure() is SUCCESS
            assert talker.trigger_activate() is SUCCESS
            assert endpoints(talker) == bare + 4
            world.run_for(0.5)
            assert talker.trigger_deactivate() is SUCCESS
            world.run_for(0.1)
            assert listener.heard[-1] == "farewell"
            heard = len(listener.heard)
            world.run_for(0.5)
            assert (endpoints(talker), len(listener.heard)) == (bare, heard)
            assert talker.trigger_cleanup() is SUCCESS
    assert talker.done == 2 * ["configure", "activate", "deactivate", "cleanup"]
    assert priority == ["claimed", "released", "claimed"], "configuring is not urgent"
    assert "hello" in listener.heard


def test_it_ends_in_good_order_from_any_state(world: VirtualWorld) -> None:
    for steps, undone in (
        ([], []),
        (["configure"], ["cleanup"]),
        (["configure", "activate"], ["deactivate", "cleanup"]),
    ):
        for end in ("trigger_shutdown", "destroy_node"):
            talker = Talker(parameter_overrides=[Parameter("autostart", value=False)])
            for step in steps:
                getattr(talker, f"trigger_{step}")()
            getattr(talker, end)()
            assert talker.done == steps + undone
            talker.destroy_node()
            assert talker.done == steps + undone


@pytest.mark.parametrize("autostart", [True, False])
def test_what_cannot_be_configured_is_mended_from_outside(
    world: VirtualWorld, autostart: bool
) -> None:
    talker, _ = met(world, autostart=autostart)
    if autostart:
        talker.trigger_deactivate()
        talker.trigger_cleanup()
    assert talker.set_parameters([Parameter("word", value="")])[0].successful
    assert talker.trigger_configure() is FAILURE
    assert not talker.is_configured
    assert talker.set_parameters([Parameter("word", value="well")])[0].successful
    assert talker.trigger_configure() is SUCCESS
    world.run_for(0.1)
    assert world.processes["talker"].error is None


def test_while_configured_only_what_is_live_may_change(world: VirtualWorld) -> None:
    talker, _ = met(world)
    refused = talker.set_parameters([Parameter("word", value="well")])[0]
    assert not refused.successful
    assert "cleanup" in refused.reason
    assert talker.set_parameters([Parameter("loud", value=True)])[0].successful
    assert talker.done[-1] == "reconfigure"
    assert talker.loud.value is True


class Broken(Talker):
    """Fails in one of its steps, in a way that nobody foresaw."""

    def activate(self) -> None:
        super().activate()
        raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("autostart", [True, False])
def test_a_bug_in_a_transition_ends_the_process(world: VirtualWorld, autostart: bool) -> None:
    overrides = [Parameter("autostart", value=autostart)]
    process = world.start("broken", lambda: Broken(parameter_overrides=overrides))
    broken: Any = process.node
    bare = endpoints(broken)
    if not autostart:
        with world.running(process):
            broken.trigger_configure()
            assert broken.trigger_activate() is TransitionCallbackReturn.ERROR
    world.run_for(0.1)
    assert isinstance(process.error, ZeroDivisionError)
    assert endpoints(broken) == bare


def test_what_cannot_be_configured_by_itself_ends_with_one_line_and_status_2() -> None:
    program = (
        "import edge_robot, sys\n"
        "from edge_robot.nodes.runner import run\n"
        "from test_managed import Talker\n"
        "run(Talker)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "--ros-args", "-p", "word:=''"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (2, "error: there is nothing to say\n")
