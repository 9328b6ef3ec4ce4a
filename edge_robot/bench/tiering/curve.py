"""Accuracy against the share of frames uploaded, for any ranking of the frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.tiering.mixture import ClassMixture


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


def curve(classes: Sequence[ClassMixture], order: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean average precision after 0 … N frames are uploaded in this order, (N+1,)."""
    rank = np.argsort(order)
    uploads = np.arange(len(order) + 1)
    total = np.zeros(len(order) + 1)
    for item in classes:
        ranks = rank[item.frames]
        steps = np.sort(ranks)  # only there does the precision of this class change
        values = item.precision(ranks[None, :] <= np.concatenate([[-1], steps])[:, None])
        total += values[np.searchsorted(steps, uploads, side="left")]
    return total / len(classes)


def oracle_order(classes: Sequence[ClassMixture], frames: int) -> NDArray[np.int64]:
    """Return the order of a policy that knows the labels: the greatest true gain, each time.

    Greedy, hence no upper bound of all orders; but what knowing each answer beforehand would buy.
    """
    uploaded = np.zeros(frames, bool)
    gains = np.zeros((len(classes), frames))
    order: list[int] = []
    stale = list(range(len(classes)))
    while len(order) < frames:
        for k in stale:
            chosen = uploaded[classes[k].frames]
            with_one_more = chosen | np.eye(len(chosen), dtype=bool)
            values = classes[k].precision(np.vstack([chosen, with_one_more]))
            gains[k, classes[k].frames] = values[1:] - values[0]
        best = int(np.argmax(np.where(uploaded, -np.inf, gains.sum(axis=0))))
        uploaded[best] = True
        order.append(best)
        stale = [k for k, item in enumerate(classes) if best in item.frames]
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
