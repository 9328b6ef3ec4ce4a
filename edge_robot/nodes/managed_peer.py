"""One managed node as its lifecycle manager sees it: its state, and what it was asked to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node

from edge_robot.nodes.steady import steady_seconds

_LOOK_PERIOD = 0.9  # s, between two looks at a node that is where it should be
_HASTE_PERIOD = 0.2  # s, at any other
_ANSWER_LIMIT = 2.0  # s; a node that does not answer for longer is busy, stopped or dead
_MEETING_LIMIT = 0.2  # s; who was met just now may not have known who asked
_BEGINNINGS = {
    "configure": "configuring",
    "activate": "activating",
    "deactivate": "deactivating",
    "cleanup": "cleaningup",
    "shutdown": "shuttingdown",
}
_RESULTS = {
    "configure": "inactive",
    "activate": "active",
    "deactivate": "inactive",
    "cleanup": "unconfigured",
    "shutdown": "finalized",
}


class ManagedPeer:
    """Follows a node by its lifecycle services, and never waits for it.

    Args:
        node: The manager.
        name: Of the node that is managed; a relative one is in the manager's namespace.
        changed: Called whenever something new is known.

    Attributes:
        name: As given.
        is_there: Whether its services are.
        state: `unconfigured`, `inactive`, `active` or `finalized`; empty where nobody answers.
        since: Since when, s on the steady clock; of an empty one since it came or went.
        doing: The transition it was asked for and has not finished; empty for none.
        failed: The last transition it was asked for, where that failed; else empty.
        changed_at: Time of that request or of its failure, s on the steady clock.
        in_other_hands: Whether somebody else has changed its state, and not back to active.
    """

    def __init__(self, node: Node, name: str, changed: Callable[[], object]) -> None:
        self.name = name
        self.is_there = False
        self.state = ""
        self.since = self.changed_at = steady_seconds()
        self.doing = self.failed = ""
        self.in_other_hands = False
        self._changed = changed
        self._states = node.create_client(GetState, f"{name}/get_state")
        self._changes = node.create_client(ChangeState, f"{name}/change_state")
        node.create_subscription(TransitionEvent, f"{name}/transition_event", self._on_event, 10)
        self._look: Any = None
        self._looked_at = 0.0
        self._request: Any = None
        self._own = ""  # beginning of the transition asked for last, until it was told of
        self._unchanged = 0  # answers to questions asked after the request, with the old state

    def look(self, settled: bool) -> None:
        """Ask for its state, if it is time for that.

        Args:
            settled: Whether it is where it should be.
        """
        now, was_there = steady_seconds(), self.is_there
        self.is_there = self._states.service_is_ready() and self._changes.service_is_ready()
        if not self.is_there:
            self._lost()
            return
        if not was_there:
            self.since = now
        waiting = now - self._looked_at
        if self._look is not None:
            if waiting < (_ANSWER_LIMIT if self.state or self.doing else _MEETING_LIMIT):
                return
            self._end_look()
            if not self.doing:
                self._see("")
        elif waiting < (_LOOK_PERIOD if settled else _HASTE_PERIOD):
            return
        self._looked_at = now
        self._look = self._states.call_async(GetState.Request())
        self._look.add_done_callback(self._on_state)

    def ask(self, transition: str) -> None:
        """Ask it to change its state; nothing else is asked until that has ended."""
        self.doing, self.failed, self.changed_at = transition, "", steady_seconds()
        self._own = _BEGINNINGS[transition]
        self._unchanged = 0
        request = ChangeState.Request(transition=Transition(label=transition))
        self._request = self._changes.call_async(request)
        self._request.add_done_callback(self._on_change)

    def forgive(self) -> None:
        """Forget a failure, and that somebody else has changed its state."""
        self.failed, self.in_other_hands = "", False

    def _on_state(self, answer: Any) -> None:
        if answer is not self._look:
            return
        self._look = None
        state = answer.result().current_state.label
        if self.doing and self._looked_at > self.changed_at:
            # Who answers is in no transition. A node that got both at once may have answered the
            # question first; but not two, for the second was asked after the first was answered.
            self._unchanged += state == self.state
            if state != self.state or self._unchanged == 2:
                self._end_request()
        if not self.doing:
            self._see(state)
        self._changed()

    def _on_change(self, answer: Any) -> None:
        if answer is not self._request:
            return
        asked, self.changed_at = self.doing, steady_seconds()
        self._end_request()
        self._end_look()  # which may have been answered before
        if answer.result().success:
            self._see(_RESULTS[asked])
        else:
            self.failed = asked
        self._changed()

    def _on_event(self, event: Any) -> None:
        label = event.goal_state.label
        if label == self._own:
            self._own = ""  # it may come after the answer to the request
        elif label in _BEGINNINGS.values() and not self.doing:
            self._end_look()  # its answer would be of the state that is being left
            self.in_other_hands = True
            self._changed()

    def _see(self, state: str) -> None:
        if state != self.state:
            self.state, self.since = state, steady_seconds()
            self.failed = ""
        if state in ("", "active"):
            self.in_other_hands = False

    def _lost(self) -> None:
        self._end_look()
        self._end_request()
        self._see("")

    def _end_look(self) -> None:
        if self._look is not None:
            self._states.remove_pending_request(self._look)
            self._look = None

    def _end_request(self) -> None:
        if self._request is not None:
            self._changes.remove_pending_request(self._request)
            self._request = None
        self.doing = ""
