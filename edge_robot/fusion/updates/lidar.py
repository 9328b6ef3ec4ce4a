"""Applies the boxes of one lidar sweep to the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.angles import wrapped
from edge_robot.fusion.association import assign
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import LidarMeasurement, Source
from edge_robot.fusion.tracks import NEVER, SOURCES, TrackSet, birth_keys, updated_existence
from edge_robot.fusion.updates.result import Updated
from edge_robot.fusion.updates.states import correct

_LIDAR = SOURCES.index(Source.LIDAR)
_HEIGHT_SPREAD = 0.5  # m; sparse beams leave the top of a box this uncertain
_GROW, _SHRINK = 0.3, 0.05  # what is seen is there; what is not seen may be hidden
_TURN = 0.2  # share of a new heading that is taken over
_UPRIGHT, _SLIM = 1.5, 1.0  # figures are taller than so many lengths, and shorter than this, m
_ROUND = 0.05  # m; how far a figure's middle lies behind that of its front half
_SURE = 0.05  # what clearly moves stands with no more probability than this …
_SURE_SWEEPS = 2  # … after so many successive sweeps in which it more probably moves


@dataclass(frozen=True)
class _Boxes:
    """The sweep's boxes in the fixed frame."""

    center: Array  # (M, 3)
    size: Array  # (M, 3)
    yaw: Array  # (M,)
    sight: Array  # (M, 2) unit vector from the sensor to each box
    range: Array  # (M,)
    hidden: Array  # (M, 2, 2) of the middle of what is seen against that of the whole


@dataclass(frozen=True)
class _Pairs:
    """Every track against every box; N × M."""

    position: Array  # (N, M, 2) where the box puts the track's centre
    noise: Array  # (N, M, 2, 2)
    turn: Array  # (N, M) rad, heading of the box against the track's, nearest quarter turn removed
    extent: Array  # (N, M, 2) the box's extent along the track's length and width
    lean: Array  # (N, M, 2, 2) how far the centre moves for each metre of length and width


def update_with_lidar(
    tracks: TrackSet,
    measurement: LidarMeasurement,
    class_names: Sequence[str],
    config: TrackerConfig,
) -> Updated:
    """Apply a sweep to tracks already predicted to it, in place.

    `class_names` are the columns of `tracks.classes`.
    """
    boxes = _in_fixed_frame(measurement)
    slim = _are_slim(tracks)
    figures = slim & _may_walk(tracks, class_names, config)
    pairs = _compare(tracks, boxes, figures, config)
    mean, covariance = config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
    innovation = pairs.position - mean[:, None, :2]
    noise = measurement.treatment.noise_scale * pairs.noise
    spread = covariance[:, None, :2, :2] + noise
    distance, log_det = kalman.distance_and_log_det(innovation, spread)
    taller = (boxes.size[:, 2] - tracks.size[:, None, 2]) / _HEIGHT_SPREAD
    cost = distance + log_det + taller**2
    rows, columns = assign(cost, distance < config.gate)

    correct(tracks, rows, pairs.position[rows, columns], noise[rows, columns], config.motion)
    _reshape(tracks, boxes, pairs, rows, columns, figures[rows])

    hit = np.zeros(len(tracks), bool)
    hit[rows] = True
    # What another lidar sees may be out of this one's view.
    known = np.array([measurement.sensor in lidars for lidars in tracks.lidars], bool)
    missed = 1.0 - config.lidar_detection * known
    odds = np.where(hit, config.lidar_evidence, missed)
    tracks.existence[:] = updated_existence(tracks.existence, odds)
    tracks.seen[rows, _LIDAR] = measurement.stamp
    for row in rows[~known[rows]]:
        tracks.lidars[row] |= {measurement.sensor}
    tracks.hits[rows] += 1
    standing = config.motion.standing(tracks.modes[rows])
    near = slim[rows] & (boxes.range[columns] <= config.figure_range)
    # Two lidars that are mounted a little otherwise than is said make things jump to and fro.
    near &= np.array([len(lidars) == 1 for lidars in tracks.lidars[rows]], bool)
    sweeps = tracks.moving[rows] + 1
    sure = near & (standing <= _SURE) & (sweeps >= _SURE_SWEEPS)
    sweeps[sure] = np.maximum(sweeps[sure], config.moving_sweeps)
    tracks.moving[rows] = np.where(standing < 0.5, sweeps, 0)

    keys = birth_keys(measurement)
    nis = np.full(len(measurement), np.nan)
    nis[columns] = kalman.squared_distance(
        innovation[rows, columns], covariance[rows, :2, :2] + pairs.noise[rows, columns]
    )
    born = np.ones(len(measurement), bool)
    born[columns] = False
    keys[columns] = tracks.keys[rows]
    if born.any():
        tracks = tracks.join(_births(measurement, boxes, keys, born, tracks, config))
    return Updated(tracks, keys, nis, np.where(born, 0, 2))


def _in_fixed_frame(measurement: LidarMeasurement) -> _Boxes:
    pose = measurement.fixed_from_sensor
    center = measurement.centers @ pose[:3, :3].T + pose[:3, 3]
    heading = np.stack([np.cos(measurement.yaws), np.sin(measurement.yaws)], axis=1)
    heading = heading @ pose[:2, :2].T
    offset = center[:, :2] - pose[:2, 3]
    distance = np.hypot(offset[:, 0], offset[:, 1])
    return _Boxes(
        center=center,
        size=np.asarray(measurement.sizes, float),
        yaw=np.arctan2(heading[:, 1], heading[:, 0]),
        sight=offset / np.maximum(distance, 1e-6)[:, None],
        range=distance,
        hidden=_hidden(measurement),
    )


def _hidden(measurement: LidarMeasurement) -> Array:
    """Return the second moments of how far centres are off for what is out of sight, (M, 2, 2)."""
    if measurement.covariances is None:
        return np.zeros((len(measurement), 2, 2))
    turn = measurement.fixed_from_sensor[:2, :2]
    return kalman.congruence(turn, measurement.covariances)


def _are_slim(tracks: TrackSet) -> NDArray[np.bool_]:
    """Return which tracks are slim and upright, as people are, (N,)."""
    longest = tracks.size[:, :2].max(axis=1)
    return np.asarray((longest < _SLIM) & (tracks.size[:, 2] > _UPRIGHT * longest))


def _may_walk(
    tracks: TrackSet, class_names: Sequence[str], config: TrackerConfig
) -> NDArray[np.bool_]:
    """Return which tracks, if they are slim, are of people or the like, (N,).

    Either a class says so or they move: what stands may be the part that is in sight of something
    else.
    """
    short = [name in config.priors and config.priors[name].length < _SLIM for name in class_names]
    kind = tracks.kind
    moves = config.motion.standing(tracks.modes) < 0.5
    return np.asarray(np.array([*short, False])[kind] | ((kind < 0) & moves))


def _compare(
    tracks: TrackSet, boxes: _Boxes, figures: NDArray[np.bool_], config: TrackerConfig
) -> _Pairs:
    """Work out where each box would put each track's centre.

    A lidar sees the near faces only, and more or less of the rest from sweep to sweep. So the
    faces towards the sensor hold the box in place, and the track's own size, gathered over time,
    says how far behind them the centre lies: a newly seen flank moves no centre. Limbs make the
    outline of people swell and shrink; of them the middle of what is seen, their front half, holds.
    """
    turn = boxes.yaw - tracks.yaw[:, None]
    quarter = np.rint(turn / (np.pi / 2))
    turn = turn - quarter * (np.pi / 2)
    odd = (quarter.astype(int) % 2 == 1)[..., None]
    extent = np.where(odd, boxes.size[:, 1::-1], boxes.size[:, :2])
    # A size that is only a class's prior says nothing about this box.
    seen = (tracks.seen[:, _LIDAR] > NEVER)[:, None, None]
    figures = figures[:, None, None]
    hidden = np.where(seen & ~figures, tracks.size[:, None, :2] - extent, 0.0)

    yaw = tracks.yaw[:, None] + turn
    axes = np.empty((*yaw.shape, 2, 2))  # of length and width
    axes[..., 0, 0] = axes[..., 1, 1] = np.cos(yaw)
    axes[..., 0, 1] = sin = np.sin(yaw)
    axes[..., 1, 0] = -sin
    facing = np.einsum("nmak,mk->nma", axes, boxes.sight)
    # Along the line of sight the near face holds; across it both faces are seen.
    pinned = np.minimum(np.maximum(2.0 * facing, -1.0), 1.0)
    lean = 0.5 * pinned[..., None] * axes
    position = boxes.center[:, :2] + np.einsum("nma,nmak->nmk", hidden, lean)
    position += _ROUND * figures * boxes.sight

    sigma = config.lidar_noise + config.lidar_range_noise * boxes.range
    # The less a face is turned to the sensor, the less is known of how much is hidden behind it.
    unsure = config.hidden_noise * (1.5 - np.abs(pinned)) * np.abs(hidden)
    noise = np.einsum("nma,nmak,nmal->nmkl", unsure**2, axes, axes)
    noise += sigma[:, None, None] ** 2 * np.eye(2)
    return _Pairs(position, noise, turn, extent, lean)


def _reshape(
    tracks: TrackSet,
    boxes: _Boxes,
    pairs: _Pairs,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    figures: NDArray[np.bool_],
) -> None:
    """Let the boxes' shape and height above ground flow into their tracks', in place."""
    first = tracks.seen[rows, _LIDAR] == NEVER
    seen_size = np.concatenate([pairs.extent[rows, columns], boxes.size[columns, 2:]], axis=1)
    old = tracks.size[rows]
    share = np.where(seen_size > old, _GROW, _SHRINK)
    share[first] = 1.0
    change = share * (seen_size - old)
    tracks.size[rows] = old + change
    # The near faces stay where they are while the box grows behind them.
    change[first | figures] = 0.0
    shift = np.einsum("na,nak->nk", change[:, :2], pairs.lean[rows, columns])
    tracks.mean[rows, :, :2] += shift[:, None]
    turned = tracks.yaw[rows] + np.where(first, 1.0, _TURN) * pairs.turn[rows, columns]
    tracks.yaw[rows] = wrapped(turned)
    old_hidden = tracks.hidden[rows]
    new_hidden = np.where(figures[:, None, None], 0.0, boxes.hidden[columns])
    less = np.einsum("nkk->n", new_hidden) < np.einsum("nkk->n", old_hidden)
    gain = np.where(first | figures, 1.0, np.where(less, _GROW, _SHRINK))
    tracks.hidden[rows] = old_hidden + gain[:, None, None] * (new_hidden - old_hidden)
    bottom = boxes.center[columns, 2] - boxes.size[columns, 2] / 2
    tracks.bottom[rows] += np.where(first, 1.0, _GROW) * (bottom - tracks.bottom[rows])


def _births(
    measurement: LidarMeasurement,
    boxes: _Boxes,
    keys: NDArray[np.object_],
    born: NDArray[np.bool_],
    tracks: TrackSet,
    config: TrackerConfig,
) -> TrackSet:
    count = int(born.sum())
    sigma = config.lidar_noise + config.lidar_range_noise * boxes.range[born]
    sigma *= np.sqrt(measurement.treatment.noise_scale)
    return TrackSet.born(
        measurement,
        keys[born],
        config.motion.start(boxes.center[born, :2], sigma[:, None, None] ** 2 * np.eye(2)),
        size=boxes.size[born],
        hidden=boxes.hidden[born],
        yaw=boxes.yaw[born],
        bottom=boxes.center[born, 2] - boxes.size[born, 2] / 2,
        existence=0.5 * np.asarray(measurement.scores, float)[born],
        classes=np.zeros((count, tracks.classes.shape[1])),
    )
