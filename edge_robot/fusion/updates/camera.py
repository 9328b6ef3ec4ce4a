"""Applies the boxes of one camera image to the tracks.

Two detectors may look at one image: the robot's and the fleet's. Their boxes err alike, for the
pixels and the posture are the same, so together they measure it once: of what the robot found,
which is applied first, the fleet's boxes add nothing but their name for it, and they go to no other
track. The second look is worth what it tells given the first. Of what neither finds, its silence
says little: what is half out of sight is so for both. It says nothing of what the robot found: that
may have been hidden from the fleet, or be of a class that its model does not know. What it alone
sees, and no other sensor has led to, must be sure to start a track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.association import assign
from edge_robot.fusion.boxes import cover, iou, range_to_boxes
from edge_robot.fusion.camera import Located
from edge_robot.fusion.config import UNKNOWN, TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import CameraMeasurement, Source
from edge_robot.fusion.tracks import NEVER, SOURCES, TrackSet, birth_keys, updated_existence
from edge_robot.fusion.updates.result import Updated
from edge_robot.fusion.updates.states import correct

_CAMERA, _LIDAR, _FLEET = (SOURCES.index(s) for s in (Source.CAMERA, Source.LIDAR, Source.FLEET))
_OTHER_CLASS = 0.3  # cost of a pair whose classes differ, in units of overlap
_FADE = 0.98  # share of its class votes a track keeps with each further vote
_BIRTH_OVERLAP = 0.3  # a box that overlaps something known more than this starts no track
_PART_OF = 0.5  # nor does one this much inside of something known of the same class
_SLIM = 1.0  # m; slimmer things, people above all, may stand before and beside anything


def update_with_camera(
    tracks: TrackSet,
    measurement: CameraMeasurement,
    class_names: Sequence[str],
    config: TrackerConfig,
) -> Updated:
    """Apply an image to tracks already predicted to it, in place.

    `class_names` are the columns of `tracks.classes`; every label of the measurement is among
    them.
    """
    view, boxes = measurement.view, measurement.boxes
    labels = np.array([class_names.index(label) for label in measurement.labels], np.intp)
    mean, covariance = config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
    middle = tracks.bottom + tracks.size[:, 2] / 2
    centers = np.concatenate([mean[:, :2], middle[:, None]], axis=1)
    expected, in_view = view.project_boxes(centers, tracks.size, tracks.yaw)
    derivative = view.column_derivative(centers)
    located, deep = _locate(measurement, config)
    width = boxes[:, 2] - boxes[:, 0]
    scale = measurement.treatment.noise_scale
    noise = np.sqrt(scale) * (config.pixel_noise + config.box_noise * width)
    by_lidar = measurement.stamp - tracks.seen[:, _LIDAR] <= config.recent * 1e9

    # Pair by overlap; what has no lidar may lie at a wrong range, so there position speaks too.
    overlap = iou(expected, boxes)
    offset = _middle(boxes) - _middle(expected)[:, None]
    bearing = np.einsum("nk,nkl,nl->n", derivative, covariance[:, :2, :2], derivative)
    off_bearing = offset**2 / (bearing[:, None] + noise**2)
    apart = located.positions - mean[:, None, :2]
    spread = covariance[:, None, :2, :2] + located.covariances
    distance = kalman.squared_distance(apart, spread)
    near = located.valid & (distance < config.gate)
    near &= ~by_lidar[:, None]
    allowed = in_view[:, None] & (
        ((overlap >= config.min_iou) & (off_bearing < config.gate)) | near
    )
    could_be = _could_be(tracks, measurement.labels, config)
    allowed &= could_be
    kind = tracks.kind
    named = kind >= 0
    differs = named[:, None] & (kind[:, None] != labels)
    cost = 1.0 - overlap + 0.1 * off_bearing / config.gate + _OTHER_CLASS * differs
    cost += _OTHER_CLASS * ~by_lidar[:, None]
    source = SOURCES.index(measurement.source)
    other = _CAMERA if source == _FLEET else _FLEET
    told = tracks.seen[:, other] == measurement.stamp  # by the other detector, of this very image
    cost -= told[:, None]  # whose pixels are no other track's
    rows, columns = assign(cost, allowed)

    fresh = ~told[rows]
    whole = np.asarray(~view.touches_edge(boxes)[:, [0, 2]].any(axis=1))
    placed = fresh & (~by_lidar[rows] | deep[columns]) & located.valid[columns]
    bearing_only = fresh & ~placed & whole[columns]
    # So many successive boxes say as much of the range as one alone would.
    correlation = np.where(deep, 1.0, config.range_correlation)[:, None, None]
    row, column = rows[placed], columns[placed]
    of_range = (located.covariances * correlation)[column]
    correct(tracks, row, located.positions[column], of_range, config.motion)
    _update_bearing(
        tracks, rows[bearing_only], columns[bearing_only], offset, derivative, mean, noise, config
    )

    scores = measurement.scores[columns[fresh]]
    missed = in_view & measurement.looked_at(expected) & ~told
    detection = config.fleet_detection if source == _FLEET else config.camera_detection
    denied = np.where(missed, detection, 0.0)
    _update_existence(tracks, rows[fresh], scores, denied, config)
    tracks.classes[rows] *= _FADE
    tracks.classes[rows, labels[columns]] += measurement.scores[columns]
    tracks.seen[rows, source] = measurement.stamp
    tracks.hits[rows[fresh]] += 1

    nis, degrees = np.full(len(boxes), np.nan), np.zeros(len(boxes), np.int64)
    nominal = covariance[row, :2, :2] + located.covariances[column] / scale
    nis[column] = kalman.squared_distance(apart[row, column], nominal)
    degrees[column] = 2
    row, column = rows[bearing_only], columns[bearing_only]
    nis[column] = offset[row, column] ** 2 / (bearing[row] + noise[column] ** 2 / scale)
    degrees[column] = 1

    keys = birth_keys(measurement)
    range_error = np.sqrt(np.einsum("kii->k", located.covariances))
    born = whole & located.valid & (range_error <= config.max_camera_range_error)
    surest = config.fleet_birth_score if source == _FLEET else config.birth_score
    born &= measurement.scores >= surest
    born &= np.array([label in config.priors for label in measurement.labels], bool)
    born[columns] = False
    by_camera = tracks.seen[:, _LIDAR] == NEVER
    solid = named & ~by_camera
    if born.any():
        width = np.array([config.priors.get(label, UNKNOWN).width for label in measurement.labels])
        wide = width > _SLIM
        part = wide & (cover(expected, boxes) > _PART_OF) & ~differs & named[:, None]
        born &= ~(((overlap > _BIRTH_OVERLAP) & could_be) | part)[in_view].any(axis=0)
        born &= ~(iou(boxes, boxes[columns]) > _BIRTH_OVERLAP).any(axis=1)
        for k in np.flatnonzero(born & wide):
            born[k] = not _collides(located.positions[k], width[k], tracks.select(solid), config)
    # The same of tracks that got there since: their range was wrong.
    for n in np.flatnonzero(by_camera & (tracks.size[:, 1] > _SLIM)):
        if _collides(mean[n, :2], tracks.size[n, 1], tracks.select(solid), config):
            tracks.existence[n] = 0.0
    keys[~born] = None
    keys[columns] = tracks.keys[rows]
    if born.any():
        tracks = tracks.join(_births(measurement, located, keys, born, labels, tracks, config))
    return Updated(tracks, keys, nis, degrees)


def _could_be(tracks: TrackSet, labels: Sequence[str], config: TrackerConfig) -> NDArray[np.bool_]:
    """Return (N, K) whether a track is small enough to be of a box's class.

    A lidar may see less than the whole of an object but not more: a cluster of a person and a
    shelf is not the person, who then gets a track of their own.
    """
    priors = [config.priors.get(label, UNKNOWN) for label in labels]
    limits = np.array([prior.limits for prior in priors]).reshape(-1, 3)
    too_large = (tracks.size[:, None] > limits).any(axis=-1)  # never true of NaN
    return ~(too_large & (tracks.seen[:, _LIDAR] > NEVER)[:, None])


def _collides(place: Array, width: float, solid: TrackSet, config: TrackerConfig) -> bool:
    """Whether something `width` m wide cannot be at `place`: something known is there."""
    mean, _ = config.motion.combine(solid.mean, solid.covariance, solid.modes)
    gap = range_to_boxes(place, mean[:, :2], solid.size, solid.yaw)
    return bool((gap < width / 2).any())


def _middle(boxes: Array) -> Array:
    return (boxes[:, 0] + boxes[:, 2]) / 2


def _locate(
    measurement: CameraMeasurement, config: TrackerConfig
) -> tuple[Located, NDArray[np.bool_]]:
    """Return where the boxes' objects stand, and of which the depth was measured, (K,)."""
    priors = [config.priors.get(label, UNKNOWN) for label in measurement.labels]
    located = measurement.view.locate(
        measurement.boxes,
        np.array([prior.height for prior in priors]),
        np.array([prior.height_error for prior in priors]),
        ground_z=config.ground_z,
        pixel_noise=config.pixel_noise,
        slope_noise=config.slope_noise,
    )
    deep = np.zeros(len(measurement), bool)
    if measurement.depths is not None and not np.isnan(measurement.depths[:, 1]).all():
        measured = measurement.view.at_depths(
            measurement.boxes, measurement.depths, pixel_noise=config.pixel_noise
        )
        deep = measured.valid
        located = Located(
            np.where(deep[:, None], measured.positions, located.positions),
            np.where(deep[:, None, None], measured.covariances, located.covariances),
            located.valid | deep,
        )
    scale = measurement.treatment.noise_scale
    return replace(located, covariances=scale * located.covariances), deep


def _update_bearing(
    tracks: TrackSet,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    offset: Array,
    derivative: Array,
    mean: Array,
    noise: Array,
    config: TrackerConfig,
) -> None:
    """Update tracks, in place, with the column of the middle of their box."""
    if not len(rows):
        return
    observation = np.zeros((len(rows), 1, 4))
    observation[:, 0, :2] = derivative[rows]
    from_mean = tracks.mean[rows, :, :2] - mean[rows, None, :2]
    innovation = offset[rows, columns, None] - np.einsum("nk,njk->nj", derivative[rows], from_mean)
    tracks.mean[rows], tracks.covariance[rows], tracks.modes[rows] = config.motion.update(
        tracks.mean[rows],
        tracks.covariance[rows],
        tracks.modes[rows],
        innovation[..., None],
        observation,
        noise[columns, None, None] ** 2,
    )


def _update_existence(
    tracks: TrackSet,
    rows: NDArray[np.intp],
    scores: Array,
    denied: Array,
    config: TrackerConfig,
) -> None:
    """Raise the existence of what was seen and lower that of what should have been, in place.

    Args:
        tracks: N tracks.
        rows: (K,) those that were seen.
        scores: (K,) of their boxes.
        denied: (N,) how far not to have been seen denies that there is something, 0..1.
        config: The tracker's parameters.
    """
    known = (tracks.seen[:, [_CAMERA, _FLEET]] > NEVER).any(axis=1)
    odds = 1.0 - denied * known
    odds[rows] = np.maximum(1.0, config.camera_evidence * scores)
    tracks.existence[:] = updated_existence(tracks.existence, odds)


def _births(
    measurement: CameraMeasurement,
    located: Located,
    keys: NDArray[np.object_],
    born: NDArray[np.bool_],
    labels: NDArray[np.intp],
    tracks: TrackSet,
    config: TrackerConfig,
) -> TrackSet:
    count = int(born.sum())
    names = [label for label, is_born in zip(measurement.labels, born, strict=True) if is_born]
    priors = [config.priors[name] for name in names]
    away = located.positions[born] - measurement.view.origin[:2]
    classes = np.zeros((count, tracks.classes.shape[1]))
    classes[np.arange(count), labels[born]] = measurement.scores[born]
    return TrackSet.born(
        measurement,
        keys[born],
        config.motion.start(located.positions[born], located.covariances[born]),
        size=np.array([[p.length, p.width, p.height] for p in priors]).reshape(-1, 3),
        yaw=np.arctan2(away[:, 1], away[:, 0]),
        bottom=np.full(count, config.ground_z),
        existence=0.5 * np.asarray(measurement.scores, float)[born],
        classes=classes,
    )
