"""Simple polygons: is it one, how far away is it, and which points and discs stand for it."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError

Corners = NDArray[np.float64]
"""Corners of a polygon in order, counterclockwise, (n, 2), m."""


def parse(text: str) -> Corners:
    """Read corners from text such as ``[[0.3, 0.2], [-0.3, 0.2], [-0.3, -0.2]]``, as Nav2 does.

    Raises:
        UserError: the text is no list of pairs, or they are no simple polygon.
    """
    try:
        corners = np.array(json.loads(text), np.float64)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"footprint {text!r} is no list of corners: write [[x, y], [x, y], …] in metres"
        ) from error
    return simple(corners)


def simple(corners: Corners) -> Corners:
    """Return the corners counterclockwise.

    Raises:
        UserError: they are no simple polygon.
    """

    def refuse(why: str) -> UserError:
        shown = np.array2string(corners, precision=3, separator=", ", threshold=20)
        shown = " ".join(shown.split())
        return UserError(f"footprint {shown} is no simple polygon: {why}")

    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise refuse("give three or more corners [x, y]")
    if not np.isfinite(corners).all():
        raise refuse("every coordinate must be a finite number")
    doubled_area = float(np.sum(_cross(corners, np.roll(corners, -1, 0))))
    if abs(doubled_area) < 2e-6:
        raise refuse("it has no area")
    n = len(corners)
    a, b = corners, np.roll(corners, -1, 0)
    for i in range(n):
        for j in range(i + 1, n):
            if _cross_each_other(a[i], b[i], a[j], b[j], neighbours=j - i in (1, n - 1)):
                raise refuse(f"edges {i} and {j} meet")
    return corners if doubled_area > 0 else np.ascontiguousarray(corners[::-1])


def _cross(a: NDArray, b: NDArray) -> NDArray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _cross_each_other(a: NDArray, b: NDArray, c: NDArray, d: NDArray, neighbours: bool) -> bool:
    """Return whether two edges share more than a common corner."""
    if np.array_equal(a, b) or np.array_equal(c, d):
        return True
    if neighbours:
        # Only one that folds back on the other shares more than the corner.
        corner = b if np.array_equal(b, c) else a
        one = a if corner is b else b
        other = d if np.array_equal(corner, c) else c
        u, v = one - corner, other - corner
        return bool(abs(_cross(u, v)) < 1e-12 and u @ v > 0)
    sides = (_cross(b - a, c - a), _cross(b - a, d - a), _cross(d - c, a - c), _cross(d - c, b - c))
    if sides[0] * sides[1] > 0 or sides[2] * sides[3] > 0:
        return False
    # They touch or lie on one line: then their extents must overlap as well.
    return bool(
        np.all(
            np.maximum(np.minimum(a, b), np.minimum(c, d))
            <= np.minimum(np.maximum(a, b), np.maximum(c, d))
        )
    )


def edge_distance(points: NDArray[np.floating], corners: Corners) -> NDArray[np.float64]:
    """Return the distance of points, (n, 2), to the nearest edge, (n,), m."""
    a = corners
    along = np.roll(corners, -1, 0) - a
    to_point = points[:, None] - a
    share = np.clip((to_point * along).sum(2) / (along * along).sum(1), 0, 1)
    return np.linalg.norm(to_point - share[..., None] * along, axis=2).min(1)


def contains(points: NDArray[np.floating], corners: Corners) -> NDArray[np.bool_]:
    """Return which points, (n, 2), lie inside, by counting the edges to their right, (n,)."""
    a, b = corners, np.roll(corners, -1, 0)
    y = points[:, 1, None]
    spans = (a[:, 1] <= y) != (b[:, 1] <= y)
    rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
    crossing = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    return (spans & (points[:, 0, None] < crossing)).sum(1) % 2 == 1


def outline(corners: Corners, spacing: float) -> NDArray[np.float64]:
    """Return points around a polygon, corners among them, at most `spacing` apart, (n, 2), m."""
    pieces = []
    for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
        count = max(1, int(np.ceil(np.linalg.norm(b - a) / spacing)))
        pieces.append(a + (np.arange(count) / count)[:, None] * (b - a))
    return np.concatenate(pieces)


def inner_discs(corners: Corners, cell: float) -> NDArray[np.float64]:
    """Return discs inside a polygon, the largest first: x, y and radius, (n, 3), m.

    No square of side `cell` fits into the polygon without touching one of them: together with the
    outline they miss no obstacle cell. The first is the largest that a lattice finds.
    """
    step = cell / 4
    low, high = corners.min(0), corners.max(0)
    axes = [np.arange(low[i] + step / 2, high[i], step) for i in range(2)]
    points = np.stack(np.meshgrid(*axes), 2).reshape(-1, 2)
    points = points[contains(points, corners)]
    depth = edge_distance(points, corners)
    largest = int(np.argmax(depth))
    # A square inside has its centre at least half a side deep, and a lattice point next to that.
    left = depth > cell / 2 - step
    discs = [(*points[largest], depth[largest])]
    while True:
        x, y, radius = discs[-1]
        left &= np.hypot(points[:, 0] - x, points[:, 1] - y) > radius + cell / 4
        if not left.any():
            return np.array(discs)
        # The deepest point left: its disc covers most of its surroundings.
        index = int(np.argmax(np.where(left, depth, -1.0)))
        discs.append((*points[index], depth[index]))


def covering_discs(corners: Corners, count: int) -> tuple[NDArray[np.float64], float]:
    """Return discs in a row along x that cover a polygon: centres, (count, 2), and radius, m."""
    low, high = corners[:, 0].min(), corners[:, 0].max()
    bounds = np.linspace(low, high, count + 1)
    part = (high - low) / count
    # The polygon's edges cut at the bounds of the slices: within a slice the farthest is a corner.
    a, b = corners, np.roll(corners, -1, 0)
    cuts = [corners]
    for bound in bounds[1:-1]:
        spans = (a[:, 0] < bound) != (b[:, 0] < bound)
        share = (bound - a[spans, 0]) / (b[spans, 0] - a[spans, 0])
        cuts.append(a[spans] + share[:, None] * (b[spans] - a[spans]))
    points = np.concatenate(cuts)
    centres, radius = np.empty((count, 2)), 0.0
    for i in range(count):
        within = (points[:, 0] >= bounds[i] - 1e-9) & (points[:, 0] <= bounds[i + 1] + 1e-9)
        y = points[within, 1]
        centres[i] = bounds[i] + part / 2, (y.min() + y.max()) / 2
        away = np.linalg.norm(points[within] - centres[i], axis=1)
        radius = max(radius, float(away.max()))
    return centres, radius
