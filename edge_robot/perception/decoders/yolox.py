"""Layout `yolox`: one row per cell of each stride's grid.

1×N×(5+C), row-major, strides in order: cx cy (cells, relative to the cell), w h (log of strides),
objectness and class scores in 0..1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.candidates import Candidates, best_indices
from edge_robot.perception.decoders.grid import grid
from edge_robot.perception.decoders.layout import Layout, Outputs, Shape, cell_count

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


def decode_yolox(
    output: NDArray[np.float32], width: int, height: int, strides: tuple[int, ...], min_score: float
) -> Candidates:
    """Decode a 1×N×(5+C) `yolox` output of a network with a width × height input.

    The score is objectness × class score.
    """
    # No class score is above 1, so a cell of lesser objectness cannot reach the score: the classes
    # are looked at in a few cells only.
    promising = np.flatnonzero(output[0, :, 4] >= min_score)
    rows = output[0, promising]
    classes = rows[:, 5:]
    class_ids = classes.argmax(axis=1)
    scores = rows[:, 4] * classes[np.arange(len(rows)), class_ids]
    picked = best_indices(scores, min_score)
    rows, cells = rows[picked], grid(width, height, strides)[promising[picked]]
    stride = cells[:, 2:]
    centre = (rows[:, :2] + cells[:, :2]) * stride
    # 20 = a box of e^20 strides: keeps an untrained or broken network from overflowing.
    half = 0.5 * np.exp(np.minimum(rows[:, 2:4], 20.0)) * stride
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return Candidates(boxes, scores[picked], class_ids[picked])


def _decode(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    return decode_yolox(outputs["predictions"], card.width, card.height, card.strides, min_score)


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    return {"predictions": [(1, cell_count(card), 5 + len(card.classes))]}


YOLOX = Layout(_decode, _shapes)
