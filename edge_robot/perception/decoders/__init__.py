"""From a network's output tensors to scored boxes, one module per public output layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.decoders.candidates import Candidates
from edge_robot.perception.decoders.fastestdet import FASTESTDET
from edge_robot.perception.decoders.layout import Layout, fits, shown
from edge_robot.perception.decoders.nanodet_plus import NANODET_PLUS
from edge_robot.perception.decoders.rt_detr import RT_DETR
from edge_robot.perception.decoders.ssd import SSD
from edge_robot.perception.decoders.yolov5 import YOLOV5
from edge_robot.perception.decoders.yolov8 import YOLOV8
from edge_robot.perception.decoders.yolov10 import YOLOV10
from edge_robot.perception.decoders.yolox import YOLOX

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard

LAYOUTS: dict[str, Layout] = {
    "yolox": YOLOX,
    "fastestdet": FASTESTDET,
    "yolov5": YOLOV5,
    "yolov8": YOLOV8,
    "yolov10": YOLOV10,
    "nanodet_plus": NANODET_PLUS,
    "ssd": SSD,
    "rt_detr": RT_DETR,
}
"""Every output layout there is, by the name that a model card gives it."""

UNUSED = "unused"
"""What a card calls an output that does not matter."""


def decode(outputs: Sequence[NDArray], card: ModelCard, min_score: float) -> Candidates:
    """Return candidates above a score, boxes in pixels of the network's input.

    What has a number that is none (NaN, infinite) in its box or score is left out.

    Args:
        outputs: The network's output tensors for one image, in the graph's order.
        card: Says in which layout they are.
        min_score: Lowest score of a candidate.

    Raises:
        UserError: an output has another shape than the card's layout; a graph that leaves its
            shapes open shows that only now.
    """
    layout = LAYOUTS[card.layout]
    wanted = layout.shapes(card)
    by_role = {}
    for role, output in zip(card.roles, outputs, strict=True):
        if role == UNUSED:
            continue
        if not any(fits(output.shape, shape) for shape in wanted[role]):
            raise UserError(
                f"the model gave {role} of shape {shown([output.shape])}, its card needs "
                f"{shown(wanted[role])}; correct the card or take another model"
            )
        by_role[role] = np.asarray(output, np.float32)
    with np.errstate(all="ignore"):  # a broken network's numbers; those that are none go below
        found = layout.decode(by_role, card, min_score)
    sound = np.isfinite(found.boxes).all(axis=1)
    if sound.all():
        return found
    return Candidates(
        found.boxes[sound], found.scores[sound], found.class_ids[sound], final=found.final
    )
