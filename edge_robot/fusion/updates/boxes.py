"""Applies the whole boxes of a 3D detector to the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.angles import wrapped
from edge_robot.fusion.association import assign_in_turn
from edge_robot.fusion.boxes3d import giou_3d_of_pairs
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import BoxMeasurement, Source
from edge_robot.fusion.tracks import SOURCES, TrackSet, birth_keys, updated_existence
from edge_robot.fusion.updates.result import Updated

_LIDAR = SOURCES.index(Source.LIDAR)


def update_with_boxes(
    tracks: TrackSet,
    measurement: BoxMeasurement,
    class_names: Sequence[str],
    table: NDArray[np.void],
    config: TrackerConfig,
) -> Updated:
    """Apply boxes to tracks already predicted to them.

    Position and velocity are the motion model's. Heading, size and height above ground follow by
    scalar gains: those of a mean at first, with a floor later. That is the ten-state filter of
    Weng et al. (AB3DMOT, IROS 2020), whose matrices have no terms between these groups.

    Args:
        tracks: N tracks.
        measurement: M boxes.
        class_names: The columns of `tracks.classes`; every label is among them.
        table: Of `box_table`, for `class_names`.
        config: The tracker's parameters.
    """
    boxes = _in_fixed_frame(measurement)
    labels = np.array([class_names.index(label) for label in measurement.labels], np.intp)
    own = table[labels]
    scores = np.asarray(measurement.scores, float)
    noise = _position_noise(measurement, own)
    evidence = own["score_slope"] * (scores - own["score_midpoint"])
    keys = birth_keys(measurement)
    nis = np.full(len(boxes), np.nan)
    born = scores >= own["birth_score"]
    if len(tracks):
        tracks, rows, columns, nis = _update(
            tracks, measurement, boxes, labels, noise, evidence, table, config
        )
        born[columns] = False
        keys[columns] = tracks.keys[rows]
    ignored = ~born & np.isnan(nis)
    keys[ignored] = None
    if born.any():
        births = _births(
            measurement,
            boxes[born],
            labels[born],
            noise[born],
            evidence[born],
            keys[born],
            table,
            config,
        )
        tracks = tracks.join(births)
    return Updated(tracks, keys, nis, np.where(np.isnan(nis), 0, 2))


def _update(
    tracks: TrackSet,
    measurement: BoxMeasurement,
    boxes: Array,
    labels: NDArray[np.intp],
    noise: Array,
    evidence: Array,
    table: NDArray[np.void],
    config: TrackerConfig,
) -> tuple[TrackSet, NDArray[np.intp], NDArray[np.intp], Array]:
    """Return the tracks after the boxes, who was paired with whom, and each box's NIS."""
    own, kind = table[labels], tracks.kind
    mean, covariance = config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
    expected = np.column_stack(
        [mean[:, :2], tracks.bottom + tracks.size[:, 2] / 2, tracks.size, tracks.yaw]
    )
    cost, allowed = _compare(tracks, kind, expected, covariance, boxes, labels, noise, own, config)
    rows, columns = assign_in_turn(cost, allowed, measurement.scores >= own["sure_score"])

    tracks = tracks.copy()
    tracks.mean[rows], tracks.covariance[rows], tracks.modes[rows] = config.motion.update(
        tracks.mean[rows],
        tracks.covariance[rows],
        tracks.modes[rows],
        boxes[columns, None, :2] - tracks.mean[rows, :, :2],
        None,
        noise[columns],
    )
    _reshape(tracks, boxes[columns], rows, own[columns])
    log_odds = np.log1p(-table["detection"][kind])
    # A box, however doubtful, is no better evidence of absence than no box.
    log_odds[rows] = np.maximum(_limited(evidence, own)[columns], log_odds[rows])
    unseen = ~_in_view(expected, measurement)
    unseen[rows] = False
    log_odds[unseen] = 0.0
    tracks.existence[:] = updated_existence(tracks.existence, np.exp(log_odds))
    tracks.seen[rows, _LIDAR] = measurement.stamp
    tracks.hits[rows] += 1
    tracks.boxed[rows] += 1
    tracks.evidence[rows] += evidence[columns]
    tracks.classes[rows, labels[columns]] += np.exp(log_odds[rows])
    nis = np.full(len(boxes), np.nan)
    nominal = noise[columns] / measurement.treatment.noise_scale
    nis[columns] = kalman.squared_distance(
        boxes[columns, :2] - mean[rows, :2], covariance[rows, :2, :2] + nominal
    )
    return tracks, rows, columns, nis


def _compare(
    tracks: TrackSet,
    kind: NDArray[np.intp],
    expected: Array,
    covariance: Array,
    boxes: Array,
    labels: NDArray[np.intp],
    noise: Array,
    own: NDArray[np.void],
    config: TrackerConfig,
) -> tuple[Array, NDArray[np.bool_]]:
    """Return cost and permission of each pair, (N, M) each.

    Only pairs of one class that lie near each other are looked at closely.
    """
    boxed = tracks.boxed > 0
    same = (kind[:, None] == labels) | (kind[:, None] < 0)
    apart = np.hypot(boxes[:, 0] - expected[:, 0, None], boxes[:, 1] - expected[:, 1, None])
    # Two equal boxes in line, this many lengths apart, have the least GIoU that is allowed. Of what
    # no box has gone around yet only the place is known.
    lengths = 2.0 / np.maximum(1.0 + own["min_giou"], 0.1) - 1.0
    reach = lengths * _mean_diagonal(expected, boxes)
    if not boxed.all():
        spread = np.trace(covariance[:, None, :2, :2] + noise, axis1=-2, axis2=-1)
        reach = np.where(boxed[:, None], reach, np.sqrt(config.gate * spread))
    rows, columns = np.nonzero(same & (apart < reach))
    likeness = giou_3d_of_pairs(expected[rows], boxes[columns])
    cost = np.zeros(same.shape)
    cost[rows, columns] = -likeness
    allowed = np.zeros(same.shape, bool)
    allowed[rows, columns] = likeness >= own["min_giou"][columns]
    placed = ~boxed[rows]
    if placed.any():
        rows, columns = rows[placed], columns[placed]
        innovation = boxes[columns, :2] - expected[rows, :2]
        distance = kalman.squared_distance(innovation, covariance[rows, :2, :2] + noise[columns])
        allowed[rows, columns] = distance < config.gate
    return cost, allowed


def _mean_diagonal(a: Array, b: Array) -> Array:
    """Return half the sum of both boxes' diagonals seen from above, (N, M) m."""
    return (np.hypot(a[:, 3], a[:, 4])[:, None] + np.hypot(b[:, 3], b[:, 4])) / 2


def _in_fixed_frame(measurement: BoxMeasurement) -> Array:
    """Return x, y, z, length, width, height and yaw of the boxes, (M, 7)."""
    pose = measurement.fixed_from_sensor
    boxes = np.empty((len(measurement), 7))
    boxes[:, :3] = measurement.centers @ pose[:3, :3].T + pose[:3, 3]
    boxes[:, 3:6] = measurement.sizes
    cos, sin = np.cos(measurement.yaws), np.sin(measurement.yaws)
    boxes[:, 6] = np.arctan2(
        pose[1, 0] * cos + pose[1, 1] * sin, pose[0, 0] * cos + pose[0, 1] * sin
    )
    return boxes


def _position_noise(measurement: BoxMeasurement, own: NDArray[np.void]) -> Array:
    """Return the covariance of the boxes' x and y in the fixed frame, (M, 2, 2)."""
    if measurement.covariances is None:
        noise = own["position_noise"][:, None, None] ** 2 * np.eye(2)
    else:
        turn = measurement.fixed_from_sensor[:2, :2]
        noise = turn @ measurement.covariances @ turn.T
    return np.asarray(noise * measurement.treatment.noise_scale)


def _in_view(boxes: Array, measurement: BoxMeasurement) -> NDArray[np.bool_]:
    """Return which boxes, given in the fixed frame, the sensor would see the middle of, (N,)."""
    pose = measurement.fixed_from_sensor
    local = (boxes[:, :3] - pose[:3, 3]) @ pose[:3, :3]
    return np.asarray(np.abs(np.arctan2(local[:, 1], local[:, 0])) <= measurement.view / 2)


def _reshape(tracks: TrackSet, boxes: Array, rows: NDArray[np.intp], own: NDArray[np.void]) -> None:
    """Let heading, size and height above ground of the boxes flow into their tracks', in place."""
    mean_gain = 1.0 / (tracks.boxed[rows] + 1.0)
    # A detector may take the front for the back; the track's heading tells which is meant.
    turn = boxes[:, 6] - tracks.yaw[rows]
    turn -= np.pi * np.where(tracks.boxed[rows] > 0, np.rint(turn / np.pi), 0.0)
    yaw = tracks.yaw[rows] + np.maximum(mean_gain, own["yaw_gain"]) * turn
    tracks.yaw[rows] = wrapped(yaw)
    size_gain = np.maximum(mean_gain, own["size_gain"])
    tracks.hidden[rows] = 0.0
    tracks.size[rows] += size_gain[:, None] * (boxes[:, 3:6] - tracks.size[rows])
    bottom = boxes[:, 2] - boxes[:, 5] / 2
    bottom_gain = np.maximum(mean_gain, own["bottom_gain"])
    tracks.bottom[rows] += bottom_gain * (bottom - tracks.bottom[rows])


def _limited(evidence: Array, own: NDArray[np.void]) -> Array:
    """Return what one box is worth at most; successive ones of a thing share their errors."""
    return np.clip(evidence, -own["max_evidence"], own["max_evidence"])


def _births(
    measurement: BoxMeasurement,
    boxes: Array,
    labels: NDArray[np.intp],
    noise: Array,
    evidence: Array,
    keys: NDArray[np.object_],
    table: NDArray[np.void],
    config: TrackerConfig,
) -> TrackSet:
    """Return a track for each box."""
    count, own = len(boxes), table[labels]
    log_odds = _limited(evidence, own)
    classes = np.zeros((count, len(table) - 1))
    classes[np.arange(count), labels] = np.exp(log_odds)
    births = TrackSet.born(
        measurement,
        keys,
        config.motion.start(boxes[:, :2], noise),
        size=boxes[:, 3:6],
        yaw=boxes[:, 6],
        bottom=boxes[:, 2] - boxes[:, 5] / 2,
        existence=updated_existence(np.full(count, 0.5), np.exp(log_odds)),
        classes=classes,
    )
    return replace(births, boxed=births.hits, evidence=evidence)
