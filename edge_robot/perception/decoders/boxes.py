"""Overlap and suppression of axis-aligned boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.candidates import Candidates


def suppress(candidates: Candidates, iou_threshold: float) -> NDArray[np.int64]:
    """Return the indices greedy non-maximum suppression keeps, class by class, best first.

    All of them where the network has chosen itself.
    """
    if candidates.final:
        return np.arange(len(candidates.scores))
    boxes = candidates.boxes.astype(np.float64)
    overlap = iou_matrix(boxes, boxes) > iou_threshold
    overlap &= candidates.class_ids[:, None] == candidates.class_ids[None, :]
    alive = np.ones(len(boxes), bool)
    clear = ~overlap
    for index in range(len(boxes)):
        if alive[index]:
            alive[index + 1 :] &= clear[index, index + 1 :]
    return np.flatnonzero(alive)


def iou_matrix(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the (N, M) intersection over union of (N, 4) and (M, 4) x1 y1 x2 y2 boxes."""
    # Plane by plane: a reduction over the last axis of two would cost five times as much.
    left, top, right, bottom = a.T[:, :, None]
    other_left, other_top, other_right, other_bottom = b.T[:, None, :]
    intersection = np.minimum(right, other_right)
    intersection -= np.maximum(left, other_left)
    np.maximum(intersection, 0.0, out=intersection)
    shared_height = np.minimum(bottom, other_bottom)
    shared_height -= np.maximum(top, other_top)
    intersection *= np.maximum(shared_height, 0.0, out=shared_height)
    union = (right - left) * (bottom - top)
    union = union + (other_right - other_left) * (other_bottom - other_top)
    union -= intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
