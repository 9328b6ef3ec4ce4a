"""Ground plan of a world: rectangular footprints, clearance, and routes between them."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

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
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        dx, dy = points[..., 0] - self.x, points[..., 1] - self.y
        over_x = np.abs(dx * cos + dy * sin) - 0.5 * self.length
        over_y = np.abs(dy * cos - dx * sin) - 0.5 * self.width
        outside = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0))
        return outside + np.minimum(np.maximum(over_x, over_y), 0)

    def gap(self, other: Footprint) -> float:
        """Return the free space between two footprints, m; negative if they overlap."""
        return float(min(self.distance(other.outline).min(), other.distance(self.outline).min()))

    def _to_map(self, local: Array) -> Array:
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return local @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)


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
        self._footprints = footprints
        self._margin = margin
        self._cell = cell
        shape = (int(size[0] / cell), int(size[1] / cell))
        centres: Array = np.moveaxis(np.indices(shape, dtype=np.float64) + 0.5, 0, -1) * cell
        self._centres = centres
        self._free = clearance(footprints, centres) >= margin

    def free_points(self) -> Array:
        """Return the centres of all cells a route may use, shape (n, 2)."""
        return self._centres[self._free]

    def is_clear(self, start: Array, end: Array) -> bool:
        """Tell whether the straight line between two points keeps the margin."""
        count = 2 + int(float(np.hypot(*(end - start))) / 0.05)
        line = start + np.linspace(0, 1, count)[:, None] * (end - start)
        return bool((clearance(self._footprints, line) >= self._margin).all())

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

    def _index(self, point: Array) -> tuple[int, int]:
        limits = np.array(self._free.shape) - 1
        column, row = np.clip((point / self._cell).astype(int), 0, limits)
        return int(column), int(row)

    def _search(
        self, first: tuple[int, int], last: tuple[int, int]
    ) -> dict[tuple[int, int], tuple[int, int]] | None:
        """A* with eight neighbours; returns each reached cell's predecessor."""
        moves = [(i, j, math.hypot(i, j)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
        cost = {first: 0.0}
        came_from: dict[tuple[int, int], tuple[int, int]] = {}
        queue = [(math.dist(first, last), first)]
        free = self._free
        done: set[tuple[int, int]] = set()
        while queue:
            _, here = heapq.heappop(queue)
            if here == last:
                return came_from
            if here in done:
                continue
            done.add(here)
            for di, dj, step in moves:
                there = (here[0] + di, here[1] + dj)
                if not (0 <= there[0] < free.shape[0] and 0 <= there[1] < free.shape[1]):
                    continue
                if not free[there]:
                    continue
                total = cost[here] + step
                if total < cost.get(there, math.inf):
                    cost[there] = total
                    came_from[there] = here
                    heapq.heappush(queue, (total + math.dist(there, last), there))
        return None

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
