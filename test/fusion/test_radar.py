"""The tracker with a radar: alone, from a moving robot, and beside a lidar."""

from __future__ import annotations

import numpy as np
import pytest
from scene import Sensors, ns

from edge_robot.fusion.measurements import RadarMeasurement, Source
from edge_robot.fusion.tracker import Tracker

ERRORS = np.array([0.1, 0.01, 0.1])  # m, rad, m/s


def scan(
    t: float,
    places: np.ndarray,
    velocities: np.ndarray,
    rng: np.random.Generator,
    own: tuple[float, float, float] = (0.0, 0.0, 0.0),
    speed: tuple[float, float] = (0.0, 0.0),
) -> RadarMeasurement:
    """Return what a radar at x, y, heading sees, which itself moves at `speed`."""
    pose = np.eye(4)
    cos, sin = np.cos(own[2]), np.sin(own[2])
    pose[:2, :2], pose[:2, 3] = [[cos, -sin], [sin, cos]], own[:2]
    echo = rng.uniform(-0.25, 0.25, places.shape)  # from any part of a thing
    offset = places + echo - own[:2]
    distance = np.hypot(*offset.T)
    azimuth = np.arctan2(offset[:, 1], offset[:, 0]) - own[2]
    rate = (offset * (velocities - speed)).sum(axis=1) / distance
    polar = np.column_stack([distance, azimuth, rate])
    return RadarMeasurement(
        stamp=ns(t),
        polar=polar + rng.normal(size=polar.shape) * ERRORS,
        covariances=np.tile(np.diag(ERRORS**2), (len(polar), 1, 1)),
        scores=np.full(len(polar), 0.8),
        fixed_from_sensor=pose,
        velocity=np.array(speed),
    )


@pytest.mark.parametrize("heading", [0.0, np.pi - 0.05])
def test_radar_alone_follows_what_moves_past_a_moving_robot(heading: float) -> None:
    """Also behind the radar, where its azimuth jumps; what stands starts no track."""
    rng, tracker = np.random.default_rng(0), Tracker()
    velocity, own_speed = np.array([[-1.5, 0.4], [0.0, 0.0]]), (0.5, 0.1)
    nis = []
    for k in range(40):
        t = 0.1 * k
        places = np.array([[12.0, -1.0], [9.0, 3.0]]) + t * velocity
        own = (own_speed[0] * t, own_speed[1] * t, heading)
        assert tracker.process(scan(t, places, velocity, rng, own, own_speed))
        nis += tracker.history.state.nis[:1].tolist()
    (track,) = tracker.tracks()
    assert track.sources == Source.RADAR
    error = np.concatenate([track.position[:2] - places[0], track.velocity - velocity[0]])
    assert error @ np.linalg.solve(track.covariance, error) < 18.0
    assert np.hypot(*error[2:]) < 0.25
    assert 1.5 < np.nanmean(nis) < 4.5  # 3 expected of an honest filter


def test_a_range_rate_tells_at_once_who_comes_nearer() -> None:
    """A lidar needs several sweeps for a velocity that a radar measures."""
    errors: dict[bool, list[float]] = {True: [], False: []}
    velocity = np.array([[-1.5, 0.0]])
    for seed in range(8):
        for with_radar in errors:
            tracker, sensors, rng = Tracker(), Sensors(seed), np.random.default_rng(seed)
            for k in range(3):
                t = 0.1 * k
                place = np.array([[9.0, 0.5]]) + t * velocity
                assert tracker.process(sensors.lidar(t, place))
                if with_radar:
                    assert tracker.process(scan(t + 0.01, place, velocity, rng))
            tracks = tracker.history.state.tracks
            assert len(tracks) == 1
            mean, _ = tracker.config.motion.combine(tracks.mean, tracks.covariance, tracks.modes)
            errors[with_radar].append(abs(mean[0, 2] + 1.5))
    assert np.mean(errors[True]) < 0.15
    assert np.mean(errors[False]) > 0.4


def test_a_range_rate_of_zero_keeps_what_stands_still() -> None:
    rng, tracker, sensors = np.random.default_rng(2), Tracker(), Sensors(2)
    place = np.array([[6.0, 1.0]])
    for k in range(20):
        assert tracker.process(sensors.lidar(0.1 * k, place))
        assert tracker.process(scan(0.1 * k + 0.01, place, np.zeros((1, 2)), rng))
        modes = tracker.history.state.tracks.modes
        assert tracker.config.motion.standing(modes)[0] > 0.75
    (track,) = tracker.tracks()
    assert track.sources == Source.RADAR | Source.LIDAR
    assert np.hypot(*track.velocity) == 0.0


def test_broken_detections_are_refused_and_counted() -> None:
    tracker = Tracker()
    places, velocities = np.array([[5.0, k] for k in range(5)]), np.full((5, 2), 2.0)
    broken = scan(0.0, places, velocities, np.random.default_rng(0))
    broken.polar[0, 2] = np.nan
    broken.polar[1, 0] = -1.0
    broken.covariances[2] *= -1.0
    broken.covariances[3, 0, 1] = 0.5
    assert tracker.process(broken)
    assert tracker.rejected == {"unsound box": 4}
    assert len(tracker.history.state.tracks) == 1
