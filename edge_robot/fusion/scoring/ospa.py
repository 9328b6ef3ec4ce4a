"""OSPA: one distance between a set of tracks and the set of true objects.

Schuhmacher, Vo, Vo: A Consistent Metric for Performance Evaluation of Multi-Object Filters, IEEE
Transactions on Signal Processing 56 (2008), equation (3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ospa:
    """The distance and its parts: distanceᵖ = localisationᵖ + cardinalityᵖ for order p.

    Attributes:
        distance: m, from 0 to the cutoff.
        localisation: What the distances of the pairs contribute, m.
        cardinality: What the difference in number contributes, m.
    """

    distance: float
    localisation: float
    cardinality: float


def ospa(truth: Array, tracks: Array, *, cutoff: float, order: float) -> Ospa:
    """Return the OSPA distance of two sets of points; 0 for two empty sets.

    Args:
        truth: (N, d) m.
        tracks: (M, d) m.
        cutoff: Distance at which a pair is as bad as a missed object or a false track, m.
        order: Exponent p ≥ 1; the larger, the more single large errors count.

    Raises:
        ValueError: the cutoff is not positive or the order below 1.
    """
    if not (cutoff > 0.0 and order >= 1.0):
        raise ValueError(f"OSPA needs cutoff > 0 and order ≥ 1, not {cutoff} and {order}")
    count = max(len(truth), len(tracks))
    if not count:
        return Ospa(0.0, 0.0, 0.0)
    costs = np.minimum(distances(truth, tracks), cutoff) ** order
    rows, columns = linear_sum_assignment(costs)
    located = float(costs[rows, columns].sum()) / count
    unpaired = cutoff**order * abs(len(truth) - len(tracks)) / count
    return Ospa(
        (located + unpaired) ** (1.0 / order), located ** (1.0 / order), unpaired ** (1.0 / order)
    )


def distances(a: Array, b: Array) -> Array:
    """Return the Euclidean distance of every point of `a` to every point of `b`, (N, M)."""
    return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=-1))
