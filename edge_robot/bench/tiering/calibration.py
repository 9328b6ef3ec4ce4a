"""What the scores of a detector mean: how often it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections
from edge_robot.perception.evaluation import Labels, match

_CALIBRATION_IOUS = (0.5, 0.6, 0.7, 0.8)
"""Overlaps at which a detection is right or not; a score stands for the mean of the four."""


@dataclass(frozen=True)
class ScoreCalibration:
    """What a detector's scores mean: p = sigmoid(offset + slope × logit(score)) (Platt, 1999).

    Two detectors with the same score are not equally often right. Where their results stand side
    by side, as in tiered perception, only calibrated scores compare.

    Attributes:
        offset: Log-odds of a detection of score 0.5.
        slope: Positive: the order of one detector's detections stays.
    """

    offset: float
    slope: float

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: offset or slope is not finite, or the slope not above 0.
        """
        if not (np.isfinite(self.offset) and np.isfinite(self.slope) and self.slope > 0.0):
            raise ValueError(f"calibration {self.offset}, {self.slope} makes no sense")

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how likely detections of these scores are right."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.offset - self.slope * _logit(scores))))

    def apply(self, found: Detections) -> Detections:
        """Return detections with the probability of being right as their score."""
        scores = self.probabilities(found.scores).astype(np.float32)
        return Detections(found.boxes, scores, found.class_ids, found.class_names)


def learn_calibration(found: Sequence[Detections], labels: Sequence[Labels]) -> ScoreCalibration:
    """Fit what scores mean by logistic regression.

    Args:
        found: One result per frame, down to a low score.
        labels: What is in the frames.
    """
    scores: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    right: list[NDArray[np.float64]] = [np.zeros(0)]
    for result, truth in zip(found, labels, strict=True):
        for class_id in np.unique(result.class_ids):
            picked, wanted = result.class_ids == class_id, truth.class_ids == class_id
            hits = [
                match(result.boxes[picked], truth.boxes[wanted], truth.ignore[wanted], iou)[0]
                for iou in _CALIBRATION_IOUS
            ]
            scores.append(result.scores[picked])
            right.append(np.mean(hits, axis=0))
    x, y = _logit(np.concatenate(scores)), np.concatenate(right)
    design = np.column_stack([np.ones_like(x), x])
    beta = np.array([0.0, 1.0])
    for _ in range(50):  # Newton; a trace of ridge towards "scores are probabilities" bounds it
        p = 1.0 / (1.0 + np.exp(-design @ beta))
        slope = design.T @ (y - p) - (beta - (0.0, 1.0))
        curvature = design.T @ (design * (p * (1.0 - p))[:, None]) + np.eye(2)
        step = np.linalg.solve(curvature, slope)
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    return ScoreCalibration(float(beta[0]), float(max(beta[1], 0.05)))


def _logit(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    p = np.clip(scores.astype(np.float64), 1e-4, 1.0 - 1e-4)
    return np.asarray(np.log(p / (1.0 - p)))
