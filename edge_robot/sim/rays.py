"""Casting many rays from one point into a world: what the lidar, the scanner and a camera do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.gl import mujoco
from edge_robot.sim.world import PEOPLE_GROUP, ROBOT_GROUP, SOLID_GROUP, World

Array = NDArray[np.float64]

_REACH = 0.9
"""No part of a person is further from their vertical axis than this, m."""


@dataclass(frozen=True)
class Hits:
    """What rays hit.

    Attributes:
        distance: Distance along each ray, shape (n,), m; -1 where nothing is hit.
        geom: The geom that was hit, shape (n,); -1 for none.
        normal: Surface normal there, shape (n, 3), world frame; zero where not asked for.
    """

    distance: Array
    geom: NDArray[np.int32]
    normal: Array

    @classmethod
    def of(cls, count: int) -> Hits:
        """Return `count` rays that hit nothing."""
        return cls(np.full(count, -1.0), np.full(count, -1, np.int32), np.zeros((count, 3)))


def cast(
    world: World,
    data: mujoco.MjData,
    origin: Array,
    rays: Array,
    max_range: float,
    *,
    robot: bool = False,
    normals: bool = False,
) -> Hits:
    """Cast rays into a world.

    Args:
        world: The world.
        data: Its state, for which `mj_kinematics` has run.
        origin: Where all rays start, shape (3,), map frame.
        rays: Unit vectors, shape (n, 3), map frame.
        max_range: What is further away than this is not seen, m.
        robot: Whether the robot is seen.
        normals: Whether to compute normals.
    """
    standing = (SOLID_GROUP, ROBOT_GROUP) if robot else (SOLID_GROUP,)
    hits = _cast(world.model, data, origin, rays, max_range, standing, normals)
    # The many small bodies people consist of cost more than all the rest, and few rays come near
    # them: only those are cast against people.
    near = np.flatnonzero(_near_people(world, data, origin, rays))
    if len(near) == 0:
        return hits
    found = _cast(world.model, data, origin, rays[near], max_range, (PEOPLE_GROUP,), normals)
    first = (found.geom >= 0) & ((hits.geom[near] < 0) | (found.distance < hits.distance[near]))
    for whole, part in (
        (hits.distance, found.distance),
        (hits.geom, found.geom),
        (hits.normal, found.normal),
    ):
        whole[near[first]] = part[first]
    return hits


def _near_people(
    world: World, data: mujoco.MjData, origin: Array, rays: Array
) -> NDArray[np.bool_]:
    """Tell which rays pass the vertical cylinder around a person."""
    near = np.zeros(len(rays), bool)
    x, y = np.ascontiguousarray(rays[:, 0]), np.ascontiguousarray(rays[:, 1])
    reach = _REACH * np.hypot(x, y)
    for px, py in world.people_positions(data) - origin[:2]:
        if px * px + py * py < _REACH * _REACH:
            near[:] = True
            break
        near |= (np.abs(x * py - y * px) <= reach) & (x * px + y * py > 0)
    return near


def _cast(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    origin: Array,
    rays: Array,
    max_range: float,
    groups: tuple[int, ...],
    normals: bool,
) -> Hits:
    hits = Hits.of(len(rays))
    seen = np.zeros(mujoco.mjNGROUP, np.uint8)
    seen[list(groups)] = 1
    mujoco.mj_multiRay(
        model, data, origin, rays.ravel(), seen, True, -1, hits.geom, hits.distance,
        hits.normal.reshape(-1) if normals else None, len(rays), max_range,
    )  # fmt: skip
    # MuJoCo leaves out geoms that begin too far away, not what is further on a large one.
    hits.geom[hits.distance > max_range] = -1
    hits.distance[hits.geom < 0] = -1.0
    return hits
