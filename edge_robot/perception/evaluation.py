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
    hit_in_order = np.concatenate(hits)[order]
    return _area(np.cumsum(hit_in_order), np.arange(1, len(order) + 1), total)


def mean_average_precision(
    detections: Sequence[Detections],
    labels: Sequence[Labels],
    ious: Sequence[float] = (0.5,),
) -> float:
    """Return the mean over IoU thresholds and over the classes that have labels (see above)."""
    present = sorted({int(item) for truth in labels for item in truth.class_ids[~truth.ignore]})
    values = [average_precision(detections, labels, c, iou) for c in present for iou in ious]
    return float(np.mean([value for value in values if value is not None]))


class Resampled:
    """Average precision of one set of images, also under many weightings of its images.

    Detections are matched with labels once; after that a weighting costs milliseconds.

    Args:
        detections: One per image, down to a low score.
        labels: One per image, in the same order.
        ious: Overlaps over which the mean is taken.
    """

    def __init__(
        self,
        detections: Sequence[Detections],
        labels: Sequence[Labels],
        ious: Sequence[float] = COCO_IOUS,
    ) -> None:
        self._images = len(labels)
        present = sorted({int(i) for truth in labels for i in truth.class_ids[~truth.ignore]})
        self._rankings = {item: _rank(detections, labels, item, ious) for item in present}

    def average_precision(
        self, weights: NDArray[np.integer] | None = None
    ) -> dict[int, list[float]]:
        """Return average precision at each IoU by class, of the classes that have labels.

        Args:
            weights: How often each image counts; once by default.
        """
        weights = np.ones(self._images, np.int64) if weights is None else weights
        found = {}
        for class_id, ranking in self._rankings.items():
            total = int(ranking.totals @ weights)
            if total:
                each = weights[ranking.images]
                hits = np.cumsum(ranking.hits * each, axis=1)
                counts = np.cumsum(ranking.counts * each, axis=1)
                found[class_id] = [_area(*sums, total) for sums in zip(hits, counts, strict=True)]
        return found

    def mean_average_precision(self, weights: NDArray[np.integer] | None = None) -> float:
        """Return the mean over IoU thresholds and classes; see `average_precision`."""
        values = list(self.average_precision(weights).values())
        return float(np.mean(values)) if values else 0.0

    def draws(self, count: int, seed: int) -> NDArray[np.float64]:
        """Return what the mean would be on other images of this kind: a bootstrap (Efron, 1979).

        As many images are drawn with replacement, `count` times. Two detectors on the same images
        meet the same draws under the same seed, so their differences may be taken pair by pair.
        """
        generator = np.random.default_rng(seed)
        images = self._images
        weights = (
            np.bincount(generator.integers(0, images, images), minlength=images)
            for _ in range(count)
        )
        return np.array([self.mean_average_precision(item) for item in weights])


@dataclass(frozen=True)
class _Ranking:
    """All detections of one class, best first.

    Attributes:
        images: (M,) the image each is in.
        hits: (IoUs, M) whether it is a hit.
        counts: (IoUs, M) whether it counts at all.
        totals: (images,) how many objects there are to find.
    """

    images: NDArray[np.int64]
    hits: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    totals: NDArray[np.int64]


def _rank(
    detections: Sequence[Detections], labels: Sequence[Labels], class_id: int, ious: Sequence[float]
) -> _Ranking:
    images, scores, totals, hits, counts = [], [], [], [], []
    for index, (found, truth) in enumerate(zip(detections, labels, strict=True)):
        picked, wanted = found.class_ids == class_id, truth.class_ids == class_id
        ignore = truth.ignore[wanted]
        totals.append(int(np.count_nonzero(~ignore)))
        number = int(np.count_nonzero(picked))
        if number and len(ignore):
            matched = [match(found.boxes[picked], truth.boxes[wanted], ignore, i) for i in ious]
            hits.append(np.stack([hit for hit, _ in matched]))
            counts.append(np.stack([count for _, count in matched]))
        else:
            hits.append(np.zeros((len(ious), number), bool))
            counts.append(np.ones((len(ious), number), bool))
        images.append(np.full(number, index))
        scores.append(found.scores[picked])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _Ranking(
        np.concatenate(images)[order],
        np.concatenate(hits, axis=1)[:, order],
        np.concatenate(counts, axis=1)[:, order],
        np.array(totals),
    )


def _area(true_positives: NDArray, positives: NDArray, total: int) -> float:
    """Return the 101-point area under precision over recall, from running sums, best first."""
    precision = true_positives / np.maximum(positives, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(true_positives / total, np.linspace(0.0, 1.0, 101), side="left")
    return float(np.append(envelope, 0.0)[index].mean())


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
