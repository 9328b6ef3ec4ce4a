"""Applies the tracks of a peer to the tracks, by covariance intersection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.association import assign
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.intersection import intersection_weight
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import PeerMeasurement, Source
from edge_robot.fusion.tracks import NEVER, SOURCES, TrackSet, birth_keys
from edge_robot.fusion.updates.result import Updated
from edge_robot.fusion.updates.states import correct

_CAMERA, _LIDAR, _FLEET, _PEER = (
    SOURCES.index(s) for s in (Source.CAMERA, Source.LIDAR, Source.FLEET, Source.PEER)
)
_OTHER_CLASS = 4.0  # cost of a pair whose classes differ, in squared standard deviations
_NOWHERE = 1e4  # m²; variance of a place nothing is known of


def update_with_peer(
    tracks: TrackSet,
    measurement: PeerMeasurement,
    class_names: Sequence[str],
    config: TrackerConfig,
) -> Updated:
    """Apply a peer's tracks to tracks already predicted to them, in place.

    What is known already is corrected as far as covariance intersection allows; how surely it
    exists and what it is are never added up, only taken over where the peer is surer, and named
    only where nothing here has named it: what comes back is no news, however often it comes. So
    the innovations have no known distribution, and none is told.

    `class_names` are the columns of `tracks.classes`; every label of the measurement is among
    them.
    """
    state = np.hstack([measurement.positions[:, :2], measurement.velocities])
    mean, covariance = config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
    apart = state - mean[:, None]
    spread = covariance[:, None] + measurement.covariances
    distance, log_det = kalman.distance_and_log_det(apart[..., :2], spread[..., :2, :2])
    votes = _votes(measurement, class_names)
    named = (tracks.classes > 0.0).any(axis=1, keepdims=True) & (votes > 0.0).any(axis=1)
    differs = named & (tracks.classes @ votes.T == 0.0)
    cost = distance + log_det + _OTHER_CLASS * differs
    near: NDArray[np.bool_] = np.asarray(distance < config.gate)
    rows, columns = assign(cost, near)
    # At the right place with a wrong velocity it is no other thing, but not to be believed.
    sound = kalman.squared_distance(apart[rows, columns], spread[rows, columns]) < config.gate
    rows, columns = rows[sound], columns[sound]

    told = measurement.covariances[columns]
    weight = intersection_weight(covariance[rows], told)
    tracks.covariance[rows] /= weight[:, None, None, None]
    correct(tracks, rows, state[columns], told / (1.0 - weight)[:, None, None], config.motion)
    _describe(tracks, rows, columns, measurement, votes)
    believed = config.peers.peer_authority * measurement.scores
    tracks.existence[rows] = np.maximum(tracks.existence[rows], believed[columns])
    tracks.seen[rows, _PEER] = measurement.stamp
    tracks.hits[rows] += 1

    keys = birth_keys(measurement)
    born = np.asarray(~near.any(axis=0))
    if born.any():
        tracks = tracks.join(_births(measurement, keys, born, state, votes, believed, config))
    keys[~born] = None
    keys[columns] = tracks.keys[rows]
    count = len(measurement)
    return Updated(tracks, keys, np.full(count, np.nan), np.zeros(count, np.int64))


def _votes(measurement: PeerMeasurement, class_names: Sequence[str]) -> Array:
    """Return (M, C) what the peer says of classes; nothing of those that are none here."""
    votes = np.zeros((len(measurement), len(class_names)))
    for row, label in enumerate(measurement.labels):
        if label in class_names:
            votes[row, class_names.index(label)] = measurement.label_scores[row]
    return votes


def _describe(
    tracks: TrackSet,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    measurement: PeerMeasurement,
    votes: Array,
) -> None:
    """Take over shape and class, in place, where nothing here has seen them."""
    unseen = tracks.seen[rows, _LIDAR] == NEVER
    r, c = rows[unseen], columns[unseen]
    tracks.size[r], tracks.yaw[r] = measurement.sizes[c], measurement.yaws[c]
    tracks.bottom[r] = measurement.positions[c, 2] - measurement.sizes[c, 2] / 2
    unnamed = (tracks.seen[rows][:, [_CAMERA, _FLEET]] == NEVER).all(axis=1)
    tracks.classes[rows[unnamed]] = votes[columns[unnamed]]


def _births(
    measurement: PeerMeasurement,
    keys: NDArray[np.object_],
    born: NDArray[np.bool_],
    state: Array,
    votes: Array,
    existence: Array,
    config: TrackerConfig,
) -> TrackSet:
    count = int(born.sum())
    nowhere = np.tile(_NOWHERE * np.eye(2), (count, 1, 1))
    births = TrackSet.born(
        measurement,
        keys[born],
        config.motion.start(state[born, :2], nowhere),
        size=measurement.sizes[born],
        yaw=measurement.yaws[born],
        bottom=measurement.positions[born, 2] - measurement.sizes[born, 2] / 2,
        existence=existence[born],
        classes=votes[born],
    )
    correct(births, np.arange(count), state[born], measurement.covariances[born], config.motion)
    return births
