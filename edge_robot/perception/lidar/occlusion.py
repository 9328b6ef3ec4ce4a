"""Tells clusters whose outline is their own from those cut out by what stands before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_COLUMN = np.deg2rad(0.5)  # of the range image
_ROW = np.deg2rad(1.0)
_ROWS = 90  # from -45° to 45°
_BESIDE = 3  # columns next to a cluster that are looked at
_DEPTH = 0.3  # m; nearer by more than this is before it, not part of it


def seen_through_gaps(
    xyz: NDArray[np.float32], starts: NDArray[np.intp], occluders: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return which clusters are cut off by nearer things on their left and on their right.

    What is seen of them is the gap, not the object: it moves when the sensor moves. Typically
    a piece of wall behind shelves.

    Args:
        xyz: (N, 3) m, sensor frame, ordered by cluster.
        starts: (C,) first index of each cluster.
        occluders: (M, 3) every point that may stand before something.
    """
    columns = int(np.ceil(2 * np.pi / _COLUMN))
    image = np.full((_ROWS, columns), np.inf, np.float32)
    column, row, distance = _cells(occluders, columns)
    np.minimum.at(image, (row, column), distance)

    column, row, distance = _cells(xyz, columns)
    nearest = np.minimum.reduceat(distance, starts)
    bottom, top = np.minimum.reduceat(row, starts), np.maximum.reduceat(row, starts)
    # Columns counted from the cluster's first point: a cluster may straddle the image's edge.
    counts = np.diff(starts, append=len(xyz))
    first = column[starts]
    offset = (column - np.repeat(first, counts) + columns // 2) % columns - columns // 2
    left, right = np.maximum.reduceat(offset, starts), np.minimum.reduceat(offset, starts)

    beside = np.arange(1, _BESIDE + 1)
    found = np.empty(len(starts), bool)
    for i in range(len(starts)):
        rows = image[bottom[i] : top[i] + 1]
        limit = nearest[i] - _DEPTH
        found[i] = (rows[:, (first[i] + left[i] + beside) % columns] < limit).any() and (
            rows[:, (first[i] + right[i] - beside) % columns] < limit
        ).any()
    return found


def _cells(
    xyz: NDArray[np.float32], columns: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    distance = np.hypot(xyz[:, 0], xyz[:, 1])
    column = (np.arctan2(xyz[:, 1], xyz[:, 0]) / _COLUMN).astype(np.intp) % columns
    row = np.floor(np.arctan2(xyz[:, 2], distance) / _ROW).astype(np.intp) + _ROWS // 2
    return column, np.clip(row, 0, _ROWS - 1), distance
