"""Average precision: how well detections agree with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections

COCO_IOUS = tuple(np.arange(0.5, 1.0, 0.05).round(2).tolist())


@dataclass(frozen=True)
class Labels:
    """The objects that are in one image.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2, px.
        class_ids: (N,) int64.
        ignore: (N,) bool; finding one of these is neither right nor wrong.
    """

    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    ignore: NDArray[np.bool_]


def average_precision(
    detections: Sequence[Detections], labels: Sequence[Labels], class_id: int, iou: float
) -> float | None:
    """Return the average precision of one class over a set of images, COCO's 101-point way.

    Args:
        detections: One per image, down to a low score.
        labels: One per image, in the same order.
        class_id: The class.
        iou: Overlap from which a detection is a hit.

    Returns:
        Average precision in 0..1, None where the class has no label that counts.
    """
    scores: list[NDArray[np.float32]] = []
    hits: list[NDArray[np.bool_]] = []
    total = 0
    for found, truth in zip(detections, labels, strict=True):
        picked = found.class_ids == class_id
        wanted = truth.class_ids == class_id
        ignore = truth.ignore[wanted]
        total += int(np.count_nonzero(~ignore))
        hit, counts = match(found.boxes[picked], truth.boxes[wanted], ignore, iou)
        scores.append(found.scores[picked][counts])
        hits.append(hit[counts])
    if total == 0:
        return None
    order = np.argsort(-np.concatenate(scores), kind="stable")
    true_positives = np.cumsum(np.concatenate(hits)[order])
    precision = true_positives / np.arange(1, len(order) + 1)
    recall = true_positives / total
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(recall, np.linspace(0.0, 1.0, 101), side="left")
    return float(np.append(envelope, 0.0)[index].mean())


def mean_average_precision(
    detections: Sequence[Detections],
    labels: Sequence[Labels],
    ious: Sequence[float] = (0.5,),
) -> float:
    """Return the mean over IoU thresholds and over the classes that have labels (see above)."""
    present = sorted({int(item) for truth in labels for item in truth.class_ids[~truth.ignore]})
    values = [average_precision(detections, labels, c, iou) for c in present for iou in ious]
    return float(np.mean([value for value in values if value is not None]))


def match(
    found: NDArray[np.float32],
    truth: NDArray[np.float32],
    ignore: NDArray[np.bool_],
    iou: float,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Give each detection of one class in one image, best first, the free label it overlaps most.

    Labels that count go before ignored ones, which may be matched any number of times.

    Args:
        found: (N, 4) boxes, best score first.
        truth: (M, 4) labelled boxes.
        ignore: (M,) labels that need not be found.
        iou: Overlap from which a detection is a hit.

    Returns:
        Per detection, whether it is a hit and whether it counts at all.
    """
    overlap = iou_matrix(found, truth)
    hit = np.zeros(len(found), bool)
    counts = np.ones(len(found), bool)
    free = ~ignore
    for index in range(len(found)):
        row = np.where(free, overlap[index], 0.0)
        if row.size and row.max() >= iou:
            free[row.argmax()] = False
            hit[index] = True
        elif np.any(overlap[index][ignore] >= iou):
            counts[index] = False
    return hit, counts
