"""Casting many rays from one point into a world: what the lidar, the scanner and a camera do.

MuJoCo's own `mj_multiRay` looks at every geom for every ray. Here rays are sorted by direction, and
a geom is held only against those toward it, all such pairs at once: that takes a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim import intersections
from edge_robot.sim.gl import mujoco
from edge_robot.sim.world import PEOPLE_GROUP, ROBOT_GROUP, SOLID_GROUP, World

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_AT_ONCE = 20_000
"""Rays that are cast together, which bounds the memory taken."""
_SECTORS, _LEVELS = 720, 90
"""Parts of all azimuths, and of all elevations, by which rays are sorted; a number for each pair of
them has 16 bits, which NumPy sorts in linear time."""
_CORNERS = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T


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
    groups = [SOLID_GROUP, PEOPLE_GROUP, *([ROBOT_GROUP] if robot else [])]
    seen = np.flatnonzero(np.isin(world.model.geom_group, groups))
    targets = [_Targets.of(kind, world.model, data, origin, seen) for kind in intersections.KINDS]
    parts = [
        _cast(targets, rays[start : start + _AT_ONCE], max_range, normals)
        for start in range(0, len(rays), _AT_ONCE)
    ]
    return Hits(*(np.concatenate(whole) for whole in zip(*parts, strict=True)))


@dataclass(frozen=True)
class _Targets:
    """Geoms of one kind as rays from one point find them.

    Attributes:
        kind: Their type.
        geom: Their numbers, shape (m,).
        size: Their sizes, shape (3, m), m.
        frame: Axes of the map in theirs, shape (3, 3, m).
        origin: The rays' origin in their frames, shape (3, m), m.
        azimuth: The lowest and highest in which they may be seen, shape (2, m), rad; the lowest is
            in -π..π, and the difference at most 2π.
        elevation: Likewise, shape (2, m), rad.
    """

    kind: int
    geom: Indices
    size: Array
    frame: Array
    origin: Array
    azimuth: Array
    elevation: Array

    @classmethod
    def of(
        cls,
        kind: int,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        origin: Array,
        among: Indices,
    ) -> _Targets:
        geom = among[model.geom_type[among] == kind]
        size = np.ascontiguousarray(model.geom_size[geom].T)
        half = intersections.half_extents(kind, size)
        frame = np.ascontiguousarray(data.geom_xmat[geom].reshape(-1, 3, 3).T)
        away = (data.geom_xpos[geom] - origin).T
        local = -(frame * away).sum(axis=1)
        return cls(kind, geom, size, frame, local, *_directions(frame, away, local, half))


def _directions(frame: Array, away: Array, local: Array, half: Array) -> tuple[Array, Array]:
    """Return between which azimuths and elevations boxes around geoms are seen."""
    # All of a box is further, in any horizontal direction, than the corner that is least far in
    # it. That bounds it best in the direction of the point that is nearest.
    nearest = np.clip(local, -half, half) - local
    toward = (frame * nearest[:, None]).sum(axis=0)[:2]
    toward /= np.maximum(np.hypot(*toward), 1e-9)
    edges = (frame * half[:, None]).reshape(3, -1)
    x, y, z = (_CORNERS @ edges).reshape(8, 3, -1).swapaxes(0, 1) + away[:, None]
    forward, aside = toward[0] * x + toward[1] * y, toward[0] * y - toward[1] * x
    gap, far = np.maximum(forward.min(axis=0), 0.0), np.hypot(x, y).max(axis=0)
    bearing = np.arctan2(aside, forward)
    turn = np.array([bearing.min(axis=0), bearing.max(axis=0)])
    turn[:, gap == 0] = [[-np.pi], [np.pi]]
    start = (np.arctan2(toward[1], toward[0]) + turn[0] + np.pi) % (2 * np.pi) - np.pi
    bottom, top = z.min(axis=0), z.max(axis=0)
    elevation = np.arctan2(
        [bottom, top], [np.where(bottom < 0, gap, far), np.where(top > 0, gap, far)]
    )
    return np.array([start, start + turn[1] - turn[0]]), elevation


def _cast(
    targets: list[_Targets], rays: Array, max_range: float, normals: bool
) -> tuple[Array, NDArray[np.int32], Array]:
    """Return distance, geom and normal of every ray."""
    sorted_rays = _SortedRays(rays)
    rays = np.ascontiguousarray(rays.T)
    distance = np.full(rays.shape[1], np.inf)
    geom = np.full(rays.shape[1], -1, np.int32)
    normal = np.zeros(rays.T.shape)
    for some in targets:
        target, ray = sorted_rays.pairs(some)
        frame, origin = some.frame.take(target, axis=2), some.origin.take(target, axis=1)
        direction = np.einsum("ijn,jn->in", frame, rays.take(ray, axis=1))
        size = some.size.take(target, axis=1)
        found = intersections.distances(some.kind, origin, direction, size)
        ahead = np.flatnonzero(found <= np.minimum(distance, max_range)[ray])
        np.minimum.at(distance, ray[ahead], found[ahead])
        first = ahead[found[ahead] == distance[ray[ahead]]]
        geom[ray[first]] = some.geom[target[first]]
        if normals:
            point = origin[:, first] + found[first] * direction[:, first]
            facing = intersections.normals(some.kind, point, size[:, first])
            normal[ray[first]] = np.einsum("ijn,in->nj", frame[..., first], facing)
    distance[geom < 0] = -1.0
    return distance, geom, normal


class _SortedRays:
    """Rays in the order of their sectors, and in each of their levels.

    Args:
        rays: Unit vectors, shape (n, 3), map frame.
    """

    def __init__(self, rays: Array) -> None:
        x, y, z = rays.T
        sector, level = _sector(np.arctan2(y, x)), _level(np.arctan2(z, np.hypot(x, y)))
        cell = sector % _SECTORS * _LEVELS + level
        self._order = np.argsort(cell.astype(np.uint16), kind="stable")
        count = np.bincount(cell, minlength=_SECTORS * _LEVELS)
        self._start = np.concatenate([[0], np.cumsum(count)])

    def pairs(self, targets: _Targets) -> tuple[Indices, Indices]:
        """Return all pairs of a target and a ray that may hit it, each of shape (p,)."""
        first, last = _sector(targets.azimuth)
        target, sector = _ranges(first, np.minimum(last + 1, first + _SECTORS))
        low, high = (sector % _SECTORS) * _LEVELS + _level(targets.elevation).take(target, axis=1)
        owner, place = _ranges(self._start[low], self._start[high + 1])
        return target[owner], self._order[place]


def _ranges(start: Indices, stop: Indices) -> tuple[Indices, Indices]:
    """Return all integers of half-open ranges, one range after the other, and whose they are."""
    count = stop - start
    owner = np.repeat(np.arange(len(count)), count)
    return owner, np.arange(len(owner)) + (stop - np.cumsum(count))[owner]


def _sector(azimuth: Array) -> Indices:
    """Return the sector an azimuth is in, from 0 for -π on."""
    return ((azimuth + np.pi) * (_SECTORS / (2 * np.pi))).astype(np.intp)


def _level(elevation: Array) -> Indices:
    """Return the level an elevation is in, from 0 for straight down on."""
    return ((elevation + np.pi / 2) * ((_LEVELS - 1) / np.pi)).astype(np.intp)
