"""What the robot has seen of the world around it, as a grid in the odometry frame.

There is no prior map. A `LaserScan` clears the polygon it sees through and marks where its rays
end; lidar points add what the scan plane passes under or over. Moving objects are left out:
the local planner knows them as tracks, and here they would leave trails.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.robot import MovingObjects
from edge_robot.settings import setting

_HIT = 3
_MISS = 1
_CERTAIN_OCCUPIED = 6
_CERTAIN_FREE = -4
_SUBPIXEL_BITS = 4
_GROWTH = 10.0


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
class CostmapConfig:
    """Size and reach of the map."""

    resolution: float = setting(0.05, "side of a cell, m")
    mark_range: float = setting(8.0, "longest range at which the map changes, m")
    max_map_side: float = setting(200.0, "longest side the map may grow to, m")


class Costmap:
    """Evidence for and against obstacles, one layer per sensor, growing as the robot sees more.

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

    @property
    def grid(self) -> Grid:
        """Strongest evidence of all layers, int8: positive occupied, negative free, 0 unknown."""
        layers = list(self._evidence.values())
        return Grid(_combine(layers), self._origin, self.resolution)

    def include(self, x: float, y: float, margin: float, forget: bool = False) -> bool:
        """Grow the grid to hold everything within `margin` of a point, m.

        Args:
            x: m.
            y: m.
            margin: m.
            forget: Rather than grow beyond `max_map_side`, drop what lies farthest away.

        Returns:
            False, leaving the grid as it is, if it would grow beyond `max_map_side`.
        """
        shape = next(iter(self._evidence.values())).shape
        wanted = np.array((x, y)) + np.array([[-margin], [margin]])
        wanted = np.stack((np.floor(wanted[0] / _GROWTH), np.ceil(wanted[1] / _GROWTH))) * _GROWTH
        if shape == (0, 0):
            low, high = wanted
        else:
            old_low = np.array(self._origin)
            old_high = old_low + np.array(shape[::-1]) * self.resolution
            low, high = np.minimum(old_low, wanted[0]), np.maximum(old_high, wanted[1])
            if np.allclose((low, high), (old_low, old_high)):
                return True
        longest = self.config.max_map_side
        if np.any(high - low > longest):
            if not forget:
                return False
            upwards = wanted[1] >= high
            low = np.where(upwards, np.maximum(low, high - longest), low)
            high = np.minimum(high, low + longest)
        self._move(low, high)
        return True

    def _move(self, low: NDArray[np.floating], high: NDArray[np.floating]) -> None:
        """Let the grid reach from `low` to `high`, keeping what lies within."""
        columns, rows = np.rint((high - low) / self.resolution).astype(int)
        shift = np.rint((np.array(self._origin) - low) / self.resolution).astype(int)
        for name, old in self._evidence.items():
            new = np.zeros((rows, columns), np.int8)
            first = np.maximum(shift, 0)
            last = np.minimum(shift + old.shape[::-1], (columns, rows))
            if np.all(last > first):
                a, b = first - shift, last - shift
                new[first[1] : last[1], first[0] : last[0]] = old[a[1] : b[1], a[0] : b[0]]
            self._evidence[name] = new
        self._origin = (float(low[0]), float(low[1]))

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
        self.include(scan.x, scan.y, self.config.mark_range + 1.0, forget=True)
        evidence = self._evidence[layer]
        half = int(np.ceil(self.config.mark_range / self.resolution)) + 2
        row0 = int((scan.y - self._origin[1]) / self.resolution) - half
        column0 = int((scan.x - self._origin[0]) / self.resolution) - half
        window = evidence[row0 : row0 + 2 * half, column0 : column0 + 2 * half]
        origin = np.array(self._origin) + np.array((column0, row0)) * self.resolution

        direction = scan.yaw + scan.angles
        unit = np.stack((np.cos(direction), np.sin(direction)), 1)
        sensor = np.array((scan.x, scan.y))
        # Seen through: up to one cell short of the end, so that no obstacle clears itself.
        reach = np.nan_to_num(scan.ranges, nan=0.0, posinf=self.config.mark_range)
        through = np.clip(reach, 0.0, self.config.mark_range) - self.resolution
        centre = (sensor - origin) / self.resolution
        ends = centre + np.maximum(through, 0.0)[:, None] * unit / self.resolution
        seen = _polygon(window.shape, ends, centre, scan.angles)
        if blind_range > 0:
            middle = (int(centre[0]), int(centre[1]))
            cv2.circle(seen, middle, int(blind_range / self.resolution), 0, -1)

        hit = np.isfinite(scan.ranges) & (scan.ranges < self.config.mark_range) & (scan.ranges > 0)
        surface = sensor + scan.ranges[hit, None] * unit[hit]
        if len(moving):
            apart = np.linalg.norm(surface[:, None] - moving.position[None], axis=2)
            surface = surface[np.all(apart > moving.radius + 0.15, axis=1)]
        cell = ((surface - origin) / self.resolution).astype(np.int32)
        marked = np.zeros_like(seen)
        marked[cell[:, 1], cell[:, 0]] = 1
        change = np.where(marked, np.int8(_HIT), -_MISS * seen.view(np.int8))
        np.clip(window + change, _CERTAIN_FREE, _CERTAIN_OCCUPIED, out=window)

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
        half = int(half_side / self.resolution)
        row0 = int((y - self._origin[1]) / self.resolution) - half
        column0 = int((x - self._origin[0]) / self.resolution) - half
        part = np.s_[row0 : row0 + 2 * half, column0 : column0 + 2 * half]
        window = _combine([layer[part] for layer in self._evidence.values()])
        origin = (
            self._origin[0] + column0 * self.resolution,
            self._origin[1] + row0 * self.resolution,
        )
        return Grid(distance_to(window > 0, self.resolution, half_side), origin, self.resolution)


def distance_to(
    occupied: NDArray[np.bool_], resolution: float, longest: float
) -> NDArray[np.float32]:
    """Return each cell's distance to the nearest occupied cell's edge, at most `longest`, m."""
    cells = cv2.distanceTransform((~occupied).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    metres = cells * np.float32(resolution) - np.float32(resolution / 2)
    return np.clip(metres, 0.0, np.float32(longest))


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
    height, width = (rows[-1] - row0) // factor + 1, (columns[-1] - column0) // factor + 1
    part = grid.values[row0 : row0 + height * factor, column0 : column0 + width * factor]
    blocks = part.reshape(height, factor, width, factor)
    strongest = blocks.max((1, 3))
    values = np.where(strongest > 0, np.int8(100), np.where(blocks.min((1, 3)) < 0, 0, -1))
    origin = (
        grid.origin[0] + float(column0) * grid.resolution,
        grid.origin[1] + float(row0) * grid.resolution,
    )
    return Grid(values.astype(np.int8), origin, grid.resolution * factor)


def _combine(layers: list[NDArray[np.int8]]) -> NDArray[np.int8]:
    """Merge layers cell by cell: an obstacle in any counts; else free in any."""
    merged = layers[0].copy()
    for layer in layers[1:]:
        np.copyto(merged, np.maximum(merged, layer), where=layer > 0)
        np.copyto(merged, layer, where=(merged == 0) & (layer < 0))
    return merged


def _polygon(
    shape: tuple[int, int], ends: NDArray, centre: NDArray, angles: NDArray
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
