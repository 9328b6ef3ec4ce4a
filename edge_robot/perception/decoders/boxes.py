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
    shared, areas = _intersections(boxes, boxes)
    # shared / (areas - shared) > threshold, without dividing for each pair.
    overlap = (1.0 + iou_threshold) * shared > iou_threshold * np.maximum(areas, 0.0)
    overlap &= candidates.class_ids[:, None] == candidates.class_ids[None, :]
    alive = np.ones(len(boxes), bool)
    clear = ~overlap
    for index in range(len(boxes)):
        if alive[index]:
            alive[index + 1 :] &= clear[index, index + 1 :]
    return np.flatnonzero(alive)


def iou_matrix(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the (N, M) intersection over union of (N, 4) and (M, 4) x1 y1 x2 y2 boxes."""
    shared, areas = _intersections(a, b)
    union = areas - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _intersections(
    a: NDArray[np.floating], b: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the (N, M) areas that (N, 4) and (M, 4) boxes share, and the sums of their areas."""
    # Plane by plane: a reduction over the last axis of two would cost five times as much.
    left, top, right, bottom = a.T[:, :, None]
    other_left, other_top, other_right, other_bottom = b.T[:, None, :]
    shared = np.minimum(right, other_right)
    shared -= np.maximum(left, other_left)
    np.maximum(shared, 0.0, out=shared)
    height = np.minimum(bottom, other_bottom)
    height -= np.maximum(top, other_top)
    shared *= np.maximum(height, 0.0, out=height)
    areas = (right - left) * (bottom - top)
    return shared, areas + (other_right - other_left) * (other_bottom - other_top)
