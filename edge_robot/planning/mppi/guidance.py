"""A global plan as grids that rollouts can look up."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_robot.planning.costmap import Grid
from edge_robot.planning.global_planner import Plan


@dataclass(frozen=True)
class Guidance:
    """Where to go, as grids that a rollout can look up.

    Attributes:
        cost_to_go: To the goal from any cell, m of easy going.
        path_distance: Distance to the path, m, around it.
    """

    cost_to_go: Grid
    path_distance: Grid

    @classmethod
    def along(cls, plan: Plan) -> Guidance:
        """Make guidance of a global plan."""
        grid = plan.cost_to_go
        off_path = np.ones(grid.values.shape, np.uint8)
        cells = (plan.path - np.array(grid.origin)) / grid.resolution - 0.5
        cv2.polylines(off_path, [np.rint(cells * 16).astype(np.int32)], False, 0, shift=4)
        distance = cv2.distanceTransform(off_path, cv2.DIST_L2, cv2.DIST_MASK_5)
        return cls(grid, Grid(distance * np.float32(grid.resolution), grid.origin, grid.resolution))
