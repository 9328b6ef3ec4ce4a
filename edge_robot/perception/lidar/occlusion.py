"""Tells where a cluster's outline is its own, and where it is cut off from view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_COLUMN = np.deg2rad(0.5)  # of the range image
_ROW = np.deg2rad(1.0)
_ROWS = 90  # from -45° to 45°
_BESIDE = 3  # columns next to a cluster that are looked at
_UPPERMOST = np.float32(np.tan(np.deg2rad(0.5)))  # as steep as that below the steepest ray or less
_DEPTH = 0.3  # m; nearer by more than this is before it, not part of it


def find_cuts(
    xyz: NDArray[np.float32],
    starts: NDArray[np.intp],
    occluders: NDArray[np.float32],
    sweep: NDArray[np.float32],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where clusters are cut off by nearer things, and where by the limits of the view.

    What is cut off on both sides by nearer things is the gap, not an object: it moves when the
    sensor moves. Typically a piece of wall behind shelves.

    Args:
        xyz: (N, 3) m, sensor frame, ordered by cluster.
        starts: (C,) first index of each cluster.
        occluders: (M, 3) every point that may stand before something.
        sweep: (K, 3) every point: that is how far the sensor looks around and up.

    Returns:
        (C, 2): left and right end of each cluster are cut off by nearer things.
        (C, 3): left end, right end and top are cut off by the limits of the view.
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
    ends = np.stack([(first + left)[:, None] + beside, (first + right)[:, None] - beside], axis=1)
    ends %= columns
    hidden = np.empty((len(starts), 2), bool)
    for i in range(len(starts)):
        rows = image[bottom[i] : top[i] + 1]
        hidden[i] = np.any(rows[:, ends[i]] < nearest[i] - _DEPTH, axis=(0, 2))

    looked = np.zeros(columns, bool)
    looked[_columns(sweep, columns)] = True
    steepest = _rise(sweep).max()
    own = np.maximum.reduceat(_rise(xyz), starts)
    outside = np.column_stack([~np.any(looked[ends], axis=2), own > steepest - _UPPERMOST])
    return hidden, outside


def _cells(
    xyz: NDArray[np.float32], columns: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    distance = np.hypot(xyz[:, 0], xyz[:, 1])
    row = np.floor(np.arctan2(xyz[:, 2], distance) / _ROW).astype(np.intp) + _ROWS // 2
    return _columns(xyz, columns), np.clip(row, 0, _ROWS - 1), distance


def _columns(xyz: NDArray[np.float32], columns: int) -> NDArray[np.intp]:
    return (np.arctan2(xyz[:, 1], xyz[:, 0]) / _COLUMN).astype(np.intp) % columns


def _rise(xyz: NDArray[np.float32]) -> NDArray[np.floating]:
    """Return how steeply upward each point is seen, m per m."""
    return xyz[:, 2] / np.maximum(np.hypot(xyz[:, 0], xyz[:, 1]), np.float32(1e-3))
