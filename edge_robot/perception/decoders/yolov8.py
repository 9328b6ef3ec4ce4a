"""Layout `yolov8`, also of YOLOv9, YOLO11, YOLO12 and YOLOv5u: one column per cell.

1×(4+C)×N: cx cy w h in pixels of the input, class scores in 0..1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_robot.perception.decoders.candidates import Candidates, best_indices
from edge_robot.perception.decoders.layout import Layout, Outputs, Shape, cell_count, corners

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


def decode_yolov8(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    """Decode a `yolov8` output; the score is that of the best class."""
    columns = outputs["predictions"][0]
    classes = columns[4:]
    # The maximum over rows is cheap in this order of memory; which class it was, is asked of few.
    best = classes.max(axis=0)
    picked = best_indices(best, min_score)
    class_ids = classes[:, picked].argmax(axis=0)
    return Candidates(corners(columns[:4, picked].T), best[picked], class_ids)


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    return {"predictions": [(1, 4 + len(card.classes), cell_count(card))]}


YOLOV8 = Layout(decode_yolov8, _shapes)
