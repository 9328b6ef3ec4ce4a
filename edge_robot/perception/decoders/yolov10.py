"""Layout `yolov10`, of networks that choose among overlapping boxes themselves: one row per object.

1×N×6: x1 y1 x2 y2 in pixels of the input, score in 0..1, class index. N is a bound (300), the
rows beyond what was found have a score of about 0. YOLOv10, YOLO26, and exports of others with
suppression in the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_robot.perception.decoders.candidates import Candidates, best_indices, known_classes
from edge_robot.perception.decoders.layout import Layout, Outputs, Shape

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


def decode_yolov10(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    """Decode a `yolov10` output; a row of no class of the card is none."""
    rows = outputs["predictions"][0]
    rows = rows[known_classes(rows[:, 5], len(card.classes))]
    scores = rows[:, 4]
    picked = best_indices(scores, min_score)
    class_ids = rows[picked, 5].astype(np.int64)
    return Candidates(rows[picked, :4], scores[picked], class_ids, final=True)


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    return {"predictions": [(1, None, 6)]}


YOLOV10 = Layout(decode_yolov10, _shapes)
