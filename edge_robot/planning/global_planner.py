"""The way to the goal over everything seen so far.

The cost to go from every cell is found by fast sweeping: each sweep relaxes whole rows at a time,
within a row by a prefix minimum, so the search runs at NumPy speed and can be cut into short
slices between runs of the local planner. The path follows the cost downhill from the robot and
is then pulled straight where a straight line costs no more.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.costmap import Grid, distance_to
from edge_robot.settings import setting

_LETHAL = 1000.0
_ESCAPE = 30.0


class NoPath(Exception):
    """The goal cannot be reached; the message says why."""


class GoalOutsideMap(NoPath):
    """The goal lies where the map is not, and cannot be."""


class GoalOccupied(NoPath):
    """The goal lies in an obstacle, or too near one."""


@dataclass(frozen=True)
class GlobalPlannerConfig:
    """How paths weigh length, clearance and ignorance. Costs are per metre, on top of 1."""

    search_resolution: float = setting(0.1, "cell of the search, m; a multiple of the costmap's")
    path_clearance: float = setting(0.21, "distance from obstacles no path goes below, m")
    path_comfort: float = setting(4.0, "cost at that distance")
    path_comfort_decay: float = setting(0.3, "distance over which it falls to 1/e, m")
    path_unknown: float = setting(0.4, "cost of what was never seen")
    path_beyond: float = setting(4.0, "how far beyond all that was seen a path may lead, m")


@dataclass(frozen=True)
class Plan:
    """A path and the cost to go around it.

    Attributes:
        path: Points from the robot to the goal, evenly spaced, (n, 2), m.
        cost_to_go: From every cell to the goal, float32, m of easy going.
    """

    path: NDArray[np.float64]
    cost_to_go: Grid


def plan(
    costmap: Grid,
    start: tuple[float, float],
    goal: tuple[float, float],
    config: GlobalPlannerConfig,
) -> Plan:
    """Find the way at once; see `search`."""
    steps = search(costmap, start, goal, config)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def search(
    costmap: Grid,
    start: tuple[float, float],
    goal: tuple[float, float],
    config: GlobalPlannerConfig,
) -> Generator[None, None, Plan]:
    """Find the way from `start` to `goal`, pausing after every few milliseconds of work.

    Args:
        costmap: Evidence as `Costmap.grid` gives it.
        start: x, y, m.
        goal: x, y, m.
        config: Weights.

    Raises:
        GoalOutsideMap: the goal lies outside the map.
        GoalOccupied: it lies in an obstacle.
        NoPath: every way to it is blocked.
    """
    if not costmap.contains(*goal):
        raise GoalOutsideMap(f"the goal ({goal[0]:.2f}, {goal[1]:.2f}) is outside the map")
    cost = _traversal_cost(costmap, start, goal, config)
    yield
    row, column = cost.cells(np.array(goal[0]), np.array(goal[1]))
    if cost.values[row, column] >= _LETHAL:
        raise GoalOccupied(
            f"the goal ({goal[0]:.2f}, {goal[1]:.2f}) is inside or too near an obstacle"
        )
    # Rows are swept in a Python loop: let them run along the longer side.
    tall = cost.values.shape[0] > cost.values.shape[1]
    seed = (int(column), int(row)) if tall else (int(row), int(column))
    values = yield from _sweep(cost.values.T if tall else cost.values, seed)
    values = np.ascontiguousarray(values.T if tall else values) * config.search_resolution
    cost_to_go = Grid(values.astype(np.float32), cost.origin, cost.resolution)
    cells = _descend(cost_to_go, cost, start, (int(row), int(column)))
    yield
    if np.any(cost.values[cells[:, 0], cells[:, 1]] >= _LETHAL):
        raise NoPath(f"every way to the goal ({goal[0]:.2f}, {goal[1]:.2f}) is blocked")
    points = np.array(cost.origin) + (cells[:, ::-1] + 0.5) * cost.resolution
    points = np.vstack((start, points[1:-1], goal))
    return Plan(_straighten(points, cost), cost_to_go)


def _traversal_cost(
    costmap: Grid,
    start: tuple[float, float],
    goal: tuple[float, float],
    config: GlobalPlannerConfig,
) -> Grid:
    """Return the cost of a metre in every coarse cell of the part of the map that matters."""
    factor = max(1, round(config.search_resolution / costmap.resolution))
    known = costmap.values != 0
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    ends = np.array((start, goal))
    low, high = ends.min(0), ends.max(0)
    origin = np.array(costmap.origin)
    if len(rows):
        low = np.minimum(low, origin + np.array((columns[0], rows[0])) * costmap.resolution)
        high = np.maximum(high, origin + np.array((columns[-1], rows[-1])) * costmap.resolution)
    side = config.search_resolution
    limit = np.array(costmap.values.shape[::-1]) // factor
    first = np.clip(np.floor((low - config.path_beyond - origin) / side), 0, limit - 1).astype(int)
    last = np.clip(np.ceil((high + config.path_beyond - origin) / side), first + 1, limit).astype(
        int
    )
    fine = costmap.values[
        first[1] * factor : last[1] * factor, first[0] * factor : last[0] * factor
    ]
    blocks = fine.reshape(fine.shape[0] // factor, factor, fine.shape[1] // factor, factor)
    strongest = blocks.max((1, 3))
    occupied = strongest > 0
    distance = distance_to(occupied, side, 3.0)
    cost = 1.0 + config.path_comfort * np.exp(
        -(distance - config.path_clearance) / config.path_comfort_decay
    )
    cost[(strongest == 0) & (blocks.min((1, 3)) == 0)] += config.path_unknown
    lethal = distance < config.path_clearance
    cost[lethal] = _LETHAL
    corner = origin + first * side
    grid = Grid(cost, (float(corner[0]), float(corner[1])), side)
    # A robot that stands too near an obstacle may still leave.
    row, column = grid.cells(np.array(start[0]), np.array(start[1]))
    around = np.zeros(cost.shape, np.uint8)
    cv2.circle(around, (int(column), int(row)), int(np.ceil(0.4 / side)), 1, -1)
    cost[(around > 0) & lethal] = _ESCAPE
    return grid


def _sweep(cost: NDArray[np.floating], seed: tuple[int, int]) -> Generator[None, None, NDArray]:
    """Return the cost to go to `seed` from every cell over eight neighbours, in cell sides."""
    cost = cost.astype(np.float64)
    rows = len(cost)
    straight = 0.5 * (cost[1:] + cost[:-1])
    rising = np.sqrt(0.5) * (cost[1:, 1:] + cost[:-1, :-1])
    falling = np.sqrt(0.5) * (cost[1:, :-1] + cost[:-1, 1:])
    along = np.zeros_like(cost)
    np.cumsum(0.5 * (cost[:, 1:] + cost[:, :-1]), axis=1, out=along[:, 1:])
    value = np.full(cost.shape, 1e9)
    value[seed] = 0.0

    def relax(row: int, other: int, edge: int) -> None:
        here, there = value[row], value[other]
        np.minimum(here, there + straight[edge], out=here)
        forward, back = (rising, falling) if row > other else (falling, rising)
        np.minimum(here[1:], there[:-1] + forward[edge], out=here[1:])
        np.minimum(here[:-1], there[1:] + back[edge], out=here[:-1])
        spread(row)

    def spread(row: int) -> None:
        here, sums = value[row], along[row]
        np.minimum(here, np.minimum.accumulate(here - sums) + sums, out=here)
        np.minimum(here, np.minimum.accumulate((here + sums)[::-1])[::-1] - sums, out=here)

    spread(seed[0])
    while True:
        before = value.copy()
        for row in range(1, rows):
            relax(row, row - 1, row - 1)
            if row % 64 == 0:
                yield
        for row in range(rows - 2, -1, -1):
            relax(row, row + 1, row)
            if row % 64 == 0:
                yield
        if np.all(before - value < 1e-6):
            return value


def _descend(
    cost_to_go: Grid, cost: Grid, start: tuple[float, float], goal: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the cells of the cheapest way from `start` to `goal`, (n, 2) row and column."""
    value = np.pad(cost_to_go.values, 1, constant_values=np.inf)
    metre = np.pad(cost.values, 1, constant_values=np.inf)
    row, column = (int(i) + 1 for i in cost_to_go.cells(np.array(start[0]), np.array(start[1])))
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    cells = [(row - 1, column - 1)]

    def through(cell: tuple[int, int]) -> float:
        length = hypot(cell[0] - row, cell[1] - column) * cost.resolution
        return float(value[cell] + 0.5 * length * (metre[row, column] + metre[cell]))

    while cells[-1] != goal:
        row, column = min(((row + i, column + j) for i, j in steps), key=through)
        cells.append((row - 1, column - 1))
    return np.array(cells)


def _straighten(points: NDArray[np.float64], cost: Grid) -> NDArray[np.float64]:
    """Pull a path straight wherever the straight line costs no more, and space it evenly."""

    def line_cost(a: NDArray, b: NDArray) -> float:
        count = max(2, int(np.hypot(*(b - a)) / (0.5 * cost.resolution)) + 1)
        line = a + np.linspace(0, 1, count)[:, None] * (b - a)
        return float(cost.at(line[:, 0], line[:, 1]).mean() * np.hypot(*(b - a)))

    lengths = np.hypot(*np.diff(points, axis=0).T)
    here = cost.at(points[:, 0], points[:, 1])
    spent = np.concatenate(([0.0], np.cumsum(0.5 * (here[1:] + here[:-1]) * lengths)))
    corners, anchor = [0], 0
    while anchor < len(points) - 1:
        reach, stride = anchor + 1, 1
        while stride:
            ahead = min(reach + stride, len(points) - 1)
            direct = line_cost(points[anchor], points[ahead])
            if ahead > reach and direct <= 1.02 * (spent[ahead] - spent[anchor]):
                reach, stride = ahead, stride * 2
            else:
                stride //= 2
        corners.append(reach)
        anchor = reach
    return _resample(points[corners], cost.resolution)


def _resample(corners: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Return points every `spacing` metres along a polyline, its ends included."""
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))))
    count = max(2, int(np.ceil(along[-1] / spacing)) + 1)
    at = np.linspace(0, along[-1], count)
    return np.stack((np.interp(at, along, corners[:, 0]), np.interp(at, along, corners[:, 1])), 1)
