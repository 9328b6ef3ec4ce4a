"""Brings managed nodes up in order, keeps them up, and takes them back in reverse.

All are configured at the same time, for loading a model or compiling takes seconds; they are
activated in the order given, who obeys commands before who gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from edge_robot.nodes.diagnostics import ERROR, OK, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.managed_peer import ManagedPeer
from edge_robot.nodes.parameters import Parameters
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds
from edge_robot.settings import Meaning

try:
    from nav2_msgs.srv import ManageLifecycleNodes
except ImportError:
    ManageLifecycleNodes = None

_PERIOD = 1.0  # s
_HASTE = 0.05  # s; the same while something is to be done
_PATIENCE = 10.0  # s; a node that is not there for longer is missed

_STEPS: dict[str, dict[str, str]] = {
    "active": {"unconfigured": "configure", "inactive": "activate"},
    "inactive": {"unconfigured": "configure", "active": "deactivate"},
    "unconfigured": {"active": "deactivate", "inactive": "cleanup"},
    "finalized": {"active": "deactivate", "inactive": "shutdown", "unconfigured": "shutdown"},
}
"""The way to each state: the transition out of every other."""

_COMMANDS = {
    "STARTUP": "active",
    "PAUSE": "inactive",
    "RESUME": "active",
    "RESET": "unconfigured",
    "SHUTDOWN": "finalized",
    "CONFIGURE": "inactive",
    "CLEANUP": "unconfigured",
}
"""The state that all nodes are brought to by each command of nav2's service."""


class LifecycleManager(Node):
    """Brings the nodes of the parameter `node_names` up, with nav2's services and parameters.

    A node that comes late or was respawned is brought up when it is there; one that is active
    already stays so. A node that hangs, fails or is missing holds up nobody: those after it in the
    order wait for `order_patience` at most. Who changes a node's state by other means than this is
    not interfered with until the node is active again, or anew.

    Its own end stops nobody.
    """

    def __init__(self) -> None:
        super().__init__("lifecycle_manager")
        parameters = Parameters(self)
        names = parameters.parameter(
            "node_names", [""], Meaning("nodes to manage, in the order of activation")
        ).value
        autostart = parameters.parameter(
            "autostart", True, Meaning("bring them up at start; false: when STARTUP is asked for")
        ).value
        self._order_patience = parameters.parameter(
            "order_patience",
            2.0,
            Meaning("longest wait for a node that goes before in the order, s", ge=0.0, live=True),
        )
        self._transition_timeout = parameters.parameter(
            "transition_timeout",
            60.0,
            Meaning("time in a transition from which a node is said to hang, s", ge=0.0, live=True),
        )
        self._retry_after = parameters.parameter(
            "retry_after",
            5.0,
            Meaning("time after which what failed is tried again, s", ge=0.0, live=True),
        )
        self._goal = ""
        self._pursued_since = steady_seconds()
        self._outcome = Future()
        self._problems: dict[str, str] = {}
        self._complete = False
        self._peers = [ManagedPeer(self, name, self._advance) for name in names if name]
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_PERIOD, self._look, clock=steady)
        self._haste = self.create_timer(_HASTE, self._look, clock=steady)
        if autostart:
            self._pursue("active")
        # An answer that takes long must not hold up what it waits for.
        group = ReentrantCallbackGroup()
        if ManageLifecycleNodes is not None:
            self.create_service(
                ManageLifecycleNodes, "~/manage_nodes", self._on_manage, callback_group=group
            )
        else:
            self.get_logger().warning("no nav2_msgs: ~/manage_nodes is not offered")
        self.create_service(Trigger, "~/is_active", self._on_is_active)
        DiagnosticsReporter(self, self._diagnostics)

    # --- services -----------------------------------------------------------------------------

    async def _on_manage(self, request: Any, response: Any) -> Any:
        """Bring all nodes to a state; answered when all are there, or cannot get there."""
        for command, goal in _COMMANDS.items():
            if request.command == getattr(ManageLifecycleNodes.Request, command, None):
                self.get_logger().info(f"{command.lower()} was asked for")
                response.success = await self._pursue(goal)
                return response
        self.get_logger().error(f"no command has the number {request.command}")
        response.success = False
        return response

    def _on_is_active(self, _request: Any, response: Any) -> Any:
        lacking = [f"{peer.name}: {self._text(peer)}" for peer in self._peers if not _is_up(peer)]
        response.success = not lacking
        response.message = "; ".join(lacking) or f"all {len(self._peers)} nodes are active"
        return response

    # --- what it does -------------------------------------------------------------------------

    def _pursue(self, goal: str) -> Future:
        """Bring all nodes to a state from now on; return the future of whether they got there."""
        if not self._outcome.done():
            self._outcome.set_result(False)  # what was pursued before
        self._goal, self._outcome = goal, Future()
        self._pursued_since = steady_seconds()
        self._complete = False
        self._haste.reset()
        for peer in self._peers:
            peer.forgive()
        return self._outcome

    def _look(self) -> None:
        for peer in self._peers:
            peer.look(settled=peer.state == self._goal)
        self._advance()

    def _advance(self) -> None:
        for index, peer in enumerate(self._peers):
            step = _STEPS.get(self._goal, {}).get(peer.state, "")
            if step and not peer.doing and not peer.in_other_hands and self._may_go(index, step):
                peer.ask(step)
        self._tell()

    def _may_go(self, index: int, step: str) -> bool:
        """Return whether it is a node's turn to make a step."""
        now, peer = steady_seconds(), self._peers[index]
        if peer.failed:
            return now - peer.changed_at > self._retry_after.value
        if step == "activate":
            is_its_turn = all(_is_up(other) for other in self._peers[:index])
        elif step == "deactivate":
            is_its_turn = not any(_is_up(other) for other in self._peers[index + 1 :])
        else:
            return True
        waited = now - max(peer.since, self._pursued_since)
        return is_its_turn or waited > self._order_patience.value

    def _is_over(self, peer: ManagedPeer) -> bool:
        """Return whether nothing more will come of what is pursued."""
        return peer.state == self._goal or bool(self._problem(peer))

    # --- what it says -------------------------------------------------------------------------

    def _problem(self, peer: ManagedPeer) -> str:
        """Return why a node is not, and will not soon be, where it should be."""
        now = steady_seconds()
        if peer.state == self._goal or not self._goal:
            return ""
        if peer.doing:
            hangs = now - peer.changed_at > self._transition_timeout.value
            return f"hangs while it should {peer.doing}" if hangs else ""
        if not peer.state:
            missed = now - max(peer.since, self._pursued_since) > _PATIENCE
            is_there = "does not answer" if peer.is_there else "is not there"
            return is_there if missed else ""
        if peer.failed:
            return f"failed to {peer.failed}; its own log says why"
        if peer.in_other_hands:
            return f"is {peer.state} by somebody else's wish"
        return "is finalized: start it anew" if peer.state == "finalized" else ""

    def _text(self, peer: ManagedPeer) -> str:
        going = f"is asked to {peer.doing}" if peer.doing else peer.state or "not met yet"
        return self._problem(peer) or going

    def _tell(self) -> None:
        """Log what is new, and answer who waits for an outcome."""
        for peer in self._peers:
            problem = self._problem(peer)
            if problem != self._problems.get(peer.name, ""):
                self._problems[peer.name] = problem
                if problem:
                    self.get_logger().warning(f"{peer.name} {problem}")
        complete = bool(self._goal) and all(peer.state == self._goal for peer in self._peers)
        if complete and not self._complete:
            took = f" after {steady_seconds() - self._pursued_since:.1f} s"
            again = self._outcome.done()
            self.get_logger().info(f"all nodes are {self._goal}{'' if again else took}")
        self._complete = complete
        if self._goal and not all(map(self._is_over, self._peers)):
            if self._haste.is_canceled():
                self._haste.reset()
            return
        self._haste.cancel()
        if not self._outcome.done():
            self._outcome.set_result(complete)

    def _diagnostics(self) -> Iterator[Status]:
        lacking = [peer.name for peer in self._peers if not _is_up(peer)]
        ill = [name for name in lacking if self._problems.get(name)]
        yield Status(
            "managed nodes",
            ERROR if ill else WARN if lacking else OK,
            f"not active: {', '.join(lacking)}" if lacking else "all are active",
            {peer.name: self._text(peer) for peer in self._peers},
        )


def _is_up(peer: ManagedPeer) -> bool:
    return peer.state == "active"


def main() -> None:
    """Run the node."""
    run(LifecycleManager)


if __name__ == "__main__":
    main()
