"""The fusion benchmark: its truth, its scores, and what it says of a filter's honesty."""

from __future__ import annotations

import numpy as np
import pytest

from edge_robot.bench.fusion.scores import (
    Pairs,
    Scores,
    autocorrelation_time,
    change,
    consistency,
    figures,
    score,
)
from edge_robot.bench.fusion.world import Arrival, Drive, Recorder, Truth
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import ClearanceMeasurement, LidarMeasurement, Source
from edge_robot.perception.detector import Detector
from edge_robot.sim.layout import Pose2

PERIOD = 100_000_000  # ns


def lidar(stamp: int, places: list[tuple[float, float]]) -> LidarMeasurement:
    count = len(places)
    return LidarMeasurement(
        stamp=stamp,
        centers=np.array([(x, y, 0.3) for x, y in places]).reshape(-1, 3),
        sizes=np.tile([0.4, 0.4, 1.7], (count, 1)),
        yaws=np.zeros(count),
        scores=np.full(count, 0.8),
        fixed_from_sensor=np.eye(4),
    )


def standing(places: list[tuple[float, float]], seen: list[tuple[float, float]]) -> Drive:
    """Return two seconds in which the lidar sees people at `seen` who are at `places`."""
    stamps = [PERIOD * (k + 1) for k in range(20)]
    truth = np.array(places, float)
    return Drive(
        seed=1,
        sizes=np.empty((0, 2)),
        arrivals=[Arrival(stamp, lidar(stamp, seen)) for stamp in stamps],
        truths=[
            Truth(
                stamp=stamp,
                robot=Pose2(0.0, 0.0, 0.0),
                position=truth,
                velocity=np.zeros_like(truth),
                visible=np.ones(len(truth)),
                things=np.empty((0, 3)),
            )
            for stamp in stamps
        ],
    )


def test_errors_missed_and_false_are_counted() -> None:
    """One is seen 0.1 m off, one not at all, and something is seen that is nobody."""
    drive = standing([(4.0, 0.0), (6.0, 1.0)], [(4.1, 0.0), (5.0, -3.0)])
    scores = score([drive], Source.LIDAR, TrackerConfig())
    found = figures(scores, set(scores.people.errors))
    instants = len(scores.ospa)
    assert instants == 10
    assert found["wanted"] == 2 * instants
    assert found["missed"] == found["false"] == instants
    assert found["identity_switches"] == 0
    assert found["rmse"]["position_m"] == pytest.approx(0.1, abs=0.01)
    assert found["rmse"]["velocity_m_per_s"] == pytest.approx(0.0, abs=0.01)
    assert found["ospa_m"] == pytest.approx((0.1 + 1.0) / 2, abs=0.01)


def test_who_is_hidden_is_neither_asked_for_nor_false() -> None:
    drive = standing([(4.0, 0.0)], [(4.0, 0.0)])
    for truth in drive.truths:
        truth.visible[:] = 0.1
    scores = score([drive], Source.LIDAR, TrackerConfig())
    assert scores.wanted == scores.missed == scores.false == 0
    assert not scores.people.errors


def test_sensors_that_take_no_part_are_not_heard() -> None:
    drive = standing([(4.0, 0.0)], [(4.0, 0.0)])
    scores = score([drive], Source.CAMERA, TrackerConfig())
    assert scores.missed == scores.wanted > 0


@pytest.mark.parametrize(("better_by", "is_told"), [(0.02, True), (0.0, False)])
def test_what_sensors_change_is_told_from_noise(better_by: float, is_told: bool) -> None:
    rng = np.random.default_rng(3)
    before, after = Scores(), Scores()
    for k, noise in enumerate(rng.normal(0.0, 0.1, 400)):
        before.ospa[1, k], after.ospa[1, k] = (0.3, 0.3, 0.0), (0.3 - better_by + noise, 0.0, 0.0)
        before.people.errors[1, k, 0] = np.array([0.3, 0.4, 0.0, 0.0])
        after.people.errors[1, k, 0] = np.array([0.0, 0.4, 0.0, 1.0])
    found = change(after, before)
    assert (found["ospa_m"]["high_95"] < 0.0) == is_told
    assert found["ospa_m"]["low_95"] < -better_by < found["ospa_m"]["high_95"]
    assert found["position_error_m"]["mean"] == pytest.approx(-0.1)
    assert found["velocity_error_m_per_s"]["mean"] == pytest.approx(1.0)


def test_what_is_better_in_one_drive_alone_is_not_told_from_noise_by_drives() -> None:
    """However many instants it has."""
    for gains, is_told in (((0.5, 0.0, 0.0), False), ((0.2, 0.1, 0.15), True)):
        before, after = Scores(), Scores()
        for seed, gain in enumerate(gains):
            for k in range(200):
                before.ospa[seed, k], after.ospa[seed, k] = (0.5, 0, 0), (0.5 - gain, 0, 0)
        found = change(after, before)["ospa_by_drive_m"]
        assert found["mean"] == pytest.approx(-np.mean(gains), abs=1e-4)
        assert (found["high_95"] < 0.0) == is_told
        assert found["drives_below"] == np.count_nonzero(gains)
        assert found["drives_above"] == 0


def gaussian(claimed: float) -> Pairs:
    """Return 400 independent errors of unit variance whose tracks claim `claimed` for it."""
    rng = np.random.default_rng(1)
    keys = [(1, stamp, person) for stamp in range(40) for person in range(10)]
    return Pairs(
        errors=dict(zip(keys, rng.normal(size=(400, 4)), strict=True)),
        covariances=dict.fromkeys(keys, claimed * np.eye(4)),
    )


@pytest.mark.parametrize(("claimed", "honest"), [(1.0, True), (0.6, False), (1.6, False)])
def test_consistency_tells_honest_filters_from_others(claimed: float, honest: bool) -> None:
    found = consistency(gaussian(claimed), (0, 1))
    assert found is not None
    assert found["consistent"] is honest
    assert found["mean"] == pytest.approx(2.0 / claimed, rel=0.1)


def test_errors_that_persist_count_as_fewer() -> None:
    rng = np.random.default_rng(2)
    white = [rng.normal(size=500) for _ in range(4)]
    assert autocorrelation_time(white) == pytest.approx(1.0, abs=0.3)
    held = [np.repeat(values, 10) for values in white]
    assert autocorrelation_time(held) == pytest.approx(10.0, rel=0.3)


def test_a_recorded_drive_tells_where_people_are() -> None:
    """Boxes of the lidar lie on people who are in plain view, and share the truth's frame."""
    detector = Detector("warehouse_edge")
    drive = Recorder(detector, detector).record(1, 0.42)
    kinds = [arrival.measurement.source for arrival in drive.arrivals]
    assert {Source.CAMERA, Source.LIDAR, Source.FLEET} == set(kinds)
    assert (kinds.count(Source.CAMERA), kinds.count(Source.LIDAR)) == (4, 2 * 3)
    truths = {truth.stamp: truth for truth in drive.truths}
    offsets, passed = [], []
    for arrival in drive.arrivals:
        measurement = arrival.measurement
        late = arrival.due - measurement.stamp
        assert late > 0 if measurement.source is Source.FLEET else late == 0
        if isinstance(measurement, LidarMeasurement):
            pose, truth = measurement.fixed_from_sensor, truths[measurement.stamp]
            centers = (measurement.centers @ pose[:3, :3].T + pose[:3, 3])[:, :2]
            for place, visible in zip(truth.position, truth.visible, strict=True):
                away = np.hypot(*(place - (truth.robot.x, truth.robot.y)))
                if visible > 0.9 and 2.0 < away < 8.0:
                    offsets.append(np.hypot(*(centers - place).T).min())
        if isinstance(measurement, ClearanceMeasurement):
            truth = truths[measurement.stamp]
            away = truth.position - (truth.robot.x, truth.robot.y)
            distance = np.linalg.norm(away, axis=1)
            plain = (truth.visible > 0.9) & (distance > 2.0) & (distance < 8.0)
            sight = away / distance[:, None]
            across = np.linspace(-0.12, 0.12, 5)[:, None, None] * sight[:, ::-1] * (-1.0, 1.0)
            behind = truth.position + 0.3 * sight + across
            passed += measurement.seen_past(behind)[:, plain].mean(axis=0).tolist()
            assert measurement.seen_past(truth.position - 0.5 * away)[plain].all()
    assert len(passed) >= 3
    assert max(passed) < 0.5  # between arms and legs
    assert len(offsets) >= 3
    assert np.median(offsets) < 0.15
