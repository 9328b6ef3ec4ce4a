"""Accuracy of two tiers together: some frames answered on board, the others by the second opinion.

A frame that is uploaded takes the second opinion's detections in place of the onboard ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections
from edge_robot.perception.evaluation import COCO_IOUS, Labels, match


class TierMixture:
    """The mean average precision of any choice of uploaded frames, matched with labels once.

    Agrees with `evaluation.mean_average_precision` on the same mixture; only faster, as learning
    and the oracle ask for tens of thousands of choices. Make one with `match_tiers`.

    Attributes:
        frames: Number of frames.
        classes: Classes that have labels that count, ascending.
        classes_of: Per frame, positions in `classes` of those either tier found in it: the only
            ones whose precision depends on whether the frame is uploaded.
    """

    def __init__(self, frames: int, tables: Mapping[int, _ClassTable]) -> None:
        self.frames = frames
        counted = {c: table for c, table in tables.items() if table.totals.any()}
        self.classes = sorted(counted)
        self._tables = [counted[c] for c in self.classes]
        in_class = np.zeros((frames, len(self._tables)), bool)
        for k, table in enumerate(self._tables):
            in_class[table.frame, k] = True
        self.classes_of: list[NDArray[np.int64]] = [np.flatnonzero(row) for row in in_class]

    def subset(self, frames: NDArray[np.int64]) -> TierMixture:
        """Return the mixture of some of the frames, all different, in the order given."""
        position = np.full(self.frames, -1)
        position[frames] = np.arange(len(frames))
        tables = {
            c: table.subset(frames, position)
            for c, table in zip(self.classes, self._tables, strict=True)
        }
        return TierMixture(len(frames), tables)

    def class_precisions(
        self, uploaded: NDArray[np.bool_], classes: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Return the average precision (mean over the overlaps) of each class.

        Args:
            uploaded: (N,) which frames have the second opinion.
            classes: Positions in `self.classes` to compute; all by default.
        """
        picked = range(len(self._tables)) if classes is None else classes
        return np.array([self._tables[k].precision(uploaded) for k in picked], float)

    def mean_average_precision(self, uploaded: NDArray[np.bool_]) -> float:
        """Return the mean average precision where these frames, (N,), have the second opinion."""
        return float(np.mean(self.class_precisions(uploaded)))

    def gain(
        self, frame: int, uploaded: NDArray[np.bool_], precisions: NDArray[np.float64]
    ) -> float:
        """Return what uploading a frame adds to the mean average precision of a choice.

        Args:
            frame: Index of the frame.
            uploaded: (N,) the choice; what it says of the frame itself does not matter.
            precisions: `class_precisions` of the choice.
        """
        classes = self.classes_of[frame]
        changed = uploaded.copy()
        changed[frame] = not uploaded[frame]
        difference = float(np.sum(self.class_precisions(changed, classes) - precisions[classes]))
        return (-difference if uploaded[frame] else difference) / len(self.classes)


def match_tiers(
    onboard: Sequence[Detections],
    second: Sequence[Detections],
    labels: Sequence[Labels],
    ious: Sequence[float] = COCO_IOUS,
) -> TierMixture:
    """Match the results of both tiers with the labels.

    Args:
        onboard: One result per frame, down to a low score.
        second: The second opinion on the same frames.
        labels: What is in them.
        ious: Overlaps to average over.
    """
    classes = {int(c) for truth in labels for c in truth.class_ids[~truth.ignore]}
    return TierMixture(
        len(labels), {c: _match_class(c, onboard, second, labels, ious) for c in classes}
    )


@dataclass(frozen=True)
class _ClassTable:
    """Every detection of one class by either tier, best score first.

    Attributes:
        totals: (frames,) labels to find.
        frame: (N,) frame of each detection.
        is_second: (N,) whether it is of the second opinion.
        hits: (N, overlaps) whether it is right.
        counts: (N, overlaps) whether it counts at all.
    """

    totals: NDArray[np.int64]
    frame: NDArray[np.int64]
    is_second: NDArray[np.bool_]
    hits: NDArray[np.bool_]
    counts: NDArray[np.bool_]

    def subset(self, frames: NDArray[np.int64], position: NDArray[np.int64]) -> _ClassTable:
        """Return the rows of some frames; `position` is the new index of each frame, or -1."""
        rows = position[self.frame] >= 0
        return _ClassTable(
            self.totals[frames],
            position[self.frame[rows]],
            self.is_second[rows],
            self.hits[rows],
            self.counts[rows],
        )

    def precision(self, uploaded: NDArray[np.bool_]) -> float:
        """Return the mean over the overlaps of COCO's 101-point average precision."""
        present = uploaded[self.frame] == self.is_second
        hits = np.cumsum(self.hits[present], axis=0)
        seen = np.cumsum(self.counts[present], axis=0)
        # Where nothing counts yet there is no precision, and no recall to ask for it.
        precision = hits / np.maximum(seen, 1)
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        envelope = np.vstack([envelope, np.zeros((1, hits.shape[1]))])
        recall = hits / self.totals.sum()
        asked = np.linspace(0.0, 1.0, 101)
        return float(
            np.mean(
                [
                    envelope[np.searchsorted(recall[:, k], asked, side="left"), k].mean()
                    for k in range(hits.shape[1])
                ]
            )
        )


def _match_class(
    class_id: int,
    onboard: Sequence[Detections],
    second: Sequence[Detections],
    labels: Sequence[Labels],
    ious: Sequence[float],
) -> _ClassTable:
    totals = np.zeros(len(labels), np.int64)
    empty = np.zeros((0, len(ious)), bool)
    scores: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    rows = [(np.zeros(0, np.int64), np.zeros(0, bool), empty, empty)]
    for frame, truth in enumerate(labels):
        wanted = truth.class_ids == class_id
        totals[frame] = np.count_nonzero(wanted & ~truth.ignore)
        for is_second, results in ((False, onboard), (True, second)):
            found = results[frame]
            picked = found.class_ids == class_id
            size = int(np.count_nonzero(picked))
            if size == 0:
                continue
            matches = [
                match(found.boxes[picked], truth.boxes[wanted], truth.ignore[wanted], iou)
                for iou in ious
            ]
            scores.append(found.scores[picked])
            rows.append(
                (
                    np.full(size, frame),
                    np.full(size, is_second),
                    np.stack([hit for hit, _ in matches], axis=1),
                    np.stack([count for _, count in matches], axis=1),
                )
            )
    order = np.argsort(-np.concatenate(scores), kind="stable")
    columns = [np.concatenate(column)[order] for column in zip(*rows, strict=True)]
    return _ClassTable(totals, *columns)
