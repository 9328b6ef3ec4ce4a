"""Worlds like BARN's, for whoever does not have the data.

As the data set was made (Perille et al., Benchmarking Metric Ground Navigation, 2020): cells are
filled at random, a cellular automaton smooths them, and what has no way through for the robot is
thrown away. The field is 30 × 30 cells of 0.15 m between two walls, with a run-up below it, where
the data set has it; a filled cell is a cylinder. Fill and smoothing are drawn per world from the
ranges that the paper names; which of its worlds they give is not reproduced.
"""

from __future__ import annotations

import heapq
from math import ceil, hypot

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve
from scipy.spatial import cKDTree

from edge_robot.errors import UserError
from edge_robot.sim.flat.world import World

CELL = 0.15
FREE_RADIUS = 0.37
"""Room around every generated way, m: the narrowest of the 250 worlds of BARN that were at hand."""

_COLUMNS, _ROWS, _RUN_UP = 30, 30, 34  # cells: field, and the walled rows below it
_LEFT = -4.425
_FILLS = (0.15, 0.20, 0.25, 0.30)
_SMOOTHINGS = (2, 3, 4)
_FILL_FROM, _CLEAR_TO = 5, 1  # filled neighbours of eight
_START = (-2.25, 3.0, 1.57)
_GOAL = (-2.25, 13.0)


def generate(number: int, seed: int = 0) -> World:
    """Return world `number` of the set `seed`; there is a way through for the robot."""
    random = np.random.default_rng((seed, number))
    walls = _walls()
    while True:
        field = random.random((_ROWS, _COLUMNS)) < random.choice(_FILLS)
        for _ in range(int(random.choice(_SMOOTHINGS))):
            around = convolve(field.astype(np.int8), _NEIGHBOURS, mode="constant")
            field = (around >= _FILL_FROM) | (field & (around > _CLEAR_TO))
        row, column = np.nonzero(field)
        places = np.column_stack((_LEFT + CELL * column, CELL * (row + _RUN_UP) - CELL / 2))
        cylinders = np.vstack((walls, np.column_stack((places, np.full(len(places), CELL / 2)))))
        try:
            path = way_through(cylinders, _START[:2], _GOAL)
        except UserError:
            continue
        return World(number, cylinders, _START, _GOAL, path)


_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.int8)


def _walls() -> NDArray[np.float64]:
    """Return the walls left and right of run-up and field, and the one behind the start."""
    y = CELL * np.arange(_RUN_UP + _ROWS) + CELL / 2
    x = _LEFT + CELL * np.arange(_COLUMNS)
    sides = [np.column_stack((np.full(len(y), side), y)) for side in (x[0], x[-1])]
    places = np.vstack((*sides, np.column_stack((x[1:-1], np.full(len(x) - 2, y[0])))))
    return np.column_stack((places, np.full(len(places), CELL / 2)))


def way_through(
    cylinders: NDArray[np.float64], start: tuple[float, float], goal: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the shortest way between cylinders on a grid of `CELL`, 8-connected (A*).

    Args:
        cylinders: x, y, radius, (n, 3), m.
        start: x, y, m.
        goal: x, y, m.

    Returns:
        Points at least `FREE_RADIUS` from every cylinder, without start and goal, (m, 2), m.

    Raises:
        UserError: If there is none.
    """
    low = np.minimum(np.minimum(start, goal), cylinders[:, :2].min(0)) - 1.0
    # Cells of the cylinders' own grid, where they stand on one: no gap is lost between two cells.
    low = cylinders[0, :2] + np.floor((low - cylinders[0, :2]) / CELL) * CELL
    high = np.maximum(np.maximum(start, goal), cylinders[:, :2].max(0)) + 1.0
    columns, rows = (ceil(side) for side in ((high - low) / CELL).tolist())
    if columns * rows > 1_000_000:
        raise UserError(f"a world of {columns * CELL:.0f} m × {rows * CELL:.0f} m is too large")
    centres = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * CELL + low
    away, _ = cKDTree(cylinders[:, :2]).query(centres.reshape(-1, 2))
    free = (away - cylinders[:, 2].max() >= FREE_RADIUS).reshape(rows, columns)
    cells = [tuple(np.rint((np.array(place) - low) / CELL).astype(int)) for place in (start, goal)]
    (first_x, first_y), (last_x, last_y) = cells
    way = _search(free, (int(first_y), int(first_x)), (int(last_y), int(last_x)))
    if way is None:
        raise UserError("there is no way through these cylinders for the robot")
    return np.array([(column, row) for row, column in way[1:-1]]).reshape(-1, 2) * CELL + low


def _search(
    free: NDArray[np.bool_], start: tuple[int, int], goal: tuple[int, int]
) -> list[tuple[int, int]] | None:
    open_ = free.tolist()
    rows, columns = free.shape
    cost = {start: 0.0}
    before: dict[tuple[int, int], tuple[int, int]] = {}
    queue = [(0.0, start)]
    done = set()
    while queue:
        _, cell = heapq.heappop(queue)
        if cell == goal:
            way = [cell]
            while cell in before:
                cell = before[cell]
                way.append(cell)
            return way[::-1]
        if cell in done:
            continue
        done.add(cell)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                row, column = cell[0] + down, cell[1] + right
                if not (0 <= row < rows and 0 <= column < columns and open_[row][column]):
                    continue
                reached = cost[cell] + hypot(down, right)
                if reached < cost.get((row, column), np.inf):
                    cost[row, column] = reached
                    before[row, column] = cell
                    ahead = hypot(row - goal[0], column - goal[1])
                    heapq.heappush(queue, (reached + ahead, (row, column)))
    return None
