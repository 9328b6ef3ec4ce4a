"""How much upright boxes overlap in space: exact, for all pairs of two sets at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.kalman import Array

_LENGTHS, _WIDTHS = np.array([[0.5, -0.5, -0.5, 0.5], [0.5j, 0.5j, -0.5j, -0.5j]])[..., None, None]
"""Of the corners, counter-clockwise: shares of length and width, (4, 1, 1) each."""
_NEXT = np.array([1, 2, 3, 0])
_LEFT, _MIDDLE, _RIGHT = np.array(
    [(i, k, j) for k in range(1, 7) for i in range(k) for j in range(k + 1, 8)]
).T
"""Of eight points ordered by x: every chord (left, right) that passes over a point between."""
_CHORDS_OF = np.searchsorted(_MIDDLE, np.arange(1, 7))
_LEAST = np.finfo(float).tiny  # keeps 0 / 0 at 0

Complex = NDArray[np.complex128]
"""Points and directions in the plane, x + iy: to turn one is to multiply."""


def iou_3d(a: Array, b: Array) -> Array:
    """Return the intersection over union of the boxes' volumes, (N, M), 0..1.

    Args:
        a: (N, 7) x, y, z of the centre, length along the yaw, width, height, m, and yaw, rad,
            about +z. Sizes are not negative; a box without volume overlaps with nothing.
        b: (M, 7), likewise.
    """
    apart = np.hypot(a[:, 0, None] - b[:, 0], a[:, 1, None] - b[:, 1])
    reach = (np.hypot(a[:, 3], a[:, 4])[:, None] + np.hypot(b[:, 3], b[:, 4])) / 2
    rows, columns = np.nonzero(apart < reach)
    boxes = np.stack([a[rows].T, b[columns].T], axis=1)
    shared, union = _volumes(boxes, *_ends(boxes), *_footprints(boxes))
    overlap = np.zeros(apart.shape)
    overlap[rows, columns] = shared / np.maximum(union, _LEAST)
    return overlap


def giou_3d_of_pairs(a: Array, b: Array) -> Array:
    """Return the generalised IoU of each box of one set with that of the other, (P,), −1..1.

    It is the IoU less the share of the enclosing volume that belongs to neither box (Rezatofighi et
    al., CVPR 2019). The enclosing volume is the upright prism over the convex hull of both
    footprints.

    Args:
        a: (P, 7), as `iou_3d` has it.
        b: (P, 7), likewise.
    """
    boxes = np.stack([a.T, b.T], axis=1)
    top, bottom = _ends(boxes)
    corners, turn = _footprints(boxes)
    shared, union = _volumes(boxes, top, bottom, corners, turn)
    around = _hull_area(corners.reshape(8, -1)) * (np.maximum(*top) - np.minimum(*bottom))
    empty = np.maximum(around - union, 0.0) / np.maximum(around, _LEAST)
    return np.asarray(shared / np.maximum(union, _LEAST) - empty)


def _ends(boxes: Array) -> tuple[Array, Array]:
    """Return the heights of the upper and lower faces, (2, P) m each."""
    half = boxes[5] / 2
    return boxes[2] + half, boxes[2] - half


def _footprints(boxes: Array) -> tuple[Complex, Complex]:
    """Return the corners seen from above, counter-clockwise, (4, 2, P) m, and headings, (2, P).

    Args:
        boxes: (7, 2, P), both boxes of each pair.
    """
    x, y, _, length, width, _, yaw = boxes
    turn = np.exp(1j * yaw)
    return (_LENGTHS * length + _WIDTHS * width) * turn + (x + 1j * y), turn


def _volumes(
    boxes: Array, top: Array, bottom: Array, corners: Complex, turn: Complex
) -> tuple[Array, Array]:
    """Return the volumes of the intersection and of the union of each pair, (P,) m³ each."""
    x, y, _, length, width, height, _ = boxes
    # As the second box of each pair has it, its centre is the origin and its length lies along x.
    local = (corners[:, 0] - (x[1] + 1j * y[1])) * turn[1].conj()
    area = _shared_area(local.real, local.imag, length[1] / 2, width[1] / 2)
    shared = area * np.maximum(np.minimum(*top) - np.maximum(*bottom), 0.0)
    one, other = length * width * height
    return shared, one + other - shared


def _shared_area(x0: Array, y0: Array, half_x: Array, half_y: Array) -> Array:
    """Return the area that each polygon shares with its rectangle, (P,) m².

    The rectangle is |x| ≤ half_x, |y| ≤ half_y. Clamping a point's coordinates to it maps
    everything outside onto the rectangle's outline, which encloses no area, and leaves the inside
    alone: so the shared area is that enclosed by the polygon's clamped outline, ∮ x dy with both
    clamped (Green's theorem). Along one edge that integral is a sum of products without special
    cases: touching, equal and nested outlines need none.

    Args:
        x0: (4, P) of the polygons' corners, counter-clockwise, m.
        y0: (4, P) likewise.
        half_x: (P,) m.
        half_y: (P,) m.
    """
    x1, y1 = x0[_NEXT], y0[_NEXT]

    # The part of the edge on which the clamped y moves.
    low = np.minimum(np.maximum(y0, -half_y), half_y)
    high = low[_NEXT]
    step = np.where(y1 == y0, 1.0, y1 - y0)
    x0, x1 = x0 + (x1 - x0) * ((low - y0) / step), x1 - (x1 - x0) * ((y1 - high) / step)

    # The mean of the clamped x over it: it moves within the rectangle, and stands at either side.
    inner0 = np.minimum(np.maximum(x0, -half_x), half_x)
    inner1 = np.minimum(np.maximum(x1, -half_x), half_x)
    right = np.maximum(x1, half_x) - np.maximum(x0, half_x)
    left = np.minimum(x1, -half_x) - np.minimum(x0, -half_x)
    run, middle = x1 - x0, (inner0 + inner1) / 2
    moved = (inner1 - inner0) * middle + (right - left) * half_x
    mean = np.divide(moved, run, out=middle, where=run != 0.0)
    return np.maximum(((high - low) * mean).sum(axis=0), 0.0)


def _hull_area(points: Complex) -> Array:
    """Return the area of the convex hull of eight points each, (8, P) m, as (P,) m².

    Upper and lower hull are piecewise linear over the points ordered by x, and at each point the
    highest and lowest of all chords that pass over it, so the area is a sum of trapezoids.
    """
    points = np.sort(points, axis=0)  # by x
    x, y = points.real, points.imag
    left, top = x[_LEFT], y[_LEFT]
    share = (x[_MIDDLE] - left) / np.maximum(x[_RIGHT] - left, _LEAST)
    chord = top + share * (y[_RIGHT] - top)
    highest = np.maximum(y[1:7], np.maximum.reduceat(chord, _CHORDS_OF))
    lowest = np.minimum(y[1:7], np.minimum.reduceat(chord, _CHORDS_OF))
    return np.asarray(((highest - lowest) * (x[2:] - x[:-2])).sum(axis=0) / 2)
