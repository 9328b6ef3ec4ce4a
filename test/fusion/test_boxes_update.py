"""Whole boxes of a 3D detector in, tracks out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from edge_robot.fusion.association import assign_in_turn
from edge_robot.fusion.config import BoxClass, TrackerConfig
from edge_robot.fusion.measurements import BoxMeasurement
from edge_robot.fusion.motion import MotionModel
from edge_robot.fusion.tracker import Tracker

CAR = (4.0, 1.7, 1.5)
PERSON = (0.6, 0.6, 1.7)
ROAD = TrackerConfig(motion=MotionModel(start_speed=5.0, acceleration_noise=2.0))


def boxes(
    frame: int,
    centers: Sequence[tuple[float, float]],
    *,
    labels: Sequence[str] | None = None,
    size: tuple[float, float, float] = CAR,
    yaws: Sequence[float] | None = None,
    scores: Sequence[float] | None = None,
    view: float = 2.0 * np.pi,
) -> BoxMeasurement:
    """Return what a detector at the origin sees, at 10 Hz."""
    count = len(centers)
    return BoxMeasurement(
        stamp=(frame + 1) * 100_000_000,
        centers=np.array([(x, y, 0.8) for x, y in centers]).reshape(-1, 3),
        sizes=np.tile(size, (count, 1)),
        yaws=np.zeros(count) if yaws is None else np.array(yaws, float),
        scores=np.full(count, 0.9) if scores is None else np.array(scores, float),
        labels=["car"] * count if labels is None else labels,
        fixed_from_sensor=np.eye(4),
        view=view,
    )


def test_a_car_that_drives_has_its_speed_and_one_identity() -> None:
    tracker = Tracker(ROAD)
    for frame in range(20):
        tracker.process(boxes(frame, [(5.0 + 0.8 * frame, 3.0), (12.0, -4.0)]))
    driving, parked = tracker.tracks()
    assert (driving.id, parked.id) == (1, 2)
    assert driving.class_name == "car"
    assert driving.velocity == pytest.approx([8.0, 0.0], abs=0.2)
    assert np.hypot(*parked.velocity) < 0.1
    assert driving.position == pytest.approx([5.0 + 0.8 * 19, 3.0, 0.8], abs=0.1)
    assert driving.size == pytest.approx(CAR)
    assert driving.score > 2.0


def test_classes_never_mix() -> None:
    tracker = Tracker(ROAD)
    for frame in range(5):
        tracker.process(boxes(frame, [(8.0, 0.0)]))
    tracker.process(boxes(5, [(8.0, 0.0)], labels=["pedestrian"], size=PERSON))
    tracker.process(boxes(6, [(8.0, 0.0)], labels=["pedestrian"], size=PERSON))
    assert [(track.id, track.class_name) for track in tracker.tracks()] == [
        (1, "car"),
        (2, "pedestrian"),
    ]


def test_a_doubtful_box_keeps_a_track_alive_and_starts_none() -> None:
    weak = 0.15
    tracker = Tracker(TrackerConfig(box_classes={"car": BoxClass(score_midpoint=weak)}))
    for frame in range(5):
        tracker.process(boxes(frame, [(8.0, 0.0)]))
    for frame in range(5, 25):
        tracker.process(boxes(frame, [(8.0, 0.0), (20.0, 5.0)], scores=[weak, weak]))
    assert [track.id for track in tracker.tracks()] == [1]


def test_a_doubtful_box_is_never_worse_than_none() -> None:
    existence = []
    for late in ([(8.0, 0.0)], []):
        tracker = Tracker(ROAD)
        for frame in range(5):
            tracker.process(boxes(frame, [(8.0, 0.0)]))
        tracker.process(boxes(5, late, scores=[0.0] * len(late)))
        existence.append(tracker.tracks()[0].existence)
    assert existence[0] >= existence[1]


def test_sure_boxes_choose_their_tracks_first() -> None:
    # Alone the cheaper pairing would give the track to the doubtful column.
    cost = np.array([[0.1, 0.9], [0.2, 0.3]])
    rows, columns = assign_in_turn(cost, np.ones((2, 2), bool), np.array([False, True]))
    assert dict(zip(columns.tolist(), rows.tolist(), strict=True)) == {1: 1, 0: 0}
    allowed = np.array([[True, True], [False, False]])
    rows, columns = assign_in_turn(cost, allowed, np.array([False, True]))
    assert (rows.tolist(), columns.tolist()) == ([0], [1])


def test_front_taken_for_back_turns_nothing() -> None:
    tracker = Tracker(ROAD)
    for frame in range(12):
        flipped = np.pi if frame % 2 else 0.0
        tracker.process(boxes(frame, [(5.0 + frame, 0.0)], yaws=[0.1 + flipped]))
    (track,) = tracker.tracks()
    assert track.yaw == pytest.approx(0.1, abs=0.01)
    assert track.size == pytest.approx(CAR)


def test_heading_first_seen_backwards_follows_the_motion() -> None:
    tracker = Tracker(ROAD)
    for frame in range(12):
        tracker.process(boxes(frame, [(5.0 + frame, 0.0)], yaws=[np.pi if frame < 2 else 0.0]))
    (track,) = tracker.tracks()
    assert abs(track.yaw) < 0.01


def test_what_is_sure_is_published_while_it_coasts_and_then_forgotten() -> None:
    tracker = Tracker(ROAD)
    for frame in range(10):
        tracker.process(boxes(frame, [(5.0 + frame, 0.0)]))
    tracker.process(boxes(10, []))
    (track,) = tracker.tracks()
    assert track.coasting == pytest.approx(0.1)
    assert track.position[0] == pytest.approx(15.0, abs=0.2)
    before = track.existence
    tracker.process(boxes(11, []))
    assert all(track.existence < before for track in tracker.tracks())
    for frame in range(12, 25):
        tracker.process(boxes(frame, []))
    assert tracker.tracks() == []


def test_what_lies_outside_of_the_view_is_not_missed() -> None:
    existence = []
    for view in (np.pi / 2, 2.0 * np.pi):
        tracker = Tracker(ROAD)
        for frame in range(5):
            tracker.process(boxes(frame, [(0.0, 8.0)]))
        tracker.process(boxes(5, [], view=view))
        existence.append([track.existence for track in tracker.tracks()])
    assert existence[0][0] > 0.9
    assert not existence[1] or existence[1][0] < existence[0][0]


def test_late_boxes_end_in_the_same_tracks() -> None:
    rng = np.random.default_rng(5)
    frames = [
        boxes(f, [(5.0 + 0.5 * f + rng.normal(0, 0.05), 0.0), (20.0 - f, 4.0)]) for f in range(9)
    ]
    in_order, shuffled = Tracker(ROAD), Tracker(ROAD)
    for frame in frames:
        assert in_order.process(frame)
    for index in (0, 2, 1, 3, 6, 5, 4, 8, 7):
        assert shuffled.process(frames[index])
    for a, b in zip(in_order.tracks(), shuffled.tracks(), strict=True):
        np.testing.assert_allclose(b.position, a.position, atol=1e-9)
        np.testing.assert_allclose(b.velocity, a.velocity, atol=1e-9)
        assert b.score == pytest.approx(a.score, abs=1e-9)


def test_bad_boxes_are_counted_and_the_others_used() -> None:
    good = boxes(0, [(5.0, 0.0), (9.0, 0.0), (13.0, 0.0), (17.0, 3.0)])
    covariances = np.tile(0.01 * np.eye(2), (4, 1, 1))
    covariances[1] = [[0.01, 0.02], [0.02, 0.01]]  # not positive definite
    bad = replace(good, covariances=covariances)
    bad.centers[0, 1] = np.nan
    bad.sizes[2, 0] = 0.0
    tracker = Tracker(ROAD)
    assert tracker.process(bad)
    assert tracker.rejected == {"unsound box": 3}
    assert len(tracker.tracks()) == 1


def test_a_covariance_that_comes_with_the_box_is_turned_into_the_fixed_frame() -> None:
    pose = np.eye(4)
    pose[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]  # the sensor looks along y
    covariances = np.diag([0.25, 0.0001])[None]  # unsure along the line of sight
    seen = replace(boxes(0, [(5.0, 0.0)]), covariances=covariances, fixed_from_sensor=pose)
    tracker = Tracker(ROAD)
    tracker.process(seen)
    (track,) = tracker.tracks()
    assert track.position[:2] == pytest.approx([0.0, 5.0])
    np.testing.assert_allclose(np.diag(track.covariance)[:2], [0.0001, 0.25], atol=1e-6)
