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
from edge_robot.perception.lidar.points import Sweep
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

    def detect(self, points: NDArray[np.float32] | Sweep) -> LidarDetections:
        """Return the objects of one sweep.

        Args:
            points: (N, 3+) float32, m, sensor frame; all finite (see `read_points`).
        """
        config = self.config
        sweep = in_range(Sweep.of(points), config.objects)
        ground = estimate_plane(sweep, config.ground)
        height = heights_above_ground(sweep, ground, config.ground)
        obstacle = (height > config.ground.clearance) & (height < config.max_height)
        return find_objects(
            sweep.where(obstacle), height[obstacle], sweep, config.objects, config.heights, ground
        )


def in_range(sweep: Sweep, config: ObjectConfig) -> Sweep:
    """Return the points that are within the limits of range."""
    return sweep.where((sweep.distance >= config.min_range) & (sweep.distance <= config.max_range))
