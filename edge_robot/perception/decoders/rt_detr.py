"""Layout `rt_detr`, also of other DETRs: one row per query, without suppression.

Two outputs, logits 1×Q×C and boxes 1×Q×4; or one, as Ultralytics export it: 1×Q×(4+C), boxes
first and scores in 0..1, or since 2026 1×Q×6, box, score and class index (`objects`). Boxes are
cx cy w h in fractions of the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_robot.perception.decoders.candidates import Candidates, best_indices, known_classes
from edge_robot.perception.decoders.layout import (
    PREDICTIONS,
    Layout,
    Outputs,
    Shape,
    corners,
    sigmoid,
)

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


def decode_rt_detr(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    """Decode an `rt_detr` output.

    Of logits every class of a query is a candidate (focal loss: they are independent), as many as
    there are queries; of scores, the best class of each.
    """
    if "logits" in outputs:
        boxes = outputs["boxes"][0]
        scores = sigmoid(outputs["logits"][0]).ravel()
        picked = best_indices(scores, min_score)[: len(boxes)]
        queries, class_ids = np.divmod(picked, len(card.classes))
        scores = scores[picked]
    elif "objects" in outputs:
        rows = outputs["objects"][0]
        rows = rows[known_classes(rows[:, 5], len(card.classes))]
        boxes, scores = rows[:, :4], rows[:, 4]
        queries = best_indices(scores, min_score)
        class_ids = rows[queries, 5].astype(np.int64)
        scores = scores[queries]
    else:
        rows = outputs["predictions"][0]
        boxes, classes = rows[:, :4], rows[:, 4:]
        best = classes.max(axis=1)
        queries = best_indices(best, min_score)
        class_ids = classes[queries].argmax(axis=1)
        scores = best[queries]
    size = np.array([card.width, card.height] * 2, np.float32)
    return Candidates(corners(boxes[queries] * size), scores, class_ids, final=True)


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    classes = len(card.classes)
    return {
        "logits": [(1, None, classes)],
        "boxes": [(1, None, 4)],
        "predictions": [(1, None, 4 + classes)],
        "objects": [(1, None, 6)],
    }


RT_DETR = Layout(decode_rt_detr, _shapes, roles=(("logits", "boxes"), PREDICTIONS, ("objects",)))
