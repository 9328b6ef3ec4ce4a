"""Overlap and suppression of axis-aligned boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.candidates import Candidates


def suppress(candidates: Candidates, iou_threshold: float) -> NDArray[np.int64]:
    """Return the indices greedy non-maximum suppression keeps, class by class, best first."""
    boxes = candidates.boxes.astype(np.float64)
    overlap = iou_matrix(boxes, boxes) > iou_threshold
    overlap &= candidates.class_ids[:, None] == candidates.class_ids[None, :]
    alive = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if alive[index]:
            alive[index + 1 :] &= ~overlap[index, index + 1 :]
    return np.flatnonzero(alive)


def iou_matrix(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the (N, M) intersection over union of (N, 4) and (M, 4) x1 y1 x2 y2 boxes."""
    corner_low = np.maximum(a[:, None, :2], b[None, :, :2])
    corner_high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.prod(np.maximum(corner_high - corner_low, 0.0), axis=2)
    area_a = np.prod(a[:, 2:] - a[:, :2], axis=1)
    area_b = np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
