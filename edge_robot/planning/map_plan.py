"""A path over a map alone, on the robot or elsewhere: nothing that sensors see now is in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.costmap import Grid, evidence_of
from edge_robot.planning.global_planner import (
    GlobalPlannerConfig,
    GoalOccupied,
    GoalOutsideMap,
    NoPath,
    plan,
)
from edge_robot.planning.static_map import StaticMap

Point = tuple[float, float]


class Outcome(IntEnum):
    """What came of a search, in nav2's numbers."""

    FOUND = 0
    GOAL_OUTSIDE_MAP = 204
    GOAL_OCCUPIED = 206
    NO_PATH = 208


@dataclass(frozen=True)
class Route:
    """What came of a search.

    Attributes:
        path: From start to goal, evenly spaced, (n, 2), m, in the map's frame; n is 0 where there
            is no way.
        outcome: Whether there is one, and why not.
        reason: The same for people; empty where there is one.
    """

    path: NDArray[np.float64]
    outcome: Outcome = Outcome.FOUND
    reason: str = ""


def turned(static: StaticMap) -> NDArray[np.float64]:
    """Return the rotation from a map's rows and columns to its frame, (2, 2)."""
    yaw = static.origin[2]
    return np.array(((np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw))))


def to_cells(static: StaticMap, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points of a map's frame, (n, 2), along its columns and rows, from its corner on, m."""
    along: NDArray[np.float64] = (points - static.origin[:2]) @ turned(static)
    return along


def from_cells(static: StaticMap, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points whose `to_cells` these are."""
    placed: NDArray[np.float64] = points @ turned(static).T + static.origin[:2]
    return placed


def plan_on_map(static: StaticMap, start: Point, goal: Point, config: GlobalPlannerConfig) -> Route:
    """Find the way over a map.

    Args:
        static: The map; below 25 % free, from 65 % on occupied, else unknown.
        start: x, y in the map's frame, m.
        goal: The same.
        config: Weights.
    """
    (x, y), (to_x, to_y) = to_cells(static, np.array((start, goal))).tolist()
    grid = Grid(evidence_of(static, static.resolution), (0.0, 0.0), static.resolution)
    try:
        path = plan(grid, (x, y), (to_x, to_y), config).path
    except GoalOutsideMap as refusal:
        return Route(np.zeros((0, 2)), Outcome.GOAL_OUTSIDE_MAP, str(refusal))
    except GoalOccupied as refusal:
        return Route(np.zeros((0, 2)), Outcome.GOAL_OCCUPIED, str(refusal))
    except NoPath as refusal:
        return Route(np.zeros((0, 2)), Outcome.NO_PATH, str(refusal))
    return Route(from_cells(static, path))
