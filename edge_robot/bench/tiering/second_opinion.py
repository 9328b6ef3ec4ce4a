"""What both tiers say of a frame together."""

from __future__ import annotations

import numpy as np

from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections

_MIN_OVERLAP = 0.5
"""IoU from which detections of one class by both tiers are of the same object."""


def fuse(onboard: Detections, second: Detections) -> Detections:
    """Return one result of two: nothing that either tier found is lost, and agreement counts.

    Of a pair the second opinion's box stays, for it is the better detector; the score is that one
    of two independent witnesses is right, 1 − (1 − p)(1 − q).

    Args:
        onboard: Scores calibrated: the probability that a detection is right.
        second: Likewise.
    """
    overlap = iou_matrix(second.boxes, onboard.boxes)
    overlap[second.class_ids[:, None] != onboard.class_ids[None, :]] = 0.0
    free = np.ones(len(onboard), bool)
    scores = second.scores.copy()
    for row in np.flatnonzero(np.max(overlap, axis=1, initial=0.0) >= _MIN_OVERLAP):
        candidates = np.where(free, overlap[row], 0.0)
        partner = int(candidates.argmax())
        if candidates[partner] >= _MIN_OVERLAP:
            free[partner] = False
            scores[row] = 1.0 - (1.0 - scores[row]) * (1.0 - onboard.scores[partner])
    scores = np.concatenate([scores, onboard.scores[free]])
    order = np.argsort(-scores, kind="stable")
    return Detections(
        np.concatenate([second.boxes, onboard.boxes[free]])[order],
        scores[order],
        np.concatenate([second.class_ids, onboard.class_ids[free]])[order],
        onboard.class_names,
    )
