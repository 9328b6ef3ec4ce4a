"""Layout `nanodet_plus`: one row per cell, the sides of a box as distributions.

1×N×(C+4·(M+1)), row-major, strides in order (8, 16, 32, 64): class scores in 0..1, then for left,
top, right and bottom the logits of a distribution over 0..M strides of distance from the cell's
corner; its mean is the distance (generalised focal loss, arXiv 2006.04388). M is 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_robot.perception.decoders.candidates import Candidates, best_indices
from edge_robot.perception.decoders.grid import grid
from edge_robot.perception.decoders.layout import Layout, Outputs, Shape, cell_count

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard

REG_MAX = 7


def decode_nanodet_plus(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    """Decode a `nanodet_plus` output; boxes are clipped to the input, as its authors do."""
    rows = outputs["predictions"][0]
    classes = rows[:, : len(card.classes)]
    best = classes.max(axis=1)
    picked = best_indices(best, min_score)
    class_ids = classes[picked].argmax(axis=1)
    logits = rows[picked, len(card.classes) :].reshape(-1, 4, REG_MAX + 1)
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    steps = np.arange(REG_MAX + 1, dtype=np.float32)
    distances = (weights @ steps) / weights.sum(axis=2)
    cells = grid(card.width, card.height, card.strides)[picked]
    corner, stride = cells[:, :2], cells[:, 2:]
    boxes = np.concatenate([corner - distances[:, :2], corner + distances[:, 2:]], axis=1) * stride
    size = np.array([card.width, card.height] * 2, np.float32)
    return Candidates(np.clip(boxes, 0.0, size), best[picked], class_ids)


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    return {"predictions": [(1, cell_count(card), len(card.classes) + 4 * (REG_MAX + 1))]}


NANODET_PLUS = Layout(decode_nanodet_plus, _shapes, strides=(8, 16, 32, 64))
