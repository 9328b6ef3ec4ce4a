"""Lidar perception: a sweep in, oriented boxes of the objects standing on the ground out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.lidar.ground import (
    GroundConfig,
    estimate_plane,
    heights_above_ground,
)
from edge_robot.perception.lidar.objects import (
    HeightConfig,
    LidarDetections,
    ObjectConfig,
    find_objects,
)
from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class LidarConfig(Settings):
    """What the ground is, and what is an object. The defaults suit a small robot indoors."""

    ground: GroundConfig = field(default_factory=GroundConfig)
    max_height: float = setting(
        2.2,
        "points higher above the ground are left out (ceilings, bridges), m",
        ge=0.0,
        le=1000.0,
        live=True,
    )
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    heights: HeightConfig = field(default_factory=HeightConfig)


class LidarDetector:
    """Segments the ground, clusters what stands on it, and boxes each cluster.

    Stateless: the same sweep always gives the same boxes.
    """

    def __init__(self, config: LidarConfig | None = None) -> None:
        self.config = config or LidarConfig()

    def detect(self, points: NDArray[np.float32]) -> LidarDetections:
        """Return the objects of one sweep.

        Args:
            points: (N, 3+) float32, m, sensor frame; all finite (see `read_points`).
        """
        config = self.config
        xyz = in_range(points, config.objects)
        ground = estimate_plane(xyz, config.ground)
        height = heights_above_ground(xyz, ground, config.ground)
        obstacle = (height > config.ground.clearance) & (height < config.max_height)
        return find_objects(
            xyz.compress(obstacle, axis=0),
            height[obstacle],
            xyz,
            config.objects,
            config.heights,
            ground,
        )


def in_range(points: NDArray[np.float32], config: ObjectConfig) -> NDArray[np.float32]:
    """Return the points, (K, 3), that are within the limits of range."""
    with np.errstate(over="ignore"):  # finite, but of no distance
        distance = np.hypot(points[:, 0], points[:, 1])
    within = (distance >= config.min_range) & (distance <= config.max_range)
    return points[:, :3].compress(within, axis=0)
