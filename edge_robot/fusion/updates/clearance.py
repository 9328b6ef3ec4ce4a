"""Applies what a lidar sees past to the tracks of what only cameras have seen.

A camera tells the bearing of a person well and the range badly: of someone partly out of sight,
whose feet or head it does not see, by a metre and more. Where the lidar's beams pass, there is no
one. That is evidence like any other (Koch 2007: On exploiting 'negative' sensor evidence for target
tracking and sensor data fusion): not to have been met is unlikely in empty space, and says nothing
where beams end or do not go. So where more than a little of a track's place lies in empty space,
the probability of its existence falls by what does, and the place moves to where the rest lies, as
a rule behind. Where little does, nothing is changed: sweeps see the same ten times a second, and
what each would take from the near side would add up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import ClearanceMeasurement, Source
from edge_robot.fusion.tracks import NEVER, SOURCES, TrackSet, updated_existence
from edge_robot.fusion.updates.result import Updated

_CAMERAS = [SOURCES.index(Source.CAMERA), SOURCES.index(Source.FLEET)]
_OTHERS = [index for index in range(len(SOURCES)) if index not in _CAMERAS]
_BELIEVED = 0.85  # share of a place that is not denied from which it stays as it is
_BEHIND = 0.3  # m; nearer behind a place than this, beams may end on who stands there
_BODY = np.linspace(-0.12, 0.12, 5)  # m to the side; limbs are slimmer, and there is a gap between


def update_with_clearance(
    tracks: TrackSet, measurement: ClearanceMeasurement, config: TrackerConfig
) -> Updated:
    """Apply a sweep's clearance to tracks already predicted to it, in place."""
    seen = tracks.seen > NEVER
    by_camera = seen[:, _CAMERAS].any(axis=1) & ~seen[:, _OTHERS].any(axis=1)
    rows = np.flatnonzero(by_camera & (tracks.size[:, 2] >= config.clear_height))
    if len(rows):
        mean, covariance, modes = tracks.mean[rows], tracks.covariance[rows], tracks.modes[rows]
        origin = measurement.fixed_from_sensor[:2, 3]
        points, weights = _samples(mean[..., :2], covariance[..., :2, :2], origin, config)
        # A lidar that others contradict denies the less.
        detection = config.clear_detection / measurement.treatment.noise_scale
        undenied = 1.0 - detection * _empty(measurement, points, origin)
        believed = (undenied[..., : len(_WEIGHTS)] @ _WEIGHTS) >= _BELIEVED
        weights = weights * np.where(believed[..., None], 1.0, undenied)
        left = weights.sum(axis=-1)
        mean, covariance = _moved(mean, covariance, points, weights / left[..., None], believed)
        tracks.mean[rows], tracks.covariance[rows] = mean, covariance
        odds = (modes * left).sum(axis=1)
        tracks.modes[rows] = modes * left / odds[:, None]
        tracks.existence[rows] = updated_existence(tracks.existence[rows], odds)
    return Updated(tracks, np.empty(0, object), np.empty(0), np.empty(0, np.int64))


def _empty(measurement: ClearanceMeasurement, points: Array, origin: Array) -> Array:
    """Return for each point (..., 2) how far the lidar denies that someone stands there, 0..1."""
    sight = points - origin
    sight = sight / np.maximum(np.hypot(sight[..., 0], sight[..., 1]), 1e-6)[..., None]
    across = sight[..., ::-1] * (-1.0, 1.0)
    body = (
        points[..., None, :] + _BEHIND * sight[..., None, :] + _BODY[:, None] * across[..., None, :]
    )
    past = measurement.seen_past(body).mean(axis=-1)
    return np.maximum(2.0 * past - 1.0, 0.0)


def _samples(
    mean: Array, covariance: Array, origin: Array, config: TrackerConfig
) -> tuple[Array, Array]:
    """Return where things may stand, (R, J, K, 2), and how probable that is, (R, J, K).

    First as they are believed to, at `_GRID`. With some probability the range is of someone partly
    out of sight, and off by more: these come then.
    """
    sight = mean - origin
    far = (config.hidden_range_error**2 * sight[..., :, None]) * sight[..., None, :]
    share = config.hidden_share
    spread = np.stack([covariance, covariance + far], axis=2)  # (R, J, 2, 2, 2)
    values, vectors = np.linalg.eigh(spread)
    axes = vectors * np.sqrt(np.maximum(values, 1e-9))[..., None, :]
    points = mean[:, :, None, None] + np.einsum("rjsxa,ka->rjskx", axes, _GRID)
    weights = np.array([1.0 - share, share])[:, None] * _WEIGHTS
    weights = np.broadcast_to(weights, points.shape[:-1])
    count = points.shape[2] * points.shape[3]
    return points.reshape(*mean.shape[:2], count, 2), weights.reshape(*mean.shape[:2], count)


def _moved(
    mean: Array, covariance: Array, points: Array, weights: Array, same: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return the states with their places as samples have them; the rest follows the place.

    Those that are the `same`, (R, J), stay as they are.
    """
    place = np.einsum("rjk,rjkx->rjx", weights, points)
    off = points - place[:, :, None]
    spread = np.einsum("rjk,rjkx,rjky->rjxy", weights, off, off)
    known = covariance[..., :2, :2]
    gain = covariance[..., :2] @ kalman.inverse(known)[0]
    moved = mean + np.matvec(gain, place - mean[..., :2])
    changed = covariance + kalman.congruence(gain, spread - known)
    return (
        np.where(same[..., None], mean, moved),
        np.where(same[..., None, None], covariance, changed),
    )


def _grid() -> tuple[Array, Array]:
    """Return points (K, 2) and weights (K,), of mean 0 and variance 1, finer along the second."""
    shorter, longer = np.linspace(-1.5, 1.5, 3), np.linspace(-3.0, 3.0, 19)
    points = np.stack(np.meshgrid(shorter, longer, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.exp(-0.5 * (points**2).sum(axis=1))
    weights /= weights.sum()
    return points / np.sqrt(weights @ points**2), weights


_GRID, _WEIGHTS = _grid()
