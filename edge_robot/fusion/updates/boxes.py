"""Applies the whole boxes of a 3D detector to the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from edge_robot.fusion.updates.states import correct

_LIDAR = SOURCES.index(Source.LIDAR)
_PLANE = np.eye(2)


@dataclass(frozen=True)
class _Boxes:
    """The boxes in the fixed frame, and what is known of them."""

    box: Array  # (M, 7) x, y, z, length, width, height and yaw
    noise: Array  # (M, 2, 2) covariance of x and y
    label: NDArray[np.intp]  # (M,) columns of `TrackSet.classes`
    own: NDArray[np.void]  # (M,) of `box_table`
    evidence: Array  # (M,) what the score says, logarithm of odds
    worth: Array  # (M,) the same within limits: successive boxes of a thing share their errors
    sure: NDArray[np.bool_]  # (M,)


def update_with_boxes(
    tracks: TrackSet,
    measurement: BoxMeasurement,
    class_names: Sequence[str],
    table: NDArray[np.void],
    config: TrackerConfig,
) -> Updated:
    """Apply boxes to tracks already predicted to them, in place.

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
    boxes = _described(measurement, class_names, table)
    keys = birth_keys(measurement)
    nis = np.full(len(measurement), np.nan)
    born = measurement.scores >= boxes.own["birth_score"]
    if len(tracks):
        rows, columns, nis[columns] = _update(tracks, measurement, boxes, table, config)
        born[columns] = False
        keys[columns] = tracks.keys[rows]
    unpaired = np.isnan(nis)
    keys[unpaired & ~born] = None
    if born.any():
        tracks = tracks.join(_births(measurement, boxes, keys, born, len(class_names), config))
    return Updated(tracks, keys, nis, np.where(unpaired, 0, 2))


def _described(
    measurement: BoxMeasurement, class_names: Sequence[str], table: NDArray[np.void]
) -> _Boxes:
    label = np.array([class_names.index(name) for name in measurement.labels], np.intp)
    own, scores = table[label], np.asarray(measurement.scores, float)
    evidence = own["score_slope"] * (scores - own["score_midpoint"])
    most = own["max_evidence"]
    return _Boxes(
        box=_in_fixed_frame(measurement),
        noise=_position_noise(measurement, own),
        label=label,
        own=own,
        evidence=evidence,
        worth=np.minimum(np.maximum(evidence, -most), most),
        sure=scores >= own["sure_score"],
    )


def _update(
    tracks: TrackSet,
    measurement: BoxMeasurement,
    boxes: _Boxes,
    table: NDArray[np.void],
    config: TrackerConfig,
) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Apply boxes to tracks, in place.

    Returns:
        Rows and columns of the pairs of track and box, (K,) each, and the NIS of each.
    """
    kind = tracks.kind
    mean, covariance = config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
    middle, yaw = tracks.bottom + tracks.size[:, 2] / 2, tracks.yaw[:, None]
    expected = np.concatenate([mean[:, :2], middle[:, None], tracks.size, yaw], axis=1)
    cost, allowed = _compare(tracks, kind, expected, covariance, boxes, config)
    rows, columns = assign_in_turn(cost, allowed, boxes.sure)

    measured, noise = boxes.box[columns], boxes.noise[columns]
    correct(tracks, rows, measured[:, :2], noise, config.motion)
    _reshape(tracks, rows, measured, boxes.own[columns])
    missed = np.log1p(-table["detection"])[kind]
    log_odds = np.where(_in_view(expected, measurement), missed, 0.0)
    # A box, however doubtful, is no better evidence of absence than no box.
    log_odds[rows] = np.maximum(boxes.worth[columns], missed[rows])
    odds = np.exp(log_odds)
    tracks.existence = updated_existence(tracks.existence, odds)
    tracks.seen[rows, _LIDAR] = measurement.stamp
    tracks.hits[rows] += 1
    tracks.boxed[rows] += 1
    tracks.evidence[rows] += boxes.evidence[columns]
    tracks.classes[rows, boxes.label[columns]] += odds[rows]
    nominal = noise / measurement.treatment.noise_scale
    nis = kalman.squared_distance(
        measured[:, :2] - mean[rows, :2], covariance[rows, :2, :2] + nominal
    )
    return rows, columns, nis


def _compare(
    tracks: TrackSet,
    kind: NDArray[np.intp],
    expected: Array,
    covariance: Array,
    boxes: _Boxes,
    config: TrackerConfig,
) -> tuple[Array, NDArray[np.bool_]]:
    """Return cost and permission of each pair, (N, M) each.

    Only pairs of one class that lie near each other are looked at closely.
    """
    boxed, box = tracks.boxed > 0, boxes.box
    least = boxes.own["min_giou"]
    same = (kind[:, None] == boxes.label) | (kind[:, None] < 0)
    apart = np.hypot(box[:, 0] - expected[:, 0, None], box[:, 1] - expected[:, 1, None])
    # Two equal boxes in line, this many lengths apart, have the least GIoU that is allowed. Of what
    # no box has gone around yet only the place is known.
    lengths = 2.0 / np.maximum(1.0 + least, 0.1) - 1.0
    reach = lengths * _mean_diagonal(expected, box)
    if not boxed.all():
        spread = np.trace(covariance[:, None, :2, :2] + boxes.noise, axis1=-2, axis2=-1)
        reach = np.where(boxed[:, None], reach, np.sqrt(config.gate * spread))
    rows, columns = np.nonzero(same & (apart < reach))
    likeness = giou_3d_of_pairs(expected[rows], box[columns])
    cost, allowed = np.zeros(same.shape), np.zeros(same.shape, bool)
    cost[rows, columns] = -likeness
    allowed[rows, columns] = likeness >= least[columns]
    placed = ~boxed[rows]
    if placed.any():
        rows, columns = rows[placed], columns[placed]
        innovation = box[columns, :2] - expected[rows, :2]
        spread = covariance[rows, :2, :2] + boxes.noise[columns]
        allowed[rows, columns] = kalman.squared_distance(innovation, spread) < config.gate
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
        noise = own["position_noise"][:, None, None] ** 2 * _PLANE
    else:
        turn = measurement.fixed_from_sensor[:2, :2]
        noise = turn @ measurement.covariances @ turn.T
    return np.asarray(noise * measurement.treatment.noise_scale)


def _in_view(boxes: Array, measurement: BoxMeasurement) -> NDArray[np.bool_]:
    """Return which boxes, given in the fixed frame, the sensor would see the middle of, (N,)."""
    pose = measurement.fixed_from_sensor
    local = (boxes[:, :3] - pose[:3, 3]) @ pose[:3, :3]
    return np.asarray(np.abs(np.arctan2(local[:, 1], local[:, 0])) <= measurement.view / 2)


def _reshape(tracks: TrackSet, rows: NDArray[np.intp], boxes: Array, own: NDArray[np.void]) -> None:
    """Let heading, size and height above ground of the boxes flow into their tracks', in place."""
    yaw, size, bottom, count = (
        column[rows] for column in (tracks.yaw, tracks.size, tracks.bottom, tracks.boxed)
    )
    mean_gain = 1.0 / (count + 1.0)
    # A detector may take the front for the back; the track's heading tells which is meant.
    turn = boxes[:, 6] - yaw
    turn -= np.pi * np.where(count > 0, np.rint(turn / np.pi), 0.0)
    size_gain = np.maximum(mean_gain, own["size_gain"])[:, None]
    bottom_gain = np.maximum(mean_gain, own["bottom_gain"])
    tracks.yaw[rows] = wrapped(yaw + np.maximum(mean_gain, own["yaw_gain"]) * turn)
    tracks.size[rows] = size + size_gain * (boxes[:, 3:6] - size)
    tracks.bottom[rows] = bottom + bottom_gain * (boxes[:, 2] - boxes[:, 5] / 2 - bottom)
    tracks.hidden[rows] = 0.0


def _births(
    measurement: BoxMeasurement,
    boxes: _Boxes,
    keys: NDArray[np.object_],
    born: NDArray[np.bool_],
    class_count: int,
    config: TrackerConfig,
) -> TrackSet:
    """Return a track for each box that is `born`."""
    box, odds = boxes.box[born], np.exp(boxes.worth[born])
    classes = np.zeros((len(box), class_count))
    classes[np.arange(len(box)), boxes.label[born]] = odds
    births = TrackSet.born(
        measurement,
        keys[born],
        config.motion.start(box[:, :2], boxes.noise[born]),
        size=box[:, 3:6],
        yaw=box[:, 6],
        bottom=box[:, 2] - box[:, 5] / 2,
        existence=updated_existence(np.full(len(box), 0.5), odds),
        classes=classes,
    )
    births.boxed, births.evidence = births.hits.copy(), boxes.evidence[born]
    return births
