"""Ground plan of a world: rectangular footprints, clearance, and routes between them."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Cell = tuple[int, int]

_OUTLINE_SPACING = 0.1


@dataclass(frozen=True)
class Pose2:
    """A pose on the floor: metres and radians, in the map frame."""

    x: float
    y: float
    yaw: float


@dataclass(frozen=True)
class Footprint:
    """Outline of a standing object seen from above: an oriented rectangle, map frame.

    Attributes:
        name: Unique name of the object.
        kind: What it is: "wall", "shelf", "box", "pallet" or "forklift".
        x: Centre, m.
        y: Centre, m.
        yaw: Direction of its length, rad.
        length: Extent along `yaw`, m.
        width: Extent across `yaw`, m.
    """

    name: str
    kind: str
    x: float
    y: float
    yaw: float
    length: float
    width: float

    def polygon(self) -> Array:
        """Return the four corners, counter-clockwise, shape (4, 2)."""
        half = 0.5 * np.array([self.length, self.width])
        local = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
        return self._to_map(local)

    @cached_property
    def outline(self) -> Array:
        """Points along the outline no further apart than 0.1 m, shape (n, 2)."""
        corners = self.polygon()
        sides = []
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            count = max(1, math.ceil(float(np.hypot(*(end - start))) / _OUTLINE_SPACING))
            sides.append(start + np.linspace(0, 1, count, endpoint=False)[:, None] * (end - start))
        return np.concatenate(sides)

    @property
    def reach(self) -> float:
        """Distance of the corners from the centre, m."""
        return 0.5 * math.hypot(self.length, self.width)

    def distance(self, points: Array) -> Array:
        """Return the distance of points, shape (..., 2), to the rectangle; negative inside."""
        return _distance(points, *self.rectangle)

    @property
    def rectangle(self) -> tuple[float, float, float, float, float, float]:
        """Centre, cosine and sine of the yaw, half the length and half the width."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return self.x, self.y, cos, sin, 0.5 * self.length, 0.5 * self.width

    def gap(self, other: Footprint) -> float:
        """Return the free space between two footprints, m; negative if they overlap."""
        return float(min(self.distance(other.outline).min(), other.distance(self.outline).min()))

    def _to_map(self, local: Array) -> Array:
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return local @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)


def _distance(
    points: Array,
    x: float | Array,
    y: float | Array,
    cos: float | Array,
    sin: float | Array,
    half_length: float | Array,
    half_width: float | Array,
) -> Array:
    """Return the distance of points, shape (..., 2), to rectangles; negative inside."""
    dx, dy = points[..., 0] - x, points[..., 1] - y
    over_x = np.abs(dx * cos + dy * sin) - half_length
    over_y = np.abs(dy * cos - dx * sin) - half_width
    outside: Array = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0))
    return outside + np.minimum(np.maximum(over_x, over_y), 0)


def clearance(footprints: tuple[Footprint, ...], points: Array) -> Array:
    """Return the distance of points, shape (..., 2), to the nearest footprint, m."""
    nearest = np.full(points.shape[:-1], np.inf)
    for footprint in footprints:
        np.minimum(nearest, footprint.distance(points), out=nearest)
    return nearest


class Router:
    """Finds short routes that keep a distance from every footprint.

    Args:
        size: Extent of the floor from the origin, m.
        footprints: What stands on it.
        margin: Distance a route keeps from footprints, m.
        cell: Grid spacing, m.
    """

    def __init__(
        self,
        size: tuple[float, float],
        footprints: tuple[Footprint, ...],
        margin: float,
        cell: float = 0.2,
    ) -> None:
        self._rectangles = np.array([f.rectangle for f in footprints]).reshape(-1, 6)
        self._reach = np.array([f.reach for f in footprints])
        self._margin = margin
        self._cell = cell
        shape = (int(size[0] / cell), int(size[1] / cell))
        centres: Array = np.moveaxis(np.indices(shape, dtype=np.float64) + 0.5, 0, -1) * cell
        self._centres = centres
        self._free = clearance(footprints, centres) >= margin
        self._around: dict[Cell, list[tuple[Cell, float]]] = {}

    def free_points(self) -> Array:
        """Return the centres of all cells a route may use, shape (n, 2)."""
        return self._centres[self._free]

    def is_clear(self, start: Array, end: Array) -> bool:
        """Tell whether the straight line between two points keeps the margin."""
        long = float(np.hypot(*(end - start)))
        line = start + np.linspace(0, 1, 2 + int(long / 0.05))[:, None] * (end - start)
        # Most footprints are too far away to be worth a look at every point.
        away = np.hypot(*(self._rectangles[:, :2] - 0.5 * (start + end)).T) - self._reach
        near = self._rectangles[away < self._margin + 0.5 * long + 1e-6]
        return bool((_distance(line, *near.T[..., None]) >= self._margin).all())

    def route(self, start: Array, end: Array) -> Array | None:
        """Return way-points from start to end, shape (n, 2), or None where there is no way."""
        first, last = self._index(start), self._index(end)
        if not (self._free[first] and self._free[last]):
            return None
        came_from = self._search(first, last)
        if came_from is None:
            return None
        cells = [last]
        while cells[-1] != first:
            cells.append(came_from[cells[-1]])
        inner = (np.array(cells[::-1]) + 0.5) * self._cell
        return self._pull_straight(np.concatenate([[start], inner[1:-1], [end]]))

    def _index(self, point: Array) -> Cell:
        limits = np.array(self._free.shape) - 1
        column, row = np.clip((point / self._cell).astype(int), 0, limits)
        return int(column), int(row)

    def _search(self, first: Cell, last: Cell) -> dict[Cell, Cell] | None:
        """A* with eight neighbours; returns each reached cell's predecessor."""
        cost = {first: 0.0}
        came_from: dict[Cell, Cell] = {}
        queue = [(math.dist(first, last), first)]
        done: set[Cell] = set()
        while queue:
            _, here = heapq.heappop(queue)
            if here == last:
                return came_from
            if here in done:
                continue
            done.add(here)
            spent = cost[here]
            for there, step in self._neighbours(here):
                total = spent + step
                if total < cost.get(there, math.inf):
                    cost[there] = total
                    came_from[there] = here
                    heapq.heappush(queue, (total + math.dist(there, last), there))
        return None

    def _neighbours(self, cell: Cell) -> list[tuple[Cell, float]]:
        """Return the free cells around one, and how far away each is, in cells."""
        around = self._around.get(cell)
        if around is None:
            moves = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
            columns, rows = self._free.shape
            around = self._around[cell] = [
                ((cell[0] + i, cell[1] + j), math.hypot(i, j))
                for i, j in moves
                if 0 <= cell[0] + i < columns
                and 0 <= cell[1] + j < rows
                and self._free[cell[0] + i, cell[1] + j]
            ]
        return around

    def _pull_straight(self, points: Array) -> Array:
        """Drop way-points that a straight line makes needless."""
        kept = [points[0]]
        index = 0
        while index < len(points) - 1:
            nearest, furthest = index + 1, len(points) - 1
            # Visibility along a shortest path is all but monotone: bisection finds a far point.
            while nearest < furthest:
                middle = (nearest + furthest + 1) // 2
                if self.is_clear(points[index], points[middle]):
                    nearest = middle
                else:
                    furthest = middle - 1
            index = nearest
            kept.append(points[index])
        return np.array(kept)


def length(points: Array) -> float:
    """Return the length of a polyline, shape (n, 2), m."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())
