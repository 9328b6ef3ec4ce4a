"""What an output layout is: which tensors a network gives, of which shapes, and how they decode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.candidates import Candidates
from edge_robot.perception.decoders.grid import grid

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard

Shape: TypeAlias = tuple[int | None, ...]
"""Sizes of a tensor; None where any will do."""

Outputs: TypeAlias = Mapping[str, NDArray[np.float32]]
"""The tensors of one inference, by what they are."""

PREDICTIONS = ("predictions",)
"""What a network with one output gives."""


@dataclass(frozen=True)
class Layout:
    """One public way of writing detections into tensors.

    Attributes:
        decode: From outputs by role, the model's card and the lowest score wanted to candidates.
        shapes: The shapes each role may have, for a card.
        roles: The sets of outputs that it comes in, the usual one first.
        strides: Of its grids where a card names no others, px.
    """

    decode: Callable[[Outputs, ModelCard, float], Candidates]
    shapes: Callable[[ModelCard], Mapping[str, Sequence[Shape]]]
    roles: tuple[tuple[str, ...], ...] = (PREDICTIONS,)
    strides: tuple[int, ...] = (8, 16, 32)


def fits(shape: Sequence[object], wanted: Shape) -> bool:
    """Return whether a tensor's shape (names or None where free) can be the one wanted."""
    return len(shape) == len(wanted) and all(
        want is None or not isinstance(have, int) or have == want
        for have, want in zip(shape, wanted, strict=True)
    )


def shown(shapes: Sequence[Sequence[object]]) -> str:
    """Return alternative shapes for people."""
    return " or ".join(
        "×".join("?" if size is None else str(size) for size in shape) or "one number"
        for shape in shapes
    )


def cell_count(card: ModelCard) -> int:
    """Return the number of cells of a card's grids."""
    return len(grid(card.width, card.height, card.strides))


def corners(centre_size: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, 4) x1 y1 x2 y2 of (N, 4) centre x, centre y, width, height."""
    half = 0.5 * centre_size[:, 2:]
    return np.concatenate([centre_size[:, :2] - half, centre_size[:, :2] + half], axis=1)


def sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logistic function of each value, without overflow."""
    result: NDArray[np.float32] = 0.5 * (1.0 + np.tanh(0.5 * values))
    return result
