"""Applies the detections of one radar scan to the tracks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion import kalman
from edge_robot.fusion.association import assign
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import RadarMeasurement, Source
from edge_robot.fusion.radar import AZIMUTH, RANGE, RANGE_RATE, difference
from edge_robot.fusion.tracks import NEVER, SOURCES, TrackSet, birth_keys, updated_existence
from edge_robot.fusion.updates.result import Updated

_RADAR = SOURCES.index(Source.RADAR)
_BIRTH_SPEED = 0.5  # m/s; what stands and returns a radar's beam is kerbs and grates for the most
_BIRTH_SIZE = 0.5  # m; a radar tells no size


def update_with_radar(
    tracks: TrackSet, measurement: RadarMeasurement, config: TrackerConfig
) -> Updated:
    """Apply a scan to tracks already predicted to it, in place.

    A pair is judged by each motion model apart, by the derivative at its mean: between standing
    and moving lies no range rate that both could have. Tracks are then updated unscented, since at
    the uncertainty of a young track a degree of azimuth is a bent line.
    """
    view = measurement.view
    noise = measurement.treatment.noise_scale * measurement.covariances
    state, covariance = config.motion.reported(tracks.mean, tracks.covariance)
    expected = view.expected(state)
    extent = _extent(tracks, expected[..., RANGE].mean(axis=1))
    spread = kalman.congruence(view.derivative(state), covariance) + extent[:, None]
    distance, log_det = kalman.distance_and_log_det(
        difference(measurement.polar, expected[:, :, None]), spread[:, :, None] + noise
    )
    weight = np.log(tracks.modes)[:, :, None] - 0.5 * (distance + log_det)
    near = np.asarray((distance < config.gate).any(axis=1))
    rows, columns = assign(-2.0 * np.logaddexp.reduce(weight, axis=1), near)
    nis = _nis(tracks, measurement, rows, columns, extent, config)

    tracks.mean[rows], tracks.covariance[rows], tracks.modes[rows] = config.motion.update_unscented(
        tracks.mean[rows],
        tracks.covariance[rows],
        tracks.modes[rows],
        measurement.polar[columns],
        view.expected,
        noise[columns] + extent[rows],
        difference,
    )
    known = tracks.seen[:, _RADAR] > NEVER
    odds = 1.0 - config.radar_detection * known
    odds[rows] = config.radar_evidence
    tracks.existence[:] = updated_existence(tracks.existence, np.asarray(odds, float))
    tracks.seen[rows, _RADAR] = measurement.stamp
    tracks.hits[rows] += 1
    moves = config.motion.standing(tracks.modes[rows]) < 0.5
    tracks.moving[rows] = np.where(moves, tracks.moving[rows] + 1, 0)

    born = np.asarray(~near.any(axis=0))
    born &= measurement.scores >= config.birth_score
    born &= np.abs(_speed_over_ground(measurement)) > _BIRTH_SPEED
    keys = birth_keys(measurement)
    if born.any():
        births = _births(measurement, keys, born, tracks.classes.shape[1], config)
        tracks = tracks.join(births)
    keys[~born] = None
    keys[columns] = tracks.keys[rows]
    return Updated(tracks, keys, nis, np.where(np.isnan(nis), 0, 3))


def _nis(
    tracks: TrackSet,
    measurement: RadarMeasurement,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    extent: Array,
    config: TrackerConfig,
) -> Array:
    """Return each detection's normalised innovation squared, (M,); NaN where it has no track."""
    view = measurement.view
    mean, covariance = config.motion.combine(
        tracks.mean[rows], tracks.covariance[rows], tracks.modes[rows]
    )
    spread = kalman.congruence(view.derivative(mean), covariance) + extent[rows]
    found = np.full(len(measurement), np.nan)
    found[columns] = kalman.squared_distance(
        difference(measurement.polar[columns], view.expected(mean)),
        spread + measurement.covariances[columns],
    )
    return found


def _extent(tracks: TrackSet, distance: Array) -> Array:
    """Return what the size of things adds to the noise, (N, 3, 3): any part may send the echo."""
    variance = tracks.size[:, :2].mean(axis=1) ** 2 / 12.0
    noise = np.zeros((len(tracks), 3, 3))
    noise[:, RANGE, RANGE] = variance
    noise[:, AZIMUTH, AZIMUTH] = variance / distance**2
    return noise


def _speed_over_ground(measurement: RadarMeasurement) -> Array:
    """Return the range rates as a radar that stands would measure them, (M,) m/s."""
    angle = measurement.polar[:, AZIMUTH] + measurement.view.heading
    along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.asarray(measurement.polar[:, RANGE_RATE] + along @ measurement.velocity)


def _births(
    measurement: RadarMeasurement,
    keys: NDArray[np.object_],
    born: NDArray[np.bool_],
    classes: int,
    config: TrackerConfig,
) -> TrackSet:
    count = int(born.sum())
    view = measurement.view
    noise = measurement.treatment.noise_scale * measurement.covariances[born]
    position, covariance = view.locate(measurement.polar[born], noise)
    mean, spread, modes = config.motion.start(position, covariance)
    # The place has used up range and azimuth.
    at_rest = np.hstack([position, np.zeros((count, 2))])
    rate = measurement.polar[born, RANGE_RATE] - view.expected(at_rest)[:, RANGE_RATE]
    mean, spread, modes = config.motion.update(
        mean,
        spread,
        modes,
        np.tile(rate[:, None, None], (1, mean.shape[1], 1)),
        view.derivative(at_rest)[:, RANGE_RATE:],
        noise[:, RANGE_RATE:, RANGE_RATE:],
    )
    away = position - view.origin
    return TrackSet.born(
        measurement,
        keys[born],
        (mean, spread, modes),
        size=np.full((count, 3), _BIRTH_SIZE),
        yaw=np.arctan2(away[:, 1], away[:, 0]),
        bottom=np.full(count, config.ground_z),
        existence=0.5 * np.asarray(measurement.scores, float)[born],
        classes=np.zeros((count, classes)),
    )
