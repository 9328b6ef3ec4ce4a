"""Geometry of upright boxes and of rectangles in the image."""

from __future__ import annotations

import numpy as np

from edge_robot.fusion.kalman import Array

_UNIT = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


def corners(centers: Array, sizes: Array, yaws: Array) -> Array:
    """Return the eight corners of each box, (N, 8, 3) m.

    Args:
        centers: (N, 3) m.
        sizes: (N, 3) length along the yaw, width, height, m.
        yaws: (N,) rad about +z.
    """
    local = _UNIT * sizes[:, None]
    cos, sin = np.cos(yaws)[:, None], np.sin(yaws)[:, None]
    turned = np.stack(
        [
            cos * local[..., 0] - sin * local[..., 1],
            sin * local[..., 0] + cos * local[..., 1],
            local[..., 2],
        ],
        axis=-1,
    )
    return turned + centers[:, None]


def range_to_boxes(origin: Array, centers: Array, sizes: Array, yaws: Array) -> Array:
    """Return the horizontal distance from a point to the nearest face of each box, (N,) m.

    This is what the project calls the range of an object: how far one may go before touching it.
    It is 0 inside of a box.

    Args:
        origin: (2,) m.
        centers: (N, 2+) m.
        sizes: (N, 2+) length and width, m.
        yaws: (N,) rad.
    """
    offset = origin - centers[:, :2]
    cos, sin = np.cos(yaws), np.sin(yaws)
    along = np.abs(offset[:, 0] * cos + offset[:, 1] * sin) - sizes[:, 0] / 2
    across = np.abs(offset[:, 1] * cos - offset[:, 0] * sin) - sizes[:, 1] / 2
    return np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))


def iou(a: Array, b: Array) -> Array:
    """Return the intersection over union of rectangles, (N, M).

    Args:
        a: (N, 4) x1 y1 x2 y2.
        b: (M, 4) x1 y1 x2 y2.
    """
    shared = _intersection(a, b)
    union = _area(a)[:, None] + _area(b) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0)


def cover(a: Array, b: Array) -> Array:
    """Return the share of each rectangle of `b` that lies inside of each of `a`, (N, M)."""
    shared = _intersection(a, b)
    area = np.broadcast_to(_area(b), shared.shape)
    return np.divide(shared, area, out=np.zeros_like(shared), where=area > 0.0)


def _intersection(a: Array, b: Array) -> Array:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0.0)
    return np.asarray(shared[..., 0] * shared[..., 1])


def _area(boxes: Array) -> Array:
    extent = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(extent[:, 0] * extent[:, 1])
