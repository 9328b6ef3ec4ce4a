"""Lidar perception with a planar scanner: objects where it meets them, of no known height."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.lidar.objects import (
    HeightConfig,
    LidarDetections,
    ObjectConfig,
    find_objects,
)
from edge_robot.perception.lidar.points import Sweep
from edge_robot.perception.lidar.scan_geometry import ScanError
from edge_robot.settings import Settings

_ANY_HEIGHT = HeightConfig(min_height=0.0, max_top=np.inf, stand_gap=np.inf)


@dataclass(frozen=True)
class ScanConfig(Settings):
    """What counts as an object in a scan near the floor: also a pair of legs, as one."""

    objects: ObjectConfig = field(
        default_factory=lambda: ObjectConfig(
            min_range=0.1, max_range=8.0, cell=0.2, min_points=3, min_length=0.06
        )
    )


class ScanDetector:
    """Clusters the points of a scan, and boxes each cluster.

    Stateless: the same scan always gives the same boxes.
    """

    def __init__(self, config: ScanConfig | None = None) -> None:
        self.config = config or ScanConfig()

    def detect(
        self, ranges: NDArray[np.float64], angles: NDArray[np.floating]
    ) -> tuple[LidarDetections, NDArray[np.float32]]:
        """Return the objects of one scan, and the points it met.

        The boxes have no height: they lie in the plane of the scan, z = 0, and how far the things
        reach above and below it is not known.

        Args:
            ranges: (n,) m; infinite where nothing was met, NaN where a ray tells nothing.
            angles: (n,) direction of each ray, rad.

        Raises:
            ScanError: No ray tells anything.
        """
        config = self.config.objects
        if np.isnan(ranges).all():
            raise ScanError("scan in which no ray tells anything: the scanner may be covered")
        met = np.isfinite(ranges) & (ranges >= config.min_range) & (ranges <= config.max_range)
        points = _points(ranges[met], angles[met])
        # Rays that met nothing were looked along all the same.
        free = ranges > config.max_range
        looked = np.vstack([points, _points(np.full(free.sum(), config.max_range), angles[free])])
        height = np.zeros(len(points), np.float32)
        found = find_objects(
            Sweep.of(points), height, Sweep.of(looked), config, _ANY_HEIGHT, ground=None
        )
        return found, points


def _points(ranges: NDArray[np.float64], angles: NDArray[np.floating]) -> NDArray[np.float32]:
    columns = [ranges * np.cos(angles), ranges * np.sin(angles), np.zeros(len(ranges))]
    return np.column_stack(columns).astype(np.float32)
