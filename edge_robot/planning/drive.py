"""One errand of the navigator: goals to be visited in their order, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import hypot

import numpy as np

from edge_robot.planning.global_planner import GoalOccupied, GoalOutsideMap, NoPath
from edge_robot.planning.navigator import Navigator
from edge_robot.planning.robot import State
from edge_robot.settings import Settings, setting


class Failure(IntEnum):
    """Why a drive failed: numbers of nav2's planners and controllers, and from 10000 on our own."""

    NONE = 0
    NO_ODOMETRY = 102
    NO_PROGRESS = 105
    UNKNOWN_FRAME = 202
    GOAL_OUTSIDE_MAP = 204
    GOAL_OCCUPIED = 206
    NO_PATH = 208
    NO_VALID_WAYPOINTS = 602
    CANCELLED = 10000
    SUPERSEDED = 10001
    EMERGENCY_STOP = 10002
    INVALID_GOAL = 10003


@dataclass(frozen=True)
class Goal:
    """Where to be, in the planning frame: m, rad; a yaw of None leaves the heading open."""

    x: float
    y: float
    yaw: float | None = None


@dataclass(frozen=True)
class End:
    """How a drive, or the way to one of its goals, ended."""

    failure: Failure
    text: str


@dataclass(frozen=True)
class DriveConfig(Settings):
    """When a drive gives up."""

    patience: float = setting(
        3.0,
        "time without any way to an action's goal until it fails, s",
        ge=0.0,
        le=600.0,
        live=True,
    )
    max_recoveries: int = setting(
        6, "recoveries on the way to an action's goal until it fails", ge=0, le=100, live=True
    )
    pass_radius: float = setting(
        0.7, "distance at which a pose to drive through is passed, m", ge=0.05, le=10.0, live=True
    )


class Drive:
    """Takes a navigator from goal to goal. Times are the navigator's; one that jumps back is none.

    Args:
        goals: To visit, at least one.
        config: When to give up.
        through: Goals but the last are driven through within `pass_radius`, at any heading.
        leave_out: A goal that cannot be reached is noted and left out; else it ends the drive.
        first: Index of the goal to begin with.
        loops: How often all goals are visited again after that.
    """

    def __init__(
        self,
        goals: Sequence[Goal],
        config: DriveConfig,
        *,
        through: bool = False,
        leave_out: bool = False,
        first: int = 0,
        loops: int = 0,
    ) -> None:
        self.index = first
        self.seconds = 0.0
        self.missed: list[tuple[int, End]] = []
        self._goals = goals
        self._config = config
        self._through = through
        self._leave_out = leave_out
        self._loops = loops
        self._reached = 0
        self._recoveries = 0
        self._time = 0.0
        self._trouble_since: float | None = None

    def recoveries(self, navigator: Navigator) -> int:
        """Return the number of recoveries so far."""
        return self._recoveries + navigator.recoveries

    def distance(self, navigator: Navigator, state: State) -> float:
        """Return the length of the way that is left, m; straight where no path is known."""
        ends = [(goal.x, goal.y) for goal in self._goals[self.index :]]
        way = np.array([(state.x, state.y), *(ends if self._through else ends[:1])])
        if navigator.path is not None:
            path = navigator.path.path
            nearest = int(np.argmin(np.hypot(path[:, 0] - state.x, path[:, 1] - state.y)))
            way = np.vstack((way[:1], path[nearest + 1 :], way[1:]))
        return float(np.hypot(*np.diff(way, axis=0).T).sum())

    def begin(self, now: float, navigator: Navigator) -> None:
        """Set the navigator's first goal."""
        self._time = now
        self._set_goal(navigator)

    def step(self, now: float, navigator: Navigator, state: State | None) -> End | None:
        """See what came of the navigator's goal; return how the drive ended, if it did.

        Args:
            now: s.
            navigator: Driving for this drive alone.
            state: Where the robot is; None if that is not known.
        """
        self.seconds += max(0.0, now - self._time)
        self._time = now
        if navigator.arrived or self._passes(state):
            self._reached += 1
            return self._go_on(navigator)
        trouble = self._trouble(navigator, state)
        if trouble is None:
            return None
        if not self._leave_out:
            return trouble
        self.missed.append((self.index, trouble))
        return self._go_on(navigator)

    def _set_goal(self, navigator: Navigator) -> None:
        goal = self._goals[self.index]
        yaw = None if self._through and self.index < len(self._goals) - 1 else goal.yaw
        self._trouble_since = None
        navigator.set_goal(goal.x, goal.y, self._time, yaw)

    def _passes(self, state: State | None) -> bool:
        if not self._through or state is None or self.index == len(self._goals) - 1:
            return False
        goal = self._goals[self.index]
        return hypot(goal.x - state.x, goal.y - state.y) < self._config.pass_radius

    def _go_on(self, navigator: Navigator) -> End | None:
        """Turn to the next goal; return the end of the drive if there is none."""
        self.index += 1
        if self.index == len(self._goals) and self._loops:
            self.index, self._loops = 0, self._loops - 1
        if self.index < len(self._goals):
            self._recoveries += navigator.recoveries
            self._set_goal(navigator)
            return None
        if not self._reached:
            return End(Failure.NO_VALID_WAYPOINTS, f"none was reached: {self.missed[-1][1].text}")
        if self.missed:
            tries = self._reached + len(self.missed)
            return End(Failure.NONE, f"{self._reached} of {tries} waypoints reached")
        return End(Failure.NONE, "goal reached")

    def _trouble(self, navigator: Navigator, state: State | None) -> End | None:
        """Return why to give the goal up, once that has lasted."""
        if navigator.recoveries > self._config.max_recoveries:
            text = f"no progress after {self._config.max_recoveries} recoveries"
            return End(Failure.NO_PROGRESS, text)
        refusal = navigator.failure
        if state is not None and refusal is None:
            self._trouble_since = None
            return None
        if self._trouble_since is None:
            self._trouble_since = self.seconds
        given_up = navigator.goal is None
        if not given_up and self.seconds - self._trouble_since < self._config.patience:
            return None
        if refusal is None:
            return End(Failure.NO_ODOMETRY, "there is no odometry")
        return End(_kind(refusal), str(refusal))


def _kind(refusal: NoPath) -> Failure:
    if isinstance(refusal, GoalOutsideMap):
        return Failure.GOAL_OUTSIDE_MAP
    return Failure.GOAL_OCCUPIED if isinstance(refusal, GoalOccupied) else Failure.NO_PATH
