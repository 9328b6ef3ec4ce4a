"""Tells where a cluster's outline is its own, and where it is cut off from view."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.lidar.points import Sweep

_COLUMN = np.deg2rad(0.5)  # of the range image
_ROW = np.deg2rad(1.0)
_ROWS = 90  # from -45° to 45°
_BESIDE = 3  # columns next to a cluster that are looked at
_UPPERMOST = np.float32(np.tan(np.deg2rad(0.5)))  # as steep as that below the steepest ray or less
_DEPTH = 0.3  # m; nearer by more than this is before it, not part of it


def find_cuts(
    members: Sweep, starts: NDArray[np.intp], occluders: Sweep, sweep: Sweep
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where clusters are cut off by nearer things, and where by the limits of the view.

    What is cut off on both sides by nearer things is the gap, not an object: it moves when the
    sensor moves. Typically a piece of wall behind shelves.

    Args:
        members: The clusters' points, ordered by cluster.
        starts: (C,) first index of each cluster.
        occluders: Every point that may stand before something.
        sweep: Every point: that is how far the sensor looks around and up.

    Returns:
        (C, 2): left and right end of each cluster are cut off by nearer things.
        (C, 3): left end, right end and top are cut off by the limits of the view.
    """
    columns = int(np.ceil(2 * np.pi / _COLUMN))
    image = np.full((_ROWS, columns), np.inf, np.float32)
    # Flat: with two indices `at` takes ten times as long.
    at = _rows(occluders) * columns + _columns(occluders, columns)
    np.minimum.at(image.reshape(-1), at, occluders.distance)

    column, row = _columns(members, columns), _rows(members)
    nearest = np.minimum.reduceat(members.distance, starts)
    bottom, top = np.minimum.reduceat(row, starts), np.maximum.reduceat(row, starts)
    # Columns counted from the cluster's first point: a cluster may straddle the image's edge.
    counts = np.diff(starts, append=len(members))
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
    own = np.maximum.reduceat(_rise(members), starts)
    outside = np.column_stack([~np.any(looked[ends], axis=2), own > steepest - _UPPERMOST])
    return hidden, outside


def _rows(points: Sweep) -> NDArray[np.intp]:
    row = np.floor(points.elevation / _ROW).astype(np.intp) + _ROWS // 2
    return np.clip(row, 0, _ROWS - 1)


def _columns(points: Sweep, columns: int) -> NDArray[np.intp]:
    return (points.azimuth / _COLUMN).astype(np.intp) % columns


def _rise(points: Sweep) -> NDArray[np.floating]:
    """Return how steeply upward each point is seen, m per m."""
    return points.xyz[:, 2] / np.maximum(points.distance, np.float32(1e-3))
