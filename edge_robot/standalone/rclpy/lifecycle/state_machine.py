"""The states of a managed node and the ways between them, as rcl_lifecycle has them."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from edge_robot.standalone.rclpy.exceptions import RCLError


class LifecycleState(NamedTuple):
    """A state: its name and its number."""

    label: str
    state_id: int


class Transition(NamedTuple):
    """A way from one state to another."""

    id: int
    label: str
    start: LifecycleState
    goal: LifecycleState


class TransitionCallbackReturn(IntEnum):
    """How a transition went."""

    SUCCESS = 97
    FAILURE = 98
    ERROR = 99

    def to_label(self) -> str:
        """Return the name of the transition that follows."""
        return f"transition_{self.name.lower()}"


UNKNOWN = LifecycleState("unknown", 0)
UNCONFIGURED = LifecycleState("unconfigured", 1)
INACTIVE = LifecycleState("inactive", 2)
ACTIVE = LifecycleState("active", 3)
FINALIZED = LifecycleState("finalized", 4)
CONFIGURING = LifecycleState("configuring", 10)
CLEANINGUP = LifecycleState("cleaningup", 11)
SHUTTINGDOWN = LifecycleState("shuttingdown", 12)
ACTIVATING = LifecycleState("activating", 13)
DEACTIVATING = LifecycleState("deactivating", 14)
ERRORPROCESSING = LifecycleState("errorprocessing", 15)

STATES = (
    UNKNOWN,
    UNCONFIGURED,
    INACTIVE,
    ACTIVE,
    FINALIZED,
    CONFIGURING,
    CLEANINGUP,
    SHUTTINGDOWN,
    ACTIVATING,
    DEACTIVATING,
    ERRORPROCESSING,
)


def _outcomes(
    first_id: int,
    state: LifecycleState,
    success: LifecycleState,
    failure: LifecycleState,
    error: LifecycleState = ERRORPROCESSING,
) -> tuple[Transition, ...]:
    """Return the three ways out of a state in which a callback runs."""
    return (
        Transition(first_id, "transition_success", state, success),
        Transition(first_id + 1, "transition_failure", state, failure),
        Transition(first_id + 2, "transition_error", state, error),
    )


TRANSITIONS = (
    Transition(1, "configure", UNCONFIGURED, CONFIGURING),
    *_outcomes(10, CONFIGURING, INACTIVE, UNCONFIGURED),
    Transition(2, "cleanup", INACTIVE, CLEANINGUP),
    *_outcomes(20, CLEANINGUP, UNCONFIGURED, INACTIVE),
    Transition(3, "activate", INACTIVE, ACTIVATING),
    *_outcomes(30, ACTIVATING, ACTIVE, INACTIVE),
    Transition(4, "deactivate", ACTIVE, DEACTIVATING),
    *_outcomes(40, DEACTIVATING, INACTIVE, ACTIVE),
    Transition(5, "shutdown", UNCONFIGURED, SHUTTINGDOWN),
    Transition(6, "shutdown", INACTIVE, SHUTTINGDOWN),
    Transition(7, "shutdown", ACTIVE, SHUTTINGDOWN),
    *_outcomes(50, SHUTTINGDOWN, FINALIZED, FINALIZED),
    *_outcomes(60, ERRORPROCESSING, UNCONFIGURED, FINALIZED, FINALIZED),
)


class StateMachine:
    """Where a managed node is.

    Args:
        notify: Is told of every transition that was made.
    """

    def __init__(self, notify: Callable[[Transition], object]) -> None:
        self.state = UNCONFIGURED
        self._notify = notify

    @property
    def current_state(self) -> tuple[int, str]:
        """Number and name of the state."""
        return self.state.state_id, self.state.label

    @property
    def available_transitions(self) -> list[Transition]:
        """The ways out of the state."""
        return [transition for transition in TRANSITIONS if transition.start is self.state]

    def get_transition_by_label(self, label: str) -> int:
        """Return the number of a way out of the state.

        Raises:
            RCLError: there is none with this name.
        """
        for transition in self.available_transitions:
            if transition.label == label:
                return transition.id
        raise RCLError(f"no transition {label!r} out of the state {self.state.label!r}")

    def trigger_transition_by_id(self, number: int) -> None:
        """Go a way out of the state.

        Raises:
            RCLError: there is none with this number.
        """
        for transition in self.available_transitions:
            if transition.id == number:
                self.state = transition.goal
                self._notify(transition)
                return
        raise RCLError(f"no transition with id {number} out of the state {self.state.label!r}")

    def trigger_transition_by_label(self, label: str) -> None:
        """Go a way out of the state.

        Raises:
            RCLError: there is none with this name.
        """
        self.trigger_transition_by_id(self.get_transition_by_label(label))
