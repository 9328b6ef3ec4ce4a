"""Casting many rays from one point into a MuJoCo world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.gl import mujoco


@dataclass(frozen=True)
class Hits:
    """What rays hit.

    Attributes:
        distance: Distance along each ray, shape (n,), m; -1 where nothing is hit.
        geom: The geom that was hit, shape (n,); -1 for none.
        normal: Surface normal there, shape (n, 3), world frame; zero for none.
    """

    distance: NDArray[np.float64]
    geom: NDArray[np.int32]
    normal: NDArray[np.float64]


def cast(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    origin: NDArray[np.float64],
    rays: NDArray[np.float64],
    groups: NDArray[np.uint8],
    max_range: float,
    *,
    normals: bool = False,
) -> Hits:
    """Cast rays through geoms of some groups.

    Args:
        model: The world's model.
        data: Its state, with geom poses computed.
        origin: Where all rays start, shape (3,), world frame.
        rays: Unit vectors, shape (n, 3), world frame.
        groups: 1 for every geom group that is seen, shape (6,), uint8.
        max_range: Geoms further away are not seen, m.
        normals: Whether to compute normals; otherwise they are left zero.
    """
    count = len(rays)
    hits = Hits(np.empty(count), np.empty(count, np.int32), np.zeros((count, 3)))
    mujoco.mj_multiRay(
        model, data, origin, rays.ravel(), groups, True, -1, hits.geom, hits.distance,
        hits.normal.reshape(-1) if normals else None, count, max_range,
    )  # fmt: skip
    return hits
