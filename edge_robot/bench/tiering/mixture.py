"""Accuracy of two tiers together: some frames answered on board, others by the fleet too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections
from edge_robot.perception.evaluation import COCO_IOUS, Labels, match

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class ClassMixture:
    """The average precision of one class, for any choice of uploaded frames.

    Attributes:
        frames: (F,) frames whose detections make a difference, ascending.
        position: (N,) for each detection, best score first, its frame's index in `frames`.
        uploaded: (N,) whether it is of the result that the frame has if it is uploaded.
        rows: (H,) the detections that are right at any overlap.
        hits: (H, overlaps) at which.
        weights: (1 + labels,) part of COCO's 101 recalls that are reached with the k-th hit.
    """

    frames: NDArray[np.int64]
    position: NDArray[np.int64]
    uploaded: NDArray[np.bool_]
    rows: NDArray[np.int64]
    hits: NDArray[np.bool_]
    weights: NDArray[np.float64]

    def precision(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the mean over the overlaps of COCO's 101-point average precision.

        Args:
            chosen: (B, F) which of `frames` are uploaded, in each of B choices.

        Returns:
            (B,).
        """
        present = chosen[:, self.position] == self.uploaded
        seen = np.cumsum(present, axis=1, dtype=np.int32)[:, self.rows, None]
        hits = self.hits & present[:, self.rows, None]
        found = np.cumsum(hits, axis=1, dtype=np.int32)
        # Precision is greatest at hits, so they alone make the envelope; each fills some recalls.
        precision = np.where(hits, found / np.maximum(seen, 1), 0.0)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        area = np.where(hits, self.weights[found] * envelope, 0.0).sum(axis=1)
        return np.asarray(area.mean(axis=1))


def match_tiers(
    onboard: Sequence[Detections],
    uploaded: Sequence[Detections],
    labels: Sequence[Labels],
    ious: Sequence[float] = COCO_IOUS,
) -> list[ClassMixture]:
    """Match both possible results of every frame with the labels.

    The mean of the classes' precisions is what `evaluation.mean_average_precision` says of the
    same choice; this is quicker for many choices.

    Args:
        onboard: The result of each frame that is not uploaded, down to a low score.
        uploaded: The result of each frame that is.
        labels: What is in them; none is to be ignored.
        ious: Overlaps to average over.

    Returns:
        One for each class that has labels.
    """
    classes = sorted({int(c) for truth in labels for c in truth.class_ids})
    return [_match_class(c, onboard, uploaded, labels, ious) for c in classes]


def _match_class(
    class_id: int,
    onboard: Sequence[Detections],
    uploaded: Sequence[Detections],
    labels: Sequence[Labels],
    ious: Sequence[float],
) -> ClassMixture:
    total = 0
    none = np.zeros(0, np.int64)
    rows = [(np.zeros(0, np.float32), none, none > 0, np.zeros((0, len(ious)), bool))]
    for frame, truth in enumerate(labels):
        wanted = truth.boxes[truth.class_ids == class_id]
        total += len(wanted)
        for is_uploaded, results in ((False, onboard), (True, uploaded)):
            picked = results[frame].class_ids == class_id
            hits = _hits(results[frame].boxes[picked], wanted, ious)
            size = len(hits)
            scores = results[frame].scores[picked]
            rows.append((scores, np.full(size, frame), np.full(size, is_uploaded), hits))
    scores, frame_of, is_uploaded_of, hits = map(np.concatenate, zip(*rows, strict=True))
    order = np.argsort(-scores, kind="stable")
    right = np.flatnonzero(hits[order].any(axis=1))
    order = order[: 1 + right.max(initial=-1)]  # what scores less than the last hit changes nothing
    frames, position = np.unique(frame_of[order], return_inverse=True)
    reached = np.searchsorted(np.arange(total + 1) / total, _RECALLS, side="left")
    weights = np.bincount(np.maximum(reached, 1), minlength=total + 1) / len(_RECALLS)
    return ClassMixture(frames, position, is_uploaded_of[order], right, hits[order[right]], weights)


def _hits(
    found: NDArray[np.float32], truth: NDArray[np.float32], ious: Sequence[float]
) -> NDArray[np.bool_]:
    """Return which detections of one class in a frame are right at which overlap."""
    hits = np.zeros((len(found), len(ious)), bool)
    near = np.flatnonzero(iou_matrix(found, truth).max(axis=1, initial=0.0) >= min(ious))
    for k, iou in enumerate(ious if len(near) else ()):
        hits[near, k] = match(found[near], truth, np.zeros(len(truth), bool), iou)[0]
    return hits
