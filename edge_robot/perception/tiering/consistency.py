"""Whether the detections in a frame are those that the tracks let expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected

_MIN_OVERLAP = 0.2
"""From which a detection can be a track's: tracks are projected boxes, looser than drawn ones."""


@dataclass(frozen=True)
class Surprise:
    """Disagreement between detections and tracks, each counted by how sure its party is.

    Attributes:
        unseen: Tracks without a detection, summed existence.
        untracked: Detections without a track, summed score.
        flipped: Pairs of another class, summed product of existence and score.
    """

    unseen: float = 0.0
    untracked: float = 0.0
    flipped: float = 0.0

    @property
    def total(self) -> float:
        """The sum of all three."""
        return self.unseen + self.untracked + self.flipped


def compare(found: Detections, expected: Expected) -> Surprise:
    """Match detections with tracks by overlap, whatever their classes, and return what is left.

    The best pair first. The best sum of overlaps is hardly ever another matching, and finding it
    takes a solver whose import alone costs more than a minute of this.
    """
    overlap = iou_matrix(expected.boxes, found.boxes)
    rows, columns = [], []
    while overlap.size and overlap.max() >= _MIN_OVERLAP:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        overlap[row], overlap[:, column] = 0.0, 0.0
        rows.append(row)
        columns.append(column)
    labels = found.labels
    unseen, untracked = expected.existence.copy(), found.scores.copy()
    unseen[rows] = 0.0
    untracked[columns] = 0.0
    flipped = sum(
        float(expected.existence[r] * found.scores[c])
        for r, c in zip(rows, columns, strict=True)
        if expected.labels[r] != labels[c]
    )
    return Surprise(float(unseen.sum()), float(untracked.sum()), flipped)
