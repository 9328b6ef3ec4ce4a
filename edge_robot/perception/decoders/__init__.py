"""From a network's output tensors to scored boxes, one module per public output layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.candidates import Candidates
from edge_robot.perception.decoders.fastestdet import decode_fastestdet
from edge_robot.perception.decoders.yolox import decode_yolox

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


def decode(outputs: Sequence[NDArray[np.float32]], card: ModelCard, min_score: float) -> Candidates:
    """Return candidates above a score, boxes in pixels of the network's input.

    Args:
        outputs: The network's output tensors for one image.
        card: Says in which layout they are.
        min_score: Lowest score of a candidate.
    """
    if card.layout == "yolox":
        return decode_yolox(outputs[0], card.width, card.height, card.strides, min_score)
    return decode_fastestdet(outputs[0], card.width, card.height, min_score)
