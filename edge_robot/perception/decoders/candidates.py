"""Scored boxes before suppression, and which of a network's cells become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 400
"""Candidates kept before suppression: bounds its cost on a noisy image or at a tiny score."""


MAX_SCORE = 1.001
"""A score is a probability, give or take rounding; what is above is none, and no candidate."""


@dataclass(frozen=True)
class Candidates:
    """Boxes before suppression.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the network's input.
        scores: (N,) float32 in 0..1, in descending order.
        class_ids: (N,) int64.
        final: Whether the network has chosen among overlapping boxes itself: none is suppressed.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    final: bool = False


def best_indices(scores: NDArray[np.float32], min_score: float) -> NDArray[np.int64]:
    """Return the indices of scores from `min_score` up, best first, `MAX_CANDIDATES` at most.

    A score that is no probability (infinite, not a number, above 1) is none of them.
    """
    picked = np.flatnonzero((scores >= min_score) & (scores <= MAX_SCORE))
    order = np.argsort(-scores[picked], kind="stable")[:MAX_CANDIDATES]
    return picked[order]


def known_classes(labels: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Return which of the class indices a network gives as numbers are in 0..count-1."""
    known: NDArray[np.bool_] = (labels > -0.5) & (labels < count - 0.5)
    return known
