"""The way to the goal over everything seen so far, in any direction and smooth.

The cost to go is found on the map's own cells or on coarser ones (`eikonal`), in short slices
between runs of the local planner. The path follows it downhill from the robot, is pulled straight
where a straight line costs no more, and has its corners rounded where there is room.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import isfinite, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.compiled import compiled
from edge_robot.planning.costmap import Grid, distance_to, pooled
from edge_robot.planning.eikonal import at_once, cost_to_go
from edge_robot.settings import Settings, setting

_LETHAL = 1000.0
_ESCAPE = 30.0
_ESCAPE_RADIUS = 0.4  # m; how far a robot that stands too near an obstacle may look for a way out
_BODY_RADIUS = 0.15  # m; an obstacle this near is a mistake: the robot is there
_FAR = 3.0  # m; clearance beyond which more makes no difference
_BAND = 256  # rows of distances worked out between two pauses
_CELLS_AT_ONCE = 100  # of a path, the same
_AROUND = 20.0  # m; how far around the robot the cost to go is kept
_ROUNDING = 0.4  # m; how far from a corner its rounding may begin
_COARSEST, _FINEST = 1.0, 0.005  # m


class NoPath(Exception):
    """The goal cannot be reached; the message says why."""


class GoalOutsideMap(NoPath):
    """The goal lies where the map is not, and cannot be."""


class GoalOccupied(NoPath):
    """The goal lies in an obstacle, or too near one."""


@dataclass(frozen=True)
class GlobalPlannerConfig(Settings):
    """How paths weigh length, clearance and ignorance. Costs are per metre, on top of 1."""

    search_resolution: float = setting(
        0.1, "cell of the search, m; a multiple of the costmap's", ge=_FINEST, le=_COARSEST
    )
    path_clearance: float = setting(
        0.21, "distance from obstacles no path goes below, m", ge=0.0, le=_FAR, live=True
    )
    path_comfort: float = setting(4.0, "cost at that distance", ge=0.0, le=100.0, live=True)
    path_comfort_decay: float = setting(
        0.3, "distance over which it falls to 1/e, m", ge=0.01, le=10.0, live=True
    )
    path_unknown: float = setting(0.4, "cost of what was never seen", ge=0.0, le=100.0, live=True)
    path_beyond: float = setting(
        4.0, "how far beyond all that was seen a path may lead, m", ge=0.0, le=100.0, live=True
    )


@dataclass(frozen=True)
class Plan:
    """A path and the cost to go around the robot.

    Attributes:
        path: Points from the robot to the goal, evenly spaced, (n, 2), m.
        cost_to_go: To the goal from every cell within 20 m of the robot, float32, m of easy going.
            In and behind obstacles, and where only great detours lead, it is no more than high.
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
    return at_once(search(costmap, start, goal, config))


def search(
    costmap: Grid,
    start: tuple[float, float],
    goal: tuple[float, float],
    config: GlobalPlannerConfig,
) -> Generator[None, None, Plan]:
    """Find the way from `start` to `goal`, pausing after every few milliseconds of work.

    Where `search_resolution` shows no way, the costmap's own resolution may still: a coarse cell is
    occupied if any of its cells is, which closes the narrowest gaps.

    Args:
        costmap: Evidence as `Costmap.grid` gives it.
        start: x, y, m.
        goal: x, y, m.
        config: Weights.

    Raises:
        GoalOutsideMap: the goal lies outside the map.
        GoalOccupied: it lies in an obstacle.
        NoPath: the robot lies outside the map, or every way is blocked.
    """
    # A place that is not a number is outside, too.
    if not costmap.contains(*goal):
        raise GoalOutsideMap(f"the goal ({goal[0]:.2f}, {goal[1]:.2f}) is outside the map")
    if not costmap.contains(*start):
        raise NoPath(f"the robot ({start[0]:.2f}, {start[1]:.2f}) is outside the map")
    factor = max(1, round(config.search_resolution / costmap.resolution))
    while True:
        try:
            return (yield from _search(costmap, factor, start, goal, config))
        except NoPath:
            if factor == 1:
                raise
            factor = 1


def _search(
    costmap: Grid,
    factor: int,
    start: tuple[float, float],
    goal: tuple[float, float],
    config: GlobalPlannerConfig,
) -> Generator[None, None, Plan]:
    """Find the way on cells `factor` times as long as the map's."""
    cost = yield from traversal_cost(costmap, factor, start, goal, config)
    first, last = cost.cell(*start), cost.cell(*goal)
    place = f"({goal[0]:.2f}, {goal[1]:.2f})"
    if not isfinite(cost.values[last]):
        raise GoalOccupied(f"the goal {place} is inside or too near an obstacle")
    margin = _AROUND / cost.resolution
    values = yield from cost_to_go(cost.values, last, first, margin)
    if not isfinite(values[first]):
        raise NoPath(f"every way to the goal {place} is blocked")
    cells = yield from _straightened(cost.values, (yield from _descent(values, first)))
    points = np.array(cost.origin) + (cells[:, ::-1] + 0.5) * cost.resolution
    points = np.vstack((start, points[1:-1], goal))
    path = _rounded(_resample(points, cost.resolution), cost)
    yield
    return Plan(path, _guiding(values, cost, start))


def traversal_cost(
    costmap: Grid,
    factor: int,
    start: tuple[float, float],
    goal: tuple[float, float],
    config: GlobalPlannerConfig,
) -> Generator[None, None, Grid]:
    """Return the cost of a metre in every cell of the part of the map that matters.

    Infinite nearer to obstacles than `path_clearance`.
    """
    side = factor * costmap.resolution
    known = costmap.values != 0
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    ends = np.array((start, goal))
    low, high = ends.min(0), ends.max(0)
    origin = np.array(costmap.origin)
    if len(rows):
        low = np.minimum(low, origin + np.array((columns[0], rows[0])) * costmap.resolution)
        high = np.maximum(high, origin + np.array((columns[-1], rows[-1])) * costmap.resolution)
    yield
    whole = np.array(costmap.values.shape[::-1])
    begin = np.floor((low - config.path_beyond - origin) / side).astype(int) * factor
    end = np.ceil((high + config.path_beyond - origin) / side).astype(int) * factor
    begin, end = np.maximum(begin, 0), np.minimum(end, whole)
    strongest, weakest = pooled(costmap.values[begin[1] : end[1], begin[0] : end[0]], factor)
    yield
    occupied = strongest > 0
    cost = np.empty(occupied.shape, np.float32)
    lethal = np.empty(occupied.shape, bool)
    halo = int(_FAR / side) + 1
    for row in range(0, len(cost), _BAND):
        above = max(0, row - halo)
        band = distance_to(occupied[above : row + _BAND + halo], side, _FAR)
        distance = band[row - above : row - above + _BAND]
        rows_ = np.s_[row : row + _BAND]
        np.less(distance, config.path_clearance, out=lethal[rows_])
        distance -= np.float32(config.path_clearance)
        distance *= np.float32(-1 / config.path_comfort_decay)
        np.exp(distance, out=cost[rows_])
        yield
    cost *= np.float32(config.path_comfort)
    cost += np.float32(1.0)
    cost[(strongest | weakest) == 0] += np.float32(config.path_unknown)
    cost[lethal] = np.inf
    corner = origin + begin * costmap.resolution
    grid = Grid(cost, (float(corner[0]), float(corner[1])), side)
    _let_out(grid, occupied, start)
    yield
    return grid


def _let_out(cost: Grid, occupied: NDArray[np.bool_], start: tuple[float, float]) -> None:
    """Let a robot that stands too near an obstacle leave, but not through one."""
    row, column = cost.cell(*start)
    reach = int(np.ceil(_ESCAPE_RADIUS / cost.resolution))
    rows, columns = cost.values.shape
    i, j = np.mgrid[
        max(row - reach, 0) : min(row + reach + 1, rows),
        max(column - reach, 0) : min(column + reach + 1, columns),
    ]
    away = np.hypot(i - row, j - column) * cost.resolution
    out = (away <= _ESCAPE_RADIUS) & (~occupied[i, j] | (away <= _BODY_RADIUS))
    cost.values[i, j] = np.where(
        out & ~np.isfinite(cost.values[i, j]), np.float32(_ESCAPE), cost.values[i, j]
    )


def _descent(
    value: NDArray[np.float32], start: tuple[int, int]
) -> Generator[None, None, NDArray[np.int64]]:
    """Return the cells of the steepest way down from a cell to where the value is zero, (n, 2)."""
    parts = [np.array([start], np.int64)]
    while value[tuple(parts[-1][-1])] > 0.0:
        parts.append(_descend(value, parts[-1][-1], _CELLS_AT_ONCE))
        yield
    return np.concatenate(parts)


@compiled("i8[:,::1](f4[:,:], i8[:], i8)")
def _descend(value: NDArray[np.float32], start: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the next cells, `most` of them at the most, of the steepest way down from one.

    Never between two cells that touch at a corner and have no way.
    """
    rows, columns = value.shape
    row, column = start
    cells = np.empty((most, 2), np.int64)
    for count in range(most):
        here = value[row, column]
        if here == 0.0:
            return cells[:count].copy()
        steepest, down, across = 0.0, 0, 0
        for i in range(-1, 2):
            for j in range(-1, 2):
                a, b = row + i, column + j
                if not (0 <= a < rows and 0 <= b < columns):
                    continue
                slope = float(here - value[a, b])
                if i != 0 and j != 0:
                    if value[a, column] == np.inf or value[row, b] == np.inf:
                        continue
                    slope *= 0.7071067811865476
                if slope > steepest:
                    steepest, down, across = slope, i, j
        row, column = row + down, column + across
        cells[count, 0], cells[count, 1] = row, column
    return cells


@compiled("f8(f4[:,::1], i8, i8, i8, i8)")
def line_cost(
    cost: NDArray[np.float32], row: int, column: int, to_row: int, to_column: int
) -> float:
    """Return the cost of the straight line between the centres of two cells, cell sides.

    Args:
        cost: Of a cell side's way in each cell, (rows, columns); infinite: no way.
        row: Of the first cell.
        column: The same.
        to_row: Of the second.
        to_column: The same.
    """
    down, across = to_row - row, to_column - column
    length = sqrt(float(down * down + across * across))
    count = int(2 * length) + 1
    total = 0.0
    for k in range(count):
        share = (k + 0.5) / count
        metre = cost[int(row + 0.5 + share * down), int(column + 0.5 + share * across)]
        if metre == np.inf:
            return np.inf
        total += metre
    return total * length / count


def _straightened(
    cost: NDArray[np.float32], cells: NDArray[np.int64]
) -> Generator[None, None, NDArray[np.int64]]:
    """Pull a path straight wherever the straight line costs no more; return its corners, (m, 2)."""
    metre = cost[cells[:, 0], cells[:, 1]]
    steps = 0.5 * (metre[1:] + metre[:-1]) * np.hypot(*np.diff(cells, axis=0).T)
    spent = np.concatenate(([0.0], np.cumsum(steps, dtype=np.float64)))
    corners = [0]
    while corners[-1] < len(cells) - 1:
        corners.append(_farthest(cost, cells, spent, corners[-1]))
        yield
    return cells[corners]


@compiled("i8(f4[:,::1], i8[:,::1], f8[::1], i8)")
def _farthest(
    cost: NDArray[np.float32], cells: NDArray[np.int64], spent: NDArray[np.float64], anchor: int
) -> int:
    """Return the number of the last cell to which the straight line from `anchor` costs no more."""
    reach, stride = anchor + 1, 1
    while stride > 0:
        ahead = min(reach + stride, len(cells) - 1)
        if ahead > reach and line_cost(
            cost, cells[anchor, 0], cells[anchor, 1], cells[ahead, 0], cells[ahead, 1]
        ) <= 1.02 * (spent[ahead] - spent[anchor]):
            reach, stride = ahead, stride * 2
        else:
            stride //= 2
    return reach


def _resample(corners: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Return points every `spacing` metres along a polyline, its ends included."""
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))))
    count = max(2, int(np.ceil(along[-1] / spacing)) + 1)
    at = np.linspace(0, along[-1], count)
    return np.stack((np.interp(at, along, corners[:, 0]), np.interp(at, along, corners[:, 1])), 1)


def _rounded(path: NDArray[np.float64], cost: Grid) -> NDArray[np.float64]:
    """Return a path with its corners rounded, but for where that would lead too near obstacles."""
    reach = round(_ROUNDING / 2 / cost.resolution)
    if len(path) <= 4 * reach:
        return path
    box = np.ones(2 * reach + 1) / (2 * reach + 1)

    def averaged(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the moving average; an odd continuation at the ends keeps them in place."""
        before = 2 * values[0] - values[reach:0:-1]
        after = 2 * values[-1] - values[-2 : -reach - 2 : -1]
        return np.convolve(np.concatenate((before, values, after)), box, mode="valid")

    smooth = np.stack([averaged(averaged(column)) for column in path.T], 1)
    # Where it leads too near, and some way on either side, the corners stay.
    bad = ~np.isfinite(cost.at(smooth[:, 0], smooth[:, 1]))
    kept = np.convolve(bad, np.ones(4 * reach + 1), mode="same") > 0
    share = np.clip(averaged(kept.astype(np.float64)), 0, 1)[:, None]
    blend = share * path + (1 - share) * smooth
    clear = np.isfinite(cost.at(blend[:, 0], blend[:, 1])).all()
    return _resample(blend, cost.resolution) if clear else path


def _guiding(values: NDArray[np.float32], cost: Grid, start: tuple[float, float]) -> Grid:
    """Return the cost to go around the robot, m, with values in obstacles as well."""
    row, column = cost.cell(*start)
    reach = int(_AROUND / cost.resolution)
    top, left = max(0, row - reach), max(0, column - reach)
    around = values[top : row + reach + 1, left : column + reach + 1] * np.float32(cost.resolution)
    highest = around[np.isfinite(around)].max() + np.float32(_LETHAL)
    deeper = np.float32(_LETHAL * cost.resolution)
    for _ in range(round(_FAR / 6 / cost.resolution)):
        unknown = ~np.isfinite(around)
        around = np.where(unknown, cv2.erode(around, np.ones((3, 3))) + deeper, around)
    np.minimum(around, highest, out=around)
    corner = (cost.origin[0] + left * cost.resolution, cost.origin[1] + top * cost.resolution)
    return Grid(around, corner, cost.resolution)
