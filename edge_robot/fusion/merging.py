"""Joins tracks that turn out to be of one thing: one that only cameras saw, one that none did.

A camera box alone may start a track at a wrong range, where the lidar's box of the same thing does
not reach it; later images put it right, and two tracks are left at one place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.association import assign
from edge_robot.fusion.config import UNKNOWN, TrackerConfig
from edge_robot.fusion.measurements import Source
from edge_robot.fusion.tracks import NEVER, SOURCES, TrackSet, updated_existence

_SEES_RANGE = SOURCES.index(Source.LIDAR)
_SEES_BEARING = [SOURCES.index(Source.CAMERA), SOURCES.index(Source.FLEET)]
_AGREE = 9.49  # squared Mahalanobis distance of x, y, vx, vy: 95 % of pairs of one thing are nearer
_KNOWN = 0.7  # m; a place less sure than this agrees with anything
_HITS = 3  # measurements that both must have had


def merge_agreeing(tracks: TrackSet, class_names: Sequence[str], config: TrackerConfig) -> TrackSet:
    """Return the tracks with those joined that are of one thing.

    Place, motion and extent are kept as the range sensor has them, which are far more certain; the
    name is the camera's, the identity that of the one published first, and both speak for its
    existence.

    Args:
        tracks: N tracks, at one instant.
        class_names: The columns of `tracks.classes`.
        config: The tracker's parameters.
    """
    by_bearing = (tracks.seen[:, _SEES_BEARING] > NEVER).any(axis=1)
    if not by_bearing.any():
        return tracks
    by_range = tracks.seen[:, _SEES_RANGE] > NEVER
    settled = tracks.hits >= _HITS
    cameras = np.flatnonzero(by_bearing & ~by_range & settled)
    ranges = np.flatnonzero(by_range & ~by_bearing & settled)
    if not len(cameras) or not len(ranges):
        return tracks
    pairs = _pairs(tracks, cameras, ranges, class_names, config)
    return _joined(tracks, cameras[pairs[0]], ranges[pairs[1]]) if len(pairs[0]) else tracks


def _pairs(
    tracks: TrackSet,
    cameras: NDArray[np.intp],
    ranges: NDArray[np.intp],
    class_names: Sequence[str],
    config: TrackerConfig,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    mean, covariance = config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
    spread = covariance[cameras, None] + covariance[ranges]
    distance = kalman.squared_distance(mean[cameras, None] - mean[ranges], spread)
    known = covariance[cameras][:, [0, 1], [0, 1]].max(axis=1) <= _KNOWN**2
    kind = tracks.kind
    priors = [config.priors.get(class_names[own], UNKNOWN) for own in kind[cameras]]
    too_large = (tracks.size[ranges] > np.array([p.limits for p in priors])[:, None]).any(axis=2)
    alike = (kind[ranges] < 0) | (kind[ranges] == kind[cameras, None])
    return assign(distance, alike & ~too_large & known[:, None] & (distance < _AGREE))


def _joined(tracks: TrackSet, cameras: NDArray[np.intp], ranges: NDArray[np.intp]) -> TrackSet:
    """Return the tracks with each of `cameras` absorbed by its partner of `ranges`."""
    joined = tracks.copy()
    # What has been published keeps its identity; of two such, the older.
    shown = tracks.confirmed[cameras].astype(int) - tracks.confirmed[ranges]
    older = (shown > 0) | ((shown == 0) & (tracks.first[cameras] < tracks.first[ranges]))
    joined.keys[ranges] = np.where(older, tracks.keys[cameras], tracks.keys[ranges])
    joined.first[ranges] = np.minimum(tracks.first[cameras], tracks.first[ranges])
    joined.lidars[ranges] |= tracks.lidars[cameras]
    joined.seen[ranges] = np.maximum(tracks.seen[cameras], tracks.seen[ranges])
    joined.classes[ranges] += tracks.classes[cameras]
    joined.hits[ranges] += tracks.hits[cameras]
    joined.confirmed[ranges] |= tracks.confirmed[cameras]
    odds = tracks.existence[cameras] / (1.0 - tracks.existence[cameras])
    joined.existence[ranges] = updated_existence(tracks.existence[ranges], np.maximum(odds, 1.0))
    keep = np.ones(len(tracks), bool)
    keep[cameras] = False
    return joined.select(keep)
