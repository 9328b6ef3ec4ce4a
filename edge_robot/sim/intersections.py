"""Where rays enter MuJoCo's primitive shapes: many pairs of a ray and a shape of one kind at once.

All is in the shapes' own frames: points, directions and sizes (those of geoms in MuJoCo, m) have
shape (3, n), one pair a column. A ray is followed from its origin on, for a distance of direction's
lengths; where it misses, that is +inf. From within, it is where the ray leaves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.gl import mujoco

Array = NDArray[np.float64]
Interval = tuple[Array, Array]
"""Distances between which rays are inside of something; empty where the first is larger."""

PLANE, SPHERE, CAPSULE, ELLIPSOID, CYLINDER, BOX = KINDS = tuple(
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{name}"))  # NumPy compares with enumerations one by one
    for name in ("PLANE", "SPHERE", "CAPSULE", "ELLIPSOID", "CYLINDER", "BOX")
)
"""What is known here, as in `MjModel.geom_type`."""

LEAST = 1e-200
"""Square of what is no movement, and that can be divided by."""


def half_extents(kind: int, size: Array) -> Array:
    """Return half the sides of the boxes around shapes."""
    x, y, z = size
    around = {
        PLANE: (x, y, 0 * x),
        SPHERE: (x, x, x),
        CAPSULE: (x, x, x + y),
        CYLINDER: (x, x, y),
    }
    return np.array(around.get(kind, (x, y, z)))


def distances(kind: int, origin: Array, direction: Array, size: Array) -> Array:
    """Return how far along each ray its shape begins, shape (n,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == PLANE:
            return _plane(origin, direction, size)
        if kind == BOX:
            return _first(_common(*map(_slab, origin, direction, size)))
        if kind in (SPHERE, ELLIPSOID):
            axes = half_extents(kind, size)
            return _first(_ball(origin / axes, direction / axes))
        radius, half, _ = size
        tube = _ball(origin[:2] / radius, direction[:2] / radius)
        trunk = _common(tube, _slab(origin[2], direction[2], half))
        if kind == CYLINDER:
            return _first(trunk)
        ends = (origin - np.array([0 * end, 0 * end, end]) for end in (-half, half))
        balls = (_ball(end / radius, direction / radius) for end in ends)
        return _first(_joined(trunk, *balls))


def outward(kind: int, point: Array, size: Array) -> Array:
    """Return the outward normals at points on the shapes, shape (3, n)."""
    if kind in (SPHERE, ELLIPSOID):
        out = point / half_extents(kind, size) ** 2
    elif kind == CAPSULE:
        out = point.copy()
        out[2] -= np.clip(point[2], -size[1], size[1])
    else:
        # Of what consists of faces: the one that the point is nearest to.
        out = np.zeros_like(point)
        if kind == PLANE:
            out[2] = 1.0
        elif kind == BOX:
            face = (np.abs(point) - size).argmax(axis=0)
            pairs = np.arange(point.shape[1])
            out[face, pairs] = point[face, pairs]
        else:
            lid = np.abs(point[2]) - size[1] > np.hypot(point[0], point[1]) - size[0]
            out[2, lid] = point[2, lid]
            out[:2, ~lid] = point[:2, ~lid]
    return out / np.linalg.norm(out, axis=0)


def _first(inside: Interval) -> Array:
    enter, leave = inside
    return np.where((enter <= leave) & (leave >= 0), np.where(enter >= 0, enter, leave), np.inf)


def _common(*intervals: Interval) -> Interval:
    enter, leave = intervals[0]
    for other_enter, other_leave in intervals[1:]:
        enter, leave = np.maximum(enter, other_enter), np.minimum(leave, other_leave)
    return enter, leave


def _joined(*intervals: Interval) -> Interval:
    """Within any of the parts of what is convex as a whole, and so has no gaps between them."""
    met = [(enter <= leave, enter, leave) for enter, leave in intervals]
    return (
        np.minimum.reduce([np.where(hit, enter, np.inf) for hit, enter, _ in met]),
        np.maximum.reduce([np.where(hit, leave, -np.inf) for hit, _, leave in met]),
    )


def _slab(origin: Array, direction: Array, half: Array) -> Interval:
    """Between two parallel planes: origin and direction across them, shape (n,)."""
    one, other = (-half - origin) / direction, (half - origin) / direction
    return np.minimum(one, other), np.maximum(one, other)


def _ball(origin: Array, direction: Array) -> Interval:
    """In the unit ball of as many dimensions as are given."""
    a = np.maximum((direction**2).sum(axis=0), LEAST)  # along a tube it would be 0
    b = (origin * direction).sum(axis=0)
    c = (origin**2).sum(axis=0) - 1.0
    root = np.sqrt(b**2 - a * c)  # nan where it is missed, which is in no interval
    return (-b - root) / a, (-b + root) / a


def _plane(origin: Array, direction: Array, size: Array) -> Array:
    """A rectangle in z = 0, seen from above only."""
    distance = -origin[2] / direction[2]
    at = np.abs(origin[:2] + distance * direction[:2])
    hit = (direction[2] < 0) & (distance >= 0) & (at <= size[:2]).all(axis=0)
    return np.where(hit, distance, np.inf)
