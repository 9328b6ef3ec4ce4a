"""Accuracy against the share of frames uploaded, for any ranking of the frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.tiering.mixture import TierMixture

DRAWS = 100
"""Random orders averaged over where a ranking leaves the order of frames open."""


def orders(
    values: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return orders of upload, greatest value first, frames of equal value in random order.

    One order where no two values are equal: more would be the same.

    Args:
        values: (N,) one per frame.
        draws: Number of orders.
        rng: Source of chance.
    """
    if len(np.unique(values)) == len(values):
        draws = 1
    return [np.lexsort((rng.uniform(size=len(values)), -values)) for _ in range(draws)]


def curve(mixture: TierMixture, order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean average precision after 0 … N frames are uploaded in this order, (N+1,)."""
    uploaded = np.zeros(len(order), bool)
    precisions = mixture.class_precisions(uploaded)
    values = [precisions.mean()]
    for frame in order:
        uploaded[frame] = True
        classes = mixture.classes_of[frame]
        precisions[classes] = mixture.class_precisions(uploaded, classes)
        values.append(precisions.mean())
    return np.array(values)


def oracle_order(mixture: TierMixture, frames: int) -> NDArray[np.int64]:
    """Return the order of a policy that knows the labels: the greatest true gain, each time.

    Greedy, hence no upper bound of all orders; but what knowing each answer beforehand would buy.
    """
    uploaded = np.zeros(frames, bool)
    order: list[int] = []
    while len(order) < frames:
        precisions = mixture.class_precisions(uploaded)
        left = np.flatnonzero(~uploaded)
        best = int(left[int(np.argmax([mixture.gain(int(f), uploaded, precisions) for f in left]))])
        uploaded[best] = True
        order.append(best)
    return np.array(order)


def caught(marked: NDArray[np.bool_], order: NDArray[np.int64], share: float) -> float:
    """Return the part of the marked frames among those uploaded at a share; NaN if none is marked.

    Args:
        marked: (N,) the frames that matter.
        order: Order of upload.
        share: Of the frames that are uploaded, 0..1; rounded down to whole frames.
    """
    if not marked.any():
        return float("nan")
    first = order[: int(share * len(order) + 1e-9)]
    return float(np.count_nonzero(marked[first]) / np.count_nonzero(marked))
