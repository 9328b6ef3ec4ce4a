"""Scored boxes before suppression, and which of a network's cells become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 400
"""Candidates kept before suppression: bounds its cost on a noisy image or at a tiny score."""


@dataclass(frozen=True)
class Candidates:
    """Boxes before suppression.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the network's input.
        scores: (N,) float32, in descending order.
        class_ids: (N,) int64.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]


def best_indices(scores: NDArray[np.float32], min_score: float) -> NDArray[np.int64]:
    """Return the indices of scores from `min_score` up, best first, `MAX_CANDIDATES` at most."""
    picked = np.flatnonzero(scores >= min_score)
    order = np.argsort(-scores[picked], kind="stable")[:MAX_CANDIDATES]
    return picked[order]
