"""What the robot has seen of the world around it, as a grid in the odometry frame.

A `LaserScan` clears the polygon it sees through and marks where its rays end; lidar points add what
the scan plane passes under or over. Moving objects are left out: the local planner knows them as
tracks, and here they would leave trails. A map made beforehand may lie under it all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import ceil, cos, floor, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.planning.robot import MovingObjects
from edge_robot.planning.static_map import COARSEST, FINEST, StaticMap
from edge_robot.settings import Settings, setting

_HIT = 3
_MISS = 1
_CERTAIN_OCCUPIED = 6
_CERTAIN_FREE = -4
_SUBPIXEL_BITS = 4
_GROWTH = 10.0  # m
_BEYOND_MARKS = 1.0  # m
_BESIDE_MOVING = 0.15  # m; as near to a moving object's disc a hit is the object's
_MAX_CELLS = 64_000_000
_STATIC = "static"
_STATIC_OCCUPIED, _STATIC_FREE = 65, 25  # %; as nav2's map server has it


@dataclass(frozen=True)
class Grid:
    """Values on square cells.

    Attributes:
        values: (rows, columns); row i and column j cover y and x from
            `origin + (j, i) * resolution` on.
        origin: Corner of cell (0, 0): x, y, m.
        resolution: Side of a cell, m.
    """

    values: NDArray
    origin: tuple[float, float]
    resolution: float

    def cells(self, x: NDArray, y: NDArray) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return rows and columns of points, clamped to the grid."""
        rows, columns = self.values.shape
        scale = np.float32(1.0 / self.resolution)
        row = ((y - self.origin[1]) * scale).astype(np.int32)
        column = ((x - self.origin[0]) * scale).astype(np.int32)
        return np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Return row and column of a point, clamped to the grid."""
        row, column = self.cells(np.array(x), np.array(y))
        return int(row), int(column)

    def at(self, x: NDArray, y: NDArray) -> NDArray:
        """Return the values of the cells of points, of any shape; outside, of the nearest cell."""
        row, column = self.cells(x, y)
        return self.values.ravel().take(row * self.values.shape[1] + column)

    def interpolated(self, x: NDArray, y: NDArray) -> NDArray:
        """Return values interpolated between cell centres, points of any shape."""
        rows, columns = self.values.shape
        scale = np.float32(1.0 / self.resolution)
        gx = np.clip((x - self.origin[0]) * scale - np.float32(0.5), 0, columns - 1.001)
        gy = np.clip((y - self.origin[1]) * scale - np.float32(0.5), 0, rows - 1.001)
        column, row = gx.astype(np.int32), gy.astype(np.int32)
        fx, fy = gx - column, gy - row
        flat, first = self.values.ravel(), row * columns + column
        low = flat.take(first) * (1 - fx) + flat.take(first + 1) * fx
        high = flat.take(first + columns) * (1 - fx) + flat.take(first + columns + 1) * fx
        return low * (1 - fy) + high * fy

    def contains(self, x: float, y: float) -> bool:
        """Return whether a point lies on the grid."""
        rows, columns = self.values.shape
        return (
            0 <= x - self.origin[0] < columns * self.resolution
            and 0 <= y - self.origin[1] < rows * self.resolution
        )


@dataclass(frozen=True)
class RangeScan:
    """One sweep of ranges, seen from a pose in the planning frame.

    Attributes:
        x: Of the sensor, m.
        y: Of the sensor, m.
        yaw: Of the sensor, rad.
        angles: Of the rays, increasing, relative to `yaw`, (n,), rad.
        ranges: (n,), m; infinite where a ray met nothing, NaN where it tells nothing.
    """

    x: float
    y: float
    yaw: float
    angles: NDArray[np.floating]
    ranges: NDArray[np.floating]

    @classmethod
    def from_points(
        cls, x: float, y: float, yaw: float, points: NDArray[np.float64], beams: int
    ) -> RangeScan:
        """Reduce obstacle points to the nearest range in each of `beams` directions.

        Args:
            x: Of the sensor, m.
            y: Of the sensor, m.
            yaw: Of the sensor, rad.
            points: Obstacle points relative to the sensor's pose, (n, 2), m.
            beams: Directions around the full circle.
        """
        ranges = np.full(beams, np.inf)
        turn = 2 * np.pi / beams
        beam = ((np.arctan2(points[:, 1], points[:, 0]) + np.pi) / turn).astype(np.int64) % beams
        np.minimum.at(ranges, beam, np.hypot(points[:, 0], points[:, 1]))
        return cls(x, y, yaw, (np.arange(beams) + 0.5) * turn - np.pi, ranges)


@dataclass(frozen=True)
class CostmapConfig(Settings):
    """Size and reach of the map.

    Raises:
        UserError: a value is out of bounds.
    """

    resolution: float = setting(0.05, "side of a cell, m", ge=FINEST, le=COARSEST)
    mark_range: float = setting(8.0, "longest range at which the map changes, m", ge=0.5, le=100.0)
    max_map_side: float = setting(
        200.0, "longest side the map may grow to, m; then it rolls on", ge=1.0, le=8000.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        least = 2 * (self.mark_range + _BEYOND_MARKS + _GROWTH)
        most = _MAX_CELLS**0.5 * self.resolution
        if not least <= self.max_map_side <= most:
            raise UserError(
                f"max_map_side is {self.max_map_side:g} m; with resolution {self.resolution:g} m "
                f"and mark_range {self.mark_range:g} m give it a value from {least:g} to {most:g}"
            )


@dataclass(frozen=True)
class _Static:
    """A map under the costmap.

    Attributes:
        source: The map.
        evidence: On its cells, int8.
        pose: Of the corner of its cell (0, 0) in the planning frame, (2, 3).
    """

    source: StaticMap
    evidence: NDArray[np.int8]
    pose: NDArray[np.float64]

    def laid(
        self, low: NDArray[np.floating], shape: tuple[int, int], resolution: float
    ) -> NDArray[np.int8]:
        """Return its evidence for the cells of a grid from `low` on."""
        # From the centre of a cell there to the number of the cell here.
        inverse = self.pose[:, :2].T
        side = self.source.resolution
        first = inverse @ (low + 0.5 * resolution - self.pose[:, 2]) / side - 0.5
        laid = cv2.warpAffine(
            self.evidence.view(np.uint8),
            np.column_stack((inverse * (resolution / side), first)),
            shape[::-1],
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        )
        return laid.view(np.int8)


class Costmap:
    """Evidence for and against obstacles, one layer per sensor, growing as the robot sees more.

    At `max_map_side` it becomes a window that rolls on with the robot.

    Args:
        config: Size and reach.
        layers: Names of the sensors; each clears only what it marked itself, since a flat scan
            sees through the cell of a low box without seeing the box.
    """

    def __init__(
        self, config: CostmapConfig | None = None, layers: tuple[str, ...] = ("scan", "lidar")
    ) -> None:
        self.config = config or CostmapConfig()
        self.resolution = self.config.resolution
        self._origin = (0.0, 0.0)
        self._evidence: dict[str, NDArray[np.int8]] = {
            name: np.zeros((0, 0), np.int8) for name in layers
        }
        self._static: _Static | None = None

    @property
    def grid(self) -> Grid:
        """Strongest evidence of all layers, int8: positive occupied, negative free, 0 unknown."""
        layers = list(self._evidence.values())
        return Grid(_combine(layers), self._origin, self.resolution)

    def set_static(
        self, static: StaticMap, x: float = 0.0, y: float = 0.0, yaw: float = 0.0
    ) -> None:
        """Lay a map made beforehand under what the sensors see; they do not clear it.

        Called again, it takes the place of the last: with a new map, or one better located.

        Args:
            static: The map; below 25 % free, from 65 % on occupied, else unknown.
            x: Of the origin of its frame in the planning frame, m.
            y: The same, m.
            yaw: By which its frame is turned against the planning frame, rad.
        """
        at_x, at_y, turn = static.origin
        turn += yaw
        corner = (x + cos(yaw) * at_x - sin(yaw) * at_y, y + sin(yaw) * at_x + cos(yaw) * at_y)
        pose = np.array(((cos(turn), -sin(turn), corner[0]), (sin(turn), cos(turn), corner[1])))
        if self._static is not None and self._static.source is static:
            evidence = self._static.evidence
        else:
            evidence = evidence_of(static, self.resolution)
        self._static = _Static(static, evidence, pose)
        rows, columns = np.array(static.occupancy.shape) * static.resolution
        corners = pose @ ((0, columns, 0, columns), (0, 0, rows, rows), (1, 1, 1, 1))
        low = np.floor(corners.min(1) / _GROWTH) * _GROWTH
        high = np.ceil(corners.max(1) / _GROWTH) * _GROWTH
        if self._evidence[next(iter(self._evidence))].size:
            low = np.minimum(low, self._origin)
            high = np.maximum(high, self._end)
        if np.any(high - low > self.config.max_map_side):
            low, high = np.array(self._origin), self._end
        self._move(low, high)

    @property
    def _end(self) -> NDArray[np.float64]:
        """Corner opposite to the origin, m."""
        shape = next(iter(self._evidence.values())).shape
        return np.array(self._origin) + np.array(shape[::-1]) * self.resolution

    def include(self, x: float, y: float, margin: float, forget: bool = False) -> bool:
        """Grow the grid to hold everything within `margin` of a point, m.

        Args:
            x: m.
            y: m.
            margin: m.
            forget: Rather than grow beyond `max_map_side`, drop what lies farthest away.

        Returns:
            False, leaving the grid as it is, if it would grow beyond `max_map_side`.

        Raises:
            UserError: not even the margin would fit, with `forget`.
        """
        rows, columns = next(iter(self._evidence.values())).shape
        # A thousandth of a cell is what adding up sides may be wrong by.
        slack = 1e-3 * self.resolution
        if rows and all(
            first - slack <= place - margin and place + margin <= first + side + slack
            for place, first, side in zip(
                (x, y),
                self._origin,
                (columns * self.resolution, rows * self.resolution),
                strict=True,
            )
        ):
            return True
        low = np.array([floor((place - margin) / _GROWTH) * _GROWTH for place in (x, y)])
        high = np.array([ceil((place + margin) / _GROWTH) * _GROWTH for place in (x, y)])
        longest = self.config.max_map_side
        if forget and np.any(high - low > longest):
            raise UserError(
                f"the planner needs {margin:g} m of map on each side of the robot; "
                f"give max_map_side at least {2 * (margin + _GROWTH):g} m, not {longest:g}"
            )
        if rows:
            wanted = high
            low, high = np.minimum(low, self._origin), np.maximum(high, self._end)
            if np.any(high - low > longest):
                if not forget:
                    return False
                upwards = wanted >= high
                low = np.where(upwards, np.maximum(low, high - longest), low)
                high = np.minimum(high, low + longest)
        elif np.any(high - low > longest):
            return False
        self._move(low, high)
        return True

    def _move(self, low: NDArray[np.floating], high: NDArray[np.floating]) -> None:
        """Let the grid reach from `low` to `high`, keeping what lies within."""
        columns, rows = np.rint((high - low) / self.resolution).astype(int)
        shift = np.rint((np.array(self._origin) - low) / self.resolution).astype(int)
        self._evidence.pop(_STATIC, None)
        for name, old in self._evidence.items():
            new = np.zeros((rows, columns), np.int8)
            first = np.maximum(shift, 0)
            last = np.minimum(shift + old.shape[::-1], (columns, rows))
            if np.all(last > first):
                a, b = first - shift, last - shift
                new[first[1] : last[1], first[0] : last[0]] = old[a[1] : b[1], a[0] : b[0]]
            self._evidence[name] = new
        self._origin = (float(low[0]), float(low[1]))
        if self._static is not None and rows and columns:
            self._evidence[_STATIC] = self._static.laid(low, (rows, columns), self.resolution)

    def integrate(
        self, layer: str, scan: RangeScan, moving: MovingObjects, blind_range: float = 0.0
    ) -> None:
        """Clear what a scan sees through and mark what it ends at.

        Args:
            layer: Which sensor saw it.
            scan: What was seen.
            moving: Objects whose surface is not to be marked.
            blind_range: Nearer than this the sensor misses obstacles, so nothing is cleared, m.
        """
        longest, side = self.config.mark_range, self.resolution
        self.include(scan.x, scan.y, longest + _BEYOND_MARKS, forget=True)
        part, origin = self._around(scan.x, scan.y, ceil(longest / side) + 2)
        window = self._evidence[layer][part]

        direction = scan.yaw + scan.angles
        cosine, sine = np.cos(direction), np.sin(direction)
        # Seen through: up to one cell short of the end, so that no obstacle clears itself.
        reach = np.nan_to_num(scan.ranges, nan=0.0, posinf=longest)
        through = np.maximum(np.clip(reach, 0.0, longest) / side - 1.0, 0.0)
        centre = ((scan.x - origin[0]) / side, (scan.y - origin[1]) / side)
        ends = np.stack((centre[0] + through * cosine, centre[1] + through * sine), 1)
        seen = _polygon(window.shape, ends, centre, scan.angles)
        if blind_range > 0:
            middle = (int(centre[0]), int(centre[1]))
            cv2.circle(seen, middle, int(blind_range / side), 0, -1)

        hit = np.isfinite(scan.ranges) & (scan.ranges < longest) & (scan.ranges > 0)
        x = scan.x + scan.ranges[hit] * cosine[hit]
        y = scan.y + scan.ranges[hit] * sine[hit]
        if len(moving):
            dx, dy = x[:, None] - moving.position[:, 0], y[:, None] - moving.position[:, 1]
            still = np.all(dx * dx + dy * dy > (moving.radius + _BESIDE_MOVING) ** 2, axis=1)
            x, y = x[still], y[still]
        rows = ((y - origin[1]) / side).astype(np.int32)
        columns = ((x - origin[0]) / side).astype(np.int32)
        seen[rows, columns] = 0
        cv2.subtract(window, _MISS * seen.view(np.int8), dst=window)
        cv2.max(window, _CERTAIN_FREE, dst=window)
        # Several rays may end in a cell; it is marked once.
        window[rows, columns] = np.minimum(window[rows, columns] + _HIT, _CERTAIN_OCCUPIED)

    def unmark(self, moving: MovingObjects, seconds: float) -> None:
        """Take back what sensors marked where objects are and were in the last `seconds`.

        For objects just found to move: what they left behind is not an obstacle, and where no
        sensor looks again it would stay one for ever.
        """
        if not len(moving):
            return
        reach = moving.radius[:, None] + _BESIDE_MOVING
        ways = np.stack((moving.position - seconds * moving.velocity, moving.position), 1)
        origin, side = np.array(self._origin), self.resolution
        low = np.floor(((ways.min(1) - reach).min(0) - origin) / side).astype(int)
        high = np.ceil(((ways.max(1) + reach).max(0) - origin) / side).astype(int)
        shape = next(iter(self._evidence.values())).shape[::-1]
        low, high = np.clip(low, 0, shape), np.clip(high, 0, shape)
        passed = np.zeros((high - low)[::-1], np.uint8)
        cells = np.rint((ways - origin) / side - 0.5 - low).astype(np.int32)
        for (begin, end), radius in zip(cells.tolist(), reach[:, 0], strict=True):
            cv2.line(passed, begin, end, 1, max(1, round(2 * radius / side)))
        part = np.s_[low[1] : high[1], low[0] : high[0]]
        for name, layer in self._evidence.items():
            if name != _STATIC:
                np.copyto(layer[part], 0, where=(passed > 0) & (layer[part] > 0))

    def distance_field(self, x: float, y: float, half_side: float) -> Grid:
        """Return the distance to the nearest obstacle in a square around a point.

        Args:
            x: Centre, m.
            y: Centre, m.
            half_side: Half the side of the square, m.

        Returns:
            Distances from cell centres to the nearest obstacle cell's edge, float32, m; zero on
            obstacles, and never more than `half_side`.
        """
        self.include(x, y, half_side + self.resolution, forget=True)
        part, origin = self._around(x, y, int(half_side / self.resolution))
        occupied = np.logical_or.reduce([layer[part] > 0 for layer in self._evidence.values()])
        return Grid(distance_to(occupied, self.resolution, half_side), origin, self.resolution)

    def _around(
        self, x: float, y: float, half: int
    ) -> tuple[tuple[slice, slice], tuple[float, float]]:
        """Return the cells of a square around a point, 2 `half` a side, and its corner, m."""
        row = int((y - self._origin[1]) / self.resolution) - half
        column = int((x - self._origin[0]) / self.resolution) - half
        corner = (
            self._origin[0] + column * self.resolution,
            self._origin[1] + row * self.resolution,
        )
        return np.s_[row : row + 2 * half, column : column + 2 * half], corner


def distance_to(
    occupied: NDArray[np.bool_], resolution: float, longest: float
) -> NDArray[np.float32]:
    """Return each cell's distance to the nearest occupied cell's edge, at most `longest`, m."""
    cells = cv2.distanceTransform((~occupied).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    metres = cells * np.float32(resolution) - np.float32(resolution / 2)
    return np.clip(metres, 0.0, np.float32(longest))


def pooled(values: NDArray[np.int8], factor: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the largest and the smallest value of every `factor` × `factor` cells."""
    rest = tuple((0, -side % factor) for side in values.shape)
    if any(after for _, after in rest):
        values = np.pad(values, rest, mode="edge")
    largest = smallest = values
    for axis in (0, 1):
        parts = [np.s_[k::factor] if axis == 0 else np.s_[:, k::factor] for k in range(factor)]
        largest = reduce(np.maximum, [largest[part] for part in parts])
        smallest = reduce(np.minimum, [smallest[part] for part in parts])
    return largest, smallest


def occupancy(grid: Grid, factor: int) -> Grid:
    """Return the part of a costmap that was seen, coarser, for people to look at.

    Args:
        grid: Evidence as `Costmap.grid` gives it.
        factor: Cells of the costmap along the side of one of the result.

    Returns:
        int8 as in `nav_msgs/OccupancyGrid`: -1 unknown, 0 free, 100 occupied.
    """
    known = grid.values != 0
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    if not len(rows):
        return Grid(np.zeros((0, 0), np.int8), grid.origin, grid.resolution * factor)
    row0, column0 = rows[0] // factor * factor, columns[0] // factor * factor
    strongest, weakest = pooled(grid.values[row0 : rows[-1] + 1, column0 : columns[-1] + 1], factor)
    values = np.where(strongest > 0, np.int8(100), np.where(weakest < 0, 0, -1))
    origin = (
        grid.origin[0] + float(column0) * grid.resolution,
        grid.origin[1] + float(row0) * grid.resolution,
    )
    return Grid(values.astype(np.int8), origin, grid.resolution * factor)


def _combine(layers: list[NDArray[np.int8]]) -> NDArray[np.int8]:
    """Merge layers cell by cell: an obstacle in any counts; else free in any."""
    strongest: NDArray[np.int8] = reduce(np.maximum, layers)
    merged: NDArray[np.int8] = reduce(np.minimum, layers, layers[0])
    if merged.size:
        cv2.copyTo(strongest, (strongest > 0).view(np.uint8), merged)  # ten times as fast as NumPy
    return merged


def evidence_of(static: StaticMap, resolution: float) -> NDArray[np.int8]:
    """Return the evidence that a map gives, on its own cells, to be looked up by others."""
    occupied = (static.occupancy >= _STATIC_OCCUPIED).view(np.uint8)
    finer = ceil(resolution / static.resolution - 1e-6)
    if finer > 1:  # or the one cell looked up would miss thin walls
        occupied = cv2.dilate(occupied, np.ones((finer, finer), np.uint8))
    evidence = np.zeros(occupied.shape, np.int8)
    evidence[(static.occupancy >= 0) & (static.occupancy < _STATIC_FREE)] = _CERTAIN_FREE
    evidence[occupied > 0] = _CERTAIN_OCCUPIED
    return evidence


def _polygon(
    shape: tuple[int, int], ends: NDArray, centre: tuple[float, float], angles: NDArray
) -> NDArray[np.uint8]:
    """Return 1 where a cell lies in the star-shaped polygon of ray ends, all in cells, else 0."""
    seen = np.zeros(shape, np.uint8)
    whole_circle = angles[-1] - angles[0] > 2 * np.pi - 2 * abs(angles[1] - angles[0])
    outline = ends if whole_circle else np.vstack((centre, ends))
    # OpenCV counts from pixel centres.
    points = np.rint((outline - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(seen, [points], 1, shift=_SUBPIXEL_BITS)
    # Along a wall seen at a flat angle the outline runs on the wall's own cells: keep off them.
    return cv2.erode(seen, np.ones((3, 3), np.uint8))
