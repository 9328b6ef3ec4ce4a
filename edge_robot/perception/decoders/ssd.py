"""Layout `ssd`: boxes and scores in outputs of their own, as TensorFlow and torchvision export.

Either all priors, boxes 1×N×4 and scores 1×N×K per class, or what the graph has left of them: boxes
1×N×4, scores 1×N, classes 1×N and perhaps the count of valid rows, 1. A leading 1 may be missing.
The card says the order of a box's numbers (`box_order`), their unit (`box_unit`) and which class
index is the first of `classes` (`first_class`: 1 where 0 is the background).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_robot.perception.decoders.candidates import Candidates, best_indices, known_classes
from edge_robot.perception.decoders.layout import Layout, Outputs, Shape, corners

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


def decode_ssd(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    """Decode an `ssd` output; a row of no class of the card (the background) is none."""
    boxes = outputs["boxes"].reshape(-1, 4)
    count = len(card.classes)
    if "classes" in outputs:
        scores, labels = outputs["scores"].ravel(), outputs["classes"].ravel() - card.first_class
        # Outputs of one graph, yet of its own making: no more rows than the shortest has.
        length = min(len(boxes), len(scores), len(labels))
        if "count" in outputs:
            length = min(length, int(np.nan_to_num(outputs["count"].ravel()[:1]).sum()))
        valid = np.flatnonzero(known_classes(labels[: max(length, 0)], count))
        chosen = best_indices(scores[valid], min_score)
        picked = valid[chosen]
        class_ids = labels[picked].astype(np.int64)
        best = scores[picked]
    else:
        columns = outputs["scores"].reshape(len(boxes), -1)
        classes = columns[:, card.first_class : card.first_class + count]
        best = classes.max(axis=1)
        picked = best_indices(best, min_score)
        class_ids = classes[picked].argmax(axis=1)
        best = best[picked]
    chosen_boxes = boxes[picked]
    if card.box_order == "yxyx":
        chosen_boxes = chosen_boxes[:, [1, 0, 3, 2]]
    elif card.box_order == "cxcywh":
        chosen_boxes = corners(chosen_boxes)
    if card.box_unit == "fraction":
        chosen_boxes = chosen_boxes * np.array([card.width, card.height] * 2, np.float32)
    return Candidates(chosen_boxes, best, class_ids, final="classes" in outputs)


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    boxes: list[Shape] = [(1, None, 4), (None, 4)]
    rows: list[Shape] = [(1, None), (None,)]
    if "classes" in card.roles:
        return {"boxes": boxes, "scores": rows, "classes": rows, "count": [(1,), (1, 1), ()]}
    columns = card.first_class + len(card.classes)
    return {"boxes": boxes, "scores": [(1, None, columns), (None, columns)]}


SSD = Layout(
    decode_ssd,
    _shapes,
    roles=(
        ("boxes", "scores"),
        ("boxes", "scores", "classes"),
        ("boxes", "scores", "classes", "count"),
    ),
)
