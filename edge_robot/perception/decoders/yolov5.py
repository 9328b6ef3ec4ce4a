"""Layout `yolov5`, also of YOLOv7: one row per anchor of each cell.

1×N×(5+C): cx cy w h in pixels of the input, objectness and class scores in 0..1. There are three
anchors per cell of each stride.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_robot.perception.decoders.candidates import Candidates, best_indices
from edge_robot.perception.decoders.layout import Layout, Outputs, Shape, cell_count, corners

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard

ANCHORS = 3


def decode_yolov5(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    """Decode a `yolov5` output; the score is objectness × class score."""
    rows = outputs["predictions"][0]
    # No class score is above 1: the classes are looked at only where the objectness suffices.
    rows = rows[rows[:, 4] >= min_score]
    classes = rows[:, 5:]
    class_ids = classes.argmax(axis=1)
    scores = rows[:, 4] * classes[np.arange(len(rows)), class_ids]
    picked = best_indices(scores, min_score)
    return Candidates(corners(rows[picked, :4]), scores[picked], class_ids[picked])


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    return {"predictions": [(1, ANCHORS * cell_count(card), 5 + len(card.classes))]}


YOLOV5 = Layout(decode_yolov5, _shapes)
