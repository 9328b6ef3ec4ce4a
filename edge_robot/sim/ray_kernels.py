"""What rays hit first, compiled: `rays.first_hits_numpy` does the same, bit by bit, with NumPy.

Numba takes what it has cached for stale only if the text of this file has changed: whatever is
compiled has to be here, and whoever changes a constant of `intersections.py` has to touch it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.compiled import compiled
from edge_robot.sim.intersections import BOX, CAPSULE, ELLIPSOID, LEAST, PLANE, SPHERE

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_compiled = compiled(error_model="numpy")
_MISS = (math.inf, -math.inf)


@_compiled
def _slab(origin: float, direction: float, half: float) -> tuple[float, float]:
    one, other = (-half - origin) / direction, (half - origin) / direction
    if one != one or other != other:  # along one of the planes, and in it
        return _MISS
    return min(one, other), max(one, other)


@_compiled
def _common(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return max(one[0], other[0]), min(one[1], other[1])


@_compiled
def _joined(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    if not other[0] <= other[1]:
        return one
    return min(one[0], other[0]), max(one[1], other[1])


@_compiled
def _between(a: float, b: float, c: float) -> tuple[float, float]:
    """Return between which t a t² + 2 b t + c is negative."""
    square = b * b - a * c
    if not square >= 0.0:
        return _MISS
    root = math.sqrt(square)
    return (-b - root) / a, (-b + root) / a


@_compiled
def _ball(x: float, y: float, z: float, dx: float, dy: float, dz: float) -> tuple[float, float]:
    a = max(dx * dx + dy * dy + dz * dz, LEAST)
    return _between(a, x * dx + y * dy + z * dz, x * x + y * y + z * z - 1.0)


@_compiled
def _distance(
    kind: int,
    x: float,
    y: float,
    z: float,
    dx: float,
    dy: float,
    dz: float,
    a: float,
    b: float,
    c: float,
) -> float:
    """Return how far along a ray from (x, y, z) a shape of sizes a, b, c begins."""
    if kind == PLANE:
        if not dz < 0.0:
            return math.inf
        distance = -z / dz
        hit = distance >= 0.0 and abs(x + distance * dx) <= a and abs(y + distance * dy) <= b
        return distance if hit else math.inf
    if kind == BOX:
        inside = _common(_common(_slab(x, dx, a), _slab(y, dy, b)), _slab(z, dz, c))
    elif kind == ELLIPSOID:
        inside = _ball(x / a, y / b, z / c, dx / a, dy / b, dz / c)
    elif kind == SPHERE:
        inside = _ball(x / a, y / a, z / a, dx / a, dy / a, dz / a)
    else:
        across_x, across_y = dx / a, dy / a
        tube = _ball(x / a, y / a, 0.0, across_x, across_y, 0.0)
        inside = _common(tube, _slab(z, dz, b))
        if kind == CAPSULE:
            if not inside[0] <= inside[1]:
                inside = _MISS
            for end in (-b, b):
                ball = _ball(x / a, y / a, (z - end) / a, across_x, across_y, dz / a)
                inside = _joined(inside, ball)
    enter, leave = inside
    if not (enter <= leave and leave >= 0.0):
        return math.inf
    return enter if enter >= 0.0 else leave


@compiled(
    "void(i8[::1], f8[:,::1], f8[:,:,::1], f8[:,::1], i8[:,::1], i8[:,::1], i8, i8,"
    " i8[::1], i8[::1], f8[:,::1], f8[::1], i8[::1])",
    error_model="numpy",
)
def first_hits(
    kind: Indices,
    size: Array,
    frame: Array,
    origin: Array,
    sectors: Indices,
    levels: Indices,
    all_sectors: int,
    all_levels: int,
    start: Indices,
    order: Indices,
    rays: Array,
    distance: Array,
    target: Indices,
) -> None:
    """Find the target that each ray hits first; of those at the same distance, the last.

    Args:
        kind: Of each target, as in `intersections.KINDS`.
        size: Of each target, shape (3, m), m.
        frame: Axes of the map in theirs, shape (3, 3, m).
        origin: The rays' origin in their frames, shape (3, m), m.
        sectors: The first sector of each, and the one after its last, shape (2, m).
        levels: The lowest and the highest level of each, shape (2, m).
        all_sectors: How many sectors there are.
        all_levels: How many levels there are.
        start: Where the rays of each sector's levels begin in `order`.
        order: Rays sorted by sector and level.
        rays: Unit vectors, shape (n, 3), map frame.
        distance: The farthest that is looked for along each ray, m; the distance of what it hits.
        target: Gets what each ray hits; left as it is where that is nothing.
    """
    for t in range(len(kind)):
        shape = kind[t]
        x, y, z = origin[0, t], origin[1, t], origin[2, t]
        a, b, c = size[0, t], size[1, t], size[2, t]
        xx, xy, xz = frame[0, 0, t], frame[0, 1, t], frame[0, 2, t]
        yx, yy, yz = frame[1, 0, t], frame[1, 1, t], frame[1, 2, t]
        zx, zy, zz = frame[2, 0, t], frame[2, 1, t], frame[2, 2, t]
        for sector in range(sectors[0, t], sectors[1, t]):
            cell = sector % all_sectors * all_levels
            for place in range(start[cell + levels[0, t]], start[cell + levels[1, t] + 1]):
                ray = order[place]
                px, py, pz = rays[ray, 0], rays[ray, 1], rays[ray, 2]
                dx = xx * px + xy * py + xz * pz
                dy = yx * px + yy * py + yz * pz
                dz = zx * px + zy * py + zz * pz
                found = _distance(shape, x, y, z, dx, dy, dz, a, b, c)
                if found <= distance[ray] and found < math.inf:
                    distance[ray] = found
                    target[ray] = t
