"""Casting many rays from one point into a world: what the lidar, the scanner and a camera do.

MuJoCo's own `mj_multiRay` looks at every geom for every ray. Here rays are sorted by direction, and
a geom is held only against those toward it: compiled where Numba is installed, else with NumPy all
such pairs at once, which takes twice as long and still but a third of MuJoCo's time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.compiled import COMPILED
from edge_robot.sim import ray_kernels
from edge_robot.sim.gl import mujoco
from edge_robot.sim.intersections import KINDS, distances, half_extents, outward
from edge_robot.sim.world import PEOPLE_GROUP, ROBOT_GROUP, SOLID_GROUP, World

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_AT_ONCE = 20_000
"""Rays that are cast together, which bounds the memory taken."""
_SECTORS, _LEVELS = 720, 90
"""Parts of all azimuths, and of the sines of all elevations, by which rays are sorted; a number for
each pair of them has 16 bits, which NumPy sorts in linear time."""
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


class Caster:
    """Casts rays into a world.

    Args:
        world: The world.
        robot: Whether the robot is seen.
    """

    def __init__(self, world: World, *, robot: bool = False) -> None:
        model = world.model
        groups = [SOLID_GROUP, PEOPLE_GROUP, *([ROBOT_GROUP] if robot else [])]
        seen = np.isin(model.geom_group, groups)
        by_kind = [np.flatnonzero(seen & (model.geom_type == kind)) for kind in KINDS]
        self._geom = np.concatenate(by_kind)
        self._kind = np.repeat(np.arange(len(KINDS)), [len(geom) for geom in by_kind])
        sizes = [model.geom_size[geom].T for geom in by_kind]
        self._size = np.hstack(sizes)
        self._half = np.hstack([half_extents(*of) for of in zip(KINDS, sizes, strict=True)])
        self._reach = np.linalg.norm(self._half, axis=0)

    def cast(
        self,
        data: mujoco.MjData,
        origin: Array,
        rays: Array,
        max_range: float,
        *,
        normals: bool = False,
    ) -> Hits:
        """Cast rays.

        Args:
            data: The world's state, for which `mj_kinematics` has run.
            origin: Where all rays start, shape (3,), map frame.
            rays: Unit vectors, shape (n, 3), map frame.
            max_range: What is further away than this is not seen, m.
            normals: Whether to compute normals.
        """
        lowest, highest = np.arcsin(np.clip([rays[:, 2].min(), rays[:, 2].max()], -1.0, 1.0))
        targets = self.targets(data, origin, max_range, lowest, highest)
        parts = [
            _cast(targets, rays[start : start + _AT_ONCE], max_range, normals)
            for start in range(0, len(rays), _AT_ONCE)
        ]
        return Hits(*(np.concatenate(whole) for whole in zip(*parts, strict=True)))

    def targets(
        self, data: mujoco.MjData, origin: Array, max_range: float, lowest: float, highest: float
    ) -> Targets:
        """Return what may be seen within a range and between two elevations, m and rad."""
        away = (data.geom_xpos[self._geom] - origin).T
        distance = np.maximum(np.linalg.norm(away, axis=0), 1e-9)
        elevation = np.arcsin(away[2] / distance)
        width = np.arcsin(np.minimum(self._reach / distance, 1.0))
        width[self._reach >= distance] = np.pi
        some = np.flatnonzero(
            (distance - self._reach <= max_range)
            & (elevation + width >= lowest)
            & (elevation - width <= highest)
        )
        geom, half, away = self._geom[some], self._half[:, some], away[:, some]
        frame = data.geom_xmat[geom].reshape(-1, 3, 3).T.copy()
        local = -(frame * away).sum(axis=1)
        azimuth, elevation = _directions(frame, away, local, half)
        size, kind = self._size[:, some], self._kind[some]
        return Targets(geom, kind, size, frame, local, azimuth, elevation)


@dataclass(frozen=True)
class Targets:
    """Geoms as rays from one point find them, those of a kind together.

    Attributes:
        geom: Their numbers, shape (m,).
        kind: Indices of their types in `KINDS`, ascending, shape (m,).
        size: Their sizes, shape (3, m), m.
        frame: Axes of the map in theirs, shape (3, 3, m).
        origin: The rays' origin in their frames, shape (3, m), m.
        azimuth: The lowest and highest in which they may be seen, shape (2, m), rad; the lowest is
            in -π..π, and the difference at most 2π.
        elevation: Likewise, shape (2, m), rad.
    """

    geom: Indices
    kind: Indices
    size: Array
    frame: Array
    origin: Array
    azimuth: Array
    elevation: Array


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
    targets: Targets, rays: Array, max_range: float, normals: bool
) -> tuple[Array, NDArray[np.int32], Array]:
    """Return distance, geom and normal of every ray."""
    distance, target = _first_hits(targets, rays, max_range)
    hit = np.flatnonzero(target >= 0)
    owner = target[hit]
    geom = np.full(len(rays), -1, np.int32)
    geom[hit] = targets.geom[owner]
    normal = np.zeros(rays.shape)
    if normals:
        frame, kinds = targets.frame[..., owner], targets.kind[owner]
        point = np.einsum("ijn,nj->in", frame, rays[hit])
        point = targets.origin[:, owner] + distance[hit] * point
        for index, kind in enumerate(KINDS):
            of = kinds == index
            facing = outward(kind, point[:, of], targets.size[:, owner[of]])
            normal[hit[of]] = np.einsum("ijn,in->nj", frame[..., of], facing)
    distance[target < 0] = -1.0
    return distance, geom, normal


def first_hits_compiled(targets: Targets, rays: Array, max_range: float) -> tuple[Array, Indices]:
    """Return how far away what each ray hits first is, and which target that is, -1 for none."""
    sorted_rays = _SortedRays(rays)
    sectors, levels = sorted_rays.parts(targets)
    distance = np.full(len(rays), max_range)
    target = np.full(len(rays), -1)
    ray_kernels.first_hits(
        np.array(KINDS)[targets.kind],
        np.ascontiguousarray(targets.size),
        targets.frame,
        targets.origin,
        sectors,
        levels,
        _SECTORS,
        _LEVELS,
        sorted_rays.start,
        sorted_rays.order,
        np.ascontiguousarray(rays),
        distance,
        target,
    )
    return distance, target


def first_hits_numpy(targets: Targets, rays: Array, max_range: float) -> tuple[Array, Indices]:
    """Do what `first_hits_compiled` does, for all pairs of a ray and a kind of target at once."""
    all_targets, all_rays = _SortedRays(rays).pairs(targets)
    columns = np.ascontiguousarray(rays.T)
    distance = np.full(len(rays), max_range)
    target = np.full(len(rays), -1)
    ends = np.searchsorted(targets.kind[all_targets], np.arange(len(KINDS) + 1))
    for kind, start, stop in zip(KINDS, ends[:-1], ends[1:], strict=True):
        mine, ray = all_targets[start:stop], all_rays[start:stop]
        frame, origin = targets.frame.take(mine, axis=2), targets.origin.take(mine, axis=1)
        direction = np.einsum("ijn,jn->in", frame, columns.take(ray, axis=1))
        found = distances(kind, origin, direction, targets.size.take(mine, axis=1))
        ahead = np.flatnonzero(found <= distance[ray])
        np.minimum.at(distance, ray[ahead], found[ahead])
        first = ahead[found[ahead] == distance[ray[ahead]]]
        target[ray[first]] = mine[first]
    return distance, target


_first_hits = first_hits_compiled if COMPILED else first_hits_numpy


class _SortedRays:
    """Rays in the order of their sectors, and in each of their levels.

    Args:
        rays: Unit vectors, shape (n, 3), map frame.
    """

    def __init__(self, rays: Array) -> None:
        x, y, z = rays.T
        cell = _sector(np.arctan2(y, x)) % _SECTORS * _LEVELS + _level(z)
        self.order = np.argsort(cell.astype(np.uint16), kind="stable")
        count = np.bincount(cell, minlength=_SECTORS * _LEVELS)
        self.start = np.concatenate([[0], np.cumsum(count)])

    @staticmethod
    def parts(targets: Targets) -> tuple[Indices, Indices]:
        """Return where the sectors of each target begin and end, and its levels; shape (2, m)."""
        first, last = _sector(targets.azimuth)
        sectors = np.array([first, np.minimum(last + 1, first + _SECTORS)])
        return sectors, _level(np.sin(targets.elevation))

    def pairs(self, targets: Targets) -> tuple[Indices, Indices]:
        """Return all pairs of a target and a ray that may hit it, each of shape (p,)."""
        sectors, levels = self.parts(targets)
        target, sector = _ranges(*sectors)
        low, high = sector % _SECTORS * _LEVELS + levels.take(target, axis=1)
        owner, place = _ranges(self.start[low], self.start[high + 1])
        return target[owner], self.order[place]


def _ranges(start: Indices, stop: Indices) -> tuple[Indices, Indices]:
    """Return all integers of half-open ranges, one range after the other, and whose they are."""
    count = stop - start
    owner = np.repeat(np.arange(len(count)), count)
    return owner, np.arange(len(owner)) + (stop - np.cumsum(count))[owner]


def _sector(azimuth: Array) -> Indices:
    """Return the sector an azimuth is in, from 0 for -π on."""
    return ((azimuth + np.pi) * (_SECTORS / (2 * np.pi))).astype(np.intp)


def _level(sine: Array) -> Indices:
    """Return the level of an elevation whose sine is given, from 0 for straight down on."""
    return ((sine + 1.0) * ((_LEVELS - 1) / 2)).astype(np.intp)
