"""How much upright boxes overlap in space: exact, for all pairs of two sets at once."""

from __future__ import annotations

import numpy as np

from edge_robot.fusion.kalman import Array

_SIGNS = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])  # counter-clockwise
_NEXT = np.array([1, 2, 3, 0])
_LEFT, _MIDDLE, _RIGHT = np.array(
    [(i, k, j) for k in range(1, 7) for i in range(k) for j in range(k + 1, 8)]
).T
"""Of eight points ordered by x: every chord (left, right) that passes over a point between."""
_CHORDS_OF = np.searchsorted(_MIDDLE, np.arange(1, 7))


def iou_3d(a: Array, b: Array) -> Array:
    """Return the intersection over union of the boxes' volumes, (N, M), 0..1.

    Args:
        a: (N, 7) x, y, z of the centre, length along the yaw, width, height, m, and yaw, rad,
            about +z. Sizes are not negative; a box without volume overlaps with nothing.
        b: (M, 7), likewise.
    """
    pairs = _all_pairs(a, b)
    shared = _shared_volume(*pairs, *_footprints(pairs[0]))
    union = _volume(pairs[0]) + _volume(pairs[1]) - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0)
    return overlap.reshape(len(a), len(b))


def giou_3d_of_pairs(a: Array, b: Array) -> Array:
    """Return the generalised IoU of each box of one set with that of the other, (P,), −1..1.

    It is the IoU less the share of the enclosing volume that belongs to neither box (Rezatofighi et
    al., CVPR 2019). The enclosing volume is the upright prism over the convex hull of both
    footprints.

    Args:
        a: (P, 7), as `iou_3d` has it.
        b: (P, 7), likewise.
    """
    of_a = _footprints(a)
    shared = _shared_volume(a, b, *of_a)
    union = _volume(a) + _volume(b) - shared
    top = np.maximum(a[:, 2] + a[:, 5] / 2, b[:, 2] + b[:, 5] / 2)
    bottom = np.minimum(a[:, 2] - a[:, 5] / 2, b[:, 2] - b[:, 5] / 2)
    outlines = np.concatenate([of_a, _footprints(b)], axis=1)
    around = _hull_area(*outlines) * (top - bottom)
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0)
    empty = np.divide(around - union, around, out=np.zeros_like(around), where=around > 0.0)
    return np.asarray(overlap - np.maximum(empty, 0.0))


def _all_pairs(a: Array, b: Array) -> tuple[Array, Array]:
    return np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))


def _volume(boxes: Array) -> Array:
    return np.asarray(np.prod(boxes[:, 3:6], axis=1))


def _footprints(boxes: Array) -> tuple[Array, Array]:
    """Return x and y of the boxes' corners seen from above, counter-clockwise, (4, P) m each."""
    along, across = _SIGNS[:, :1] * boxes[:, 3], _SIGNS[:, 1:] * boxes[:, 4]
    x, y = _turned(along, across, boxes[:, 6])
    return x + boxes[:, 0], y + boxes[:, 1]


def _turned(x: Array, y: Array, angle: Array) -> tuple[Array, Array]:
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x - sin * y, sin * x + cos * y


def _shared_volume(a: Array, b: Array, x: Array, y: Array) -> Array:
    """Return the volume of the intersection of each pair, (P,) m³, `a` having corners x and y."""
    top = np.minimum(a[:, 2] + a[:, 5] / 2, b[:, 2] + b[:, 5] / 2)
    bottom = np.maximum(a[:, 2] - a[:, 5] / 2, b[:, 2] - b[:, 5] / 2)
    volume = np.maximum(top - bottom, 0.0)
    reach = (np.hypot(a[:, 3], a[:, 4]) + np.hypot(b[:, 3], b[:, 4])) / 2
    apart = np.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])
    near = np.flatnonzero((volume > 0.0) & (apart < reach))
    area = np.zeros_like(volume)
    area[near] = _shared_area(x[:, near], y[:, near], b[near])
    return volume * area


def _shared_area(x: Array, y: Array, boxes: Array) -> Array:
    """Return the area that each polygon shares with the footprint of its box, (P,) m².

    In the box's frame the rectangle is |x| ≤ l/2, |y| ≤ w/2. Clamping a point's coordinates to it
    maps everything outside onto the rectangle's outline, which encloses no area, and leaves the
    inside alone: so the shared area is that enclosed by the polygon's clamped outline, ∮ x dy with
    both clamped (Green's theorem). Along one edge that integral is a sum of products without
    special cases: touching, equal and nested outlines need none.

    Args:
        x: (4, P) of the polygons' corners, counter-clockwise, m.
        y: (4, P) likewise.
        boxes: (P, 7).
    """
    x0, y0 = _turned(x - boxes[:, 0], y - boxes[:, 1], -boxes[:, 6])
    x1, y1 = x0[_NEXT], y0[_NEXT]
    half_x, half_y = boxes[:, 3] / 2, boxes[:, 4] / 2

    # The part of the edge on which the clamped y moves.
    low = np.minimum(np.maximum(y0, -half_y), half_y)
    high = low[_NEXT]
    step = np.where(y1 == y0, 1.0, y1 - y0)
    x0, x1 = x0 + (x1 - x0) * ((low - y0) / step), x1 - (x1 - x0) * ((y1 - high) / step)

    # The mean of the clamped x over it: it moves within the rectangle, and stands at either side.
    inner0 = np.minimum(np.maximum(x0, -half_x), half_x)
    inner1 = np.minimum(np.maximum(x1, -half_x), half_x)
    inside = np.abs(inner1 - inner0)
    right = np.abs(np.maximum(x1, half_x) - np.maximum(x0, half_x))
    left = np.abs(np.minimum(x1, -half_x) - np.minimum(x0, -half_x))
    middle = (inner0 + inner1) / 2
    along = inside + right + left
    moved = inside * middle + (right - left) * half_x
    mean = np.divide(moved, along, out=middle, where=along > 0.0)
    return np.maximum(((high - low) * mean).sum(axis=0), 0.0)


def _hull_area(x: Array, y: Array) -> Array:
    """Return the area of the convex hull of eight points each, (P,) m².

    Upper and lower hull are piecewise linear over the points ordered by x, and at each point the
    highest and lowest of all chords that pass over it, so the area is a sum of trapezoids.

    Args:
        x: (8, P) m.
        y: (8, P) m.
    """
    order = np.argsort(x, axis=0), np.arange(x.shape[1])
    x, y = x[order], y[order]
    run = x[_RIGHT] - x[_LEFT]
    over = x[_MIDDLE] - x[_LEFT]
    share = np.divide(over, run, out=over, where=run > 0.0)
    chord = y[_LEFT] + share * (y[_RIGHT] - y[_LEFT])
    thickness = np.zeros_like(y)
    thickness[1:7] = np.maximum(y[1:7], np.maximum.reduceat(chord, _CHORDS_OF))
    thickness[1:7] -= np.minimum(y[1:7], np.minimum.reduceat(chord, _CHORDS_OF))
    return np.asarray(((thickness[1:] + thickness[:-1]) * np.diff(x, axis=0)).sum(axis=0) / 2)
