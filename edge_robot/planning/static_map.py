"""A map made beforehand, as `nav_msgs/OccupancyGrid` has it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError

FINEST, COARSEST = 0.005, 1.0
"""Bounds of a map's resolution, m."""
MAX_SIDE = 20_000
"""Longest side of a map, cells."""
MAX_CELLS = 64_000_000
_FARTHEST = 1e6  # m; beyond, single precision no longer tells cells apart


@dataclass(frozen=True)
class StaticMap:
    """Occupancy on square cells, somewhere in the frame `map`.

    Attributes:
        occupancy: (rows, columns) int8, row 0 at the origin: -1 unknown, else 0 to 100 %.
        resolution: Side of a cell, m.
        origin: Pose of the corner of cell (0, 0): x, y, m; yaw, rad, by which rows and columns are
            turned against the frame's axes.

    Raises:
        UserError: one of them is out of bounds.
    """

    occupancy: NDArray[np.int8]
    resolution: float
    origin: tuple[float, float, float]

    def __post_init__(self) -> None:
        rows, columns = self.occupancy.shape
        if not (1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE and rows * columns <= MAX_CELLS):
            raise UserError(
                f"a map of {columns} x {rows} cells; from 1 to {MAX_SIDE} a side and "
                f"{MAX_CELLS // 1_000_000} million in all can be used"
            )
        if not FINEST <= self.resolution <= COARSEST:
            raise UserError(
                f"a map with cells of {self.resolution:g} m; from {FINEST:g} to {COARSEST:g} m "
                "can be used"
            )
        if not all(isfinite(value) and abs(value) <= _FARTHEST for value in self.origin):
            raise UserError(
                f"a map's origin at {self.origin}; x, y (m) and yaw (rad) must be numbers, "
                f"none beyond {_FARTHEST:g}"
            )
        if self.occupancy.min() < -1 or self.occupancy.max() > 100:
            raise UserError("a map with an occupancy outside -1 (unknown), 0 to 100 (%)")
