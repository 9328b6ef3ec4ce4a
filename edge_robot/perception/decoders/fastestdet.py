"""Layout `fastestdet`: one cell per grid position.

1×(5+C)×H×W: objectness, x y (before tanh, cells), w h (before sigmoid, fractions of the image),
class scores in 0..1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.candidates import Candidates, best_indices
from edge_robot.perception.decoders.layout import Layout, Outputs, Shape

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


def decode_fastestdet(
    output: NDArray[np.float32], width: int, height: int, min_score: float
) -> Candidates:
    """Decode a 1×(5+C)×H×W `fastestdet` output of a network with a width × height input.

    The score is objectness^0.6 × class score^0.4, as its authors define it.
    """
    channels, rows, columns = output.shape[1:]
    cells = output[0].reshape(channels, rows * columns)
    weights = np.maximum(cells[0], 0.0) ** 0.6
    # No class score is above 1: the classes are looked at only where the objectness suffices.
    promising = np.flatnonzero(weights >= min_score)
    cells = cells[:, promising].T
    classes = cells[:, 5:]
    class_ids = classes.argmax(axis=1)
    best_class = classes[np.arange(len(cells)), class_ids]
    scores = weights[promising] * np.maximum(best_class, 0.0) ** 0.4
    picked = best_indices(scores, min_score)
    place = promising[picked]
    column_row = np.stack([place % columns, place // columns], axis=1)
    cells = cells[picked]
    size = np.array([width, height], np.float32)
    centre = (np.tanh(cells[:, 1:3]) + column_row) / np.array([columns, rows]) * size
    half = 0.5 * size / (1.0 + np.exp(-np.clip(cells[:, 3:5], -60.0, 60.0)))
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return Candidates(boxes, scores[picked], class_ids[picked])


def _decode(outputs: Outputs, card: ModelCard, min_score: float) -> Candidates:
    return decode_fastestdet(outputs["predictions"], card.width, card.height, min_score)


def _shapes(card: ModelCard) -> dict[str, list[Shape]]:
    return {"predictions": [(1, 5 + len(card.classes), None, None)]}


FASTESTDET = Layout(_decode, _shapes)
