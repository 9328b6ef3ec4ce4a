"""Corrects the states of tracks by what is measured of them directly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.kalman import Array
from edge_robot.fusion.motion import MotionModel
from edge_robot.fusion.tracks import TrackSet


def correct(
    tracks: TrackSet, rows: NDArray[np.intp], measured: Array, noise: Array, motion: MotionModel
) -> None:
    """Update some tracks, in place, with their first states as measured.

    Args:
        tracks: N tracks.
        rows: (K,) which of them.
        measured: (K, m) of x, y, vx, vy; m and m/s.
        noise: (K, m, m) its covariance.
        motion: How they move.
    """
    if not len(rows):
        return
    mean = tracks.mean[rows]
    tracks.mean[rows], tracks.covariance[rows], tracks.modes[rows] = motion.update(
        mean,
        tracks.covariance[rows],
        tracks.modes[rows],
        measured[:, None] - mean[..., : measured.shape[1]],
        None,
        noise,
    )
