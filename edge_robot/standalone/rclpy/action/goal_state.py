"""The states of a goal and how it gets from one to the other.

The state machine is that of ROS 2's design article on actions.
"""

from __future__ import annotations

from enum import IntEnum

from edge_robot.standalone.rclpy.exceptions import RCLError


class GoalState(IntEnum):
    """States, with the numbers of `action_msgs/msg/GoalStatus`."""

    UNKNOWN = 0
    ACCEPTED = 1
    EXECUTING = 2
    CANCELING = 3
    SUCCEEDED = 4
    CANCELED = 5
    ABORTED = 6

    @property
    def is_active(self) -> bool:
        """Whether the goal is not done yet."""
        return self in (GoalState.ACCEPTED, GoalState.EXECUTING, GoalState.CANCELING)

    @property
    def is_cancelable(self) -> bool:
        """Whether it can be asked to be cancelled."""
        return (self, GoalEvent.CANCEL_GOAL) in _TRANSITIONS


class GoalEvent(IntEnum):
    """What happens to a goal."""

    EXECUTE = 0
    CANCEL_GOAL = 1
    SUCCEED = 2
    ABORT = 3
    CANCELED = 4


_TRANSITIONS = {
    (GoalState.ACCEPTED, GoalEvent.EXECUTE): GoalState.EXECUTING,
    (GoalState.ACCEPTED, GoalEvent.CANCEL_GOAL): GoalState.CANCELING,
    (GoalState.EXECUTING, GoalEvent.CANCEL_GOAL): GoalState.CANCELING,
    (GoalState.EXECUTING, GoalEvent.SUCCEED): GoalState.SUCCEEDED,
    (GoalState.EXECUTING, GoalEvent.ABORT): GoalState.ABORTED,
    (GoalState.CANCELING, GoalEvent.SUCCEED): GoalState.SUCCEEDED,
    (GoalState.CANCELING, GoalEvent.ABORT): GoalState.ABORTED,
    (GoalState.CANCELING, GoalEvent.CANCELED): GoalState.CANCELED,
}


def after(state: GoalState, event: GoalEvent) -> GoalState:
    """Return the state after an event.

    Raises:
        RCLError: the event cannot happen in this state.
    """
    following = _TRANSITIONS.get((state, event))
    if following is None:
        raise RCLError(
            "Failed to update goal state: goal_handle attempted invalid transition from state "
            f"{state.name} with event {event.name}"
        )
    return following
