"""Which measurement belongs to which track."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from edge_robot.fusion.kalman import Array


def assign(cost: Array, allowed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of the cheapest one-to-one pairing among allowed pairs.

    As many pairs as possible are made; among those pairings the cheapest is taken.

    Args:
        cost: (N, M), finite where allowed.
        allowed: (N, M).
    """
    if not allowed.any():
        return np.empty(0, np.intp), np.empty(0, np.intp)
    candidates = cost[allowed]
    highest = candidates.max()
    # One forbidden pair costs more than any set of allowed pairs can save.
    forbidden = highest + (highest - candidates.min() + 1.0) * (min(cost.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(allowed, cost, forbidden))
    good = allowed[rows, columns]
    return rows[good], columns[good]


def assign_in_turn(
    cost: Array, allowed: NDArray[np.bool_], sure: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair the rows with the sure columns first, and those left over with the others.

    So a doubtful detection can keep a track alive, but never takes it from a sure one (Zhang et
    al.: ByteTrack, ECCV 2022).

    Args:
        cost: (N, M), as `assign` has it.
        allowed: (N, M).
        sure: (M,) whether a column takes part in the first pass.

    Returns:
        Rows and columns of the pairs.
    """
    rows, columns = assign(cost, allowed & sure)
    rest = allowed & ~sure
    rest[rows] = False
    more_rows, more_columns = assign(cost, rest)
    return np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])
