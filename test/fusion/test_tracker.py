"""The tracker on synthetic scenes."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import PERSON, VIEW, Sensors, ns

from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.history import HistorySettings
from edge_robot.fusion.measurements import CameraMeasurement, LidarMeasurement, Measurement, Source
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track
from edge_robot.perception.coco import COCO_CLASSES


def follow(tracker: Tracker, measurements: list[Measurement]) -> list[Track]:
    for measurement in measurements:
        assert tracker.process(measurement), tracker.rejected
    return tracker.tracks()


def walk(t: float) -> list[tuple[float, float]]:
    """Two people: one crosses to the left, one comes nearer."""
    return [(4.0, -2.0 + 1.0 * t), (8.0 - 0.8 * t, 1.0)]


def drive(seconds: float = 2.5, seed: int = 0) -> list[Measurement]:
    """Return lidar and camera at 10 Hz each, 30 ms apart, in order of capture."""
    sensors, found = Sensors(seed), []
    for k in range(round(seconds * 10)):
        t = 0.1 * k
        found.append(sensors.lidar(t, walk(t)))
        found.append(sensors.camera(t + 0.03, walk(t + 0.03)))
    return found


def assert_same(one: list[Track], other: list[Track]) -> None:
    assert len(one) == len(other)
    by_place = sorted(one, key=lambda track: tuple(track.position))
    for a, b in zip(by_place, sorted(other, key=lambda t: tuple(t.position)), strict=True):
        for name in ("position", "size", "yaw", "velocity", "covariance", "existence"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-9)
        for name in ("class_name", "sources", "recent_sources"):
            assert getattr(a, name) == getattr(b, name)
        assert a.class_score == pytest.approx(b.class_score, abs=1e-9)


def test_people_are_followed_with_class_speed_and_honest_covariance() -> None:
    tracks = follow(Tracker(), drive())
    assert len(tracks) == 2
    t = 2.43
    for track, place, velocity in zip(
        tracks, np.array(walk(t)), ((0.0, 1.0), (-0.8, 0.0)), strict=True
    ):
        assert track.class_name == "person"
        assert track.class_score > 0.8
        assert track.existence > 0.95
        assert track.sources == track.recent_sources == Source.CAMERA | Source.LIDAR
        error = np.concatenate([track.position[:2] - place, track.velocity - velocity])
        assert error @ np.linalg.solve(track.covariance, error) < 18.0
        assert np.hypot(*error[:2]) < 0.15
        assert np.hypot(*error[2:]) < 0.35
        np.testing.assert_allclose(track.size[2], 1.7, atol=0.05)
        assert track.position[2] == pytest.approx(0.85, abs=0.05)
        course = np.arctan2(velocity[1], velocity[0])
        assert np.cos(track.yaw - course) > 0.7  # a box has four headings
        assert track.age == pytest.approx(2.43, abs=0.1)
        assert track.coasting < 0.06


def test_boxes_that_stand_have_no_speed() -> None:
    sensors, tracker = Sensors(3, lidar_noise=0.04), Tracker()
    places = [(3.0, 1.0), (5.0, -2.0), (6.0, 3.0), (2.0, -2.0)]
    moving = 0
    for k in range(100):
        tracker.process(sensors.lidar(0.1 * k, places, (0.6, 0.6, 0.9)))
        moving += sum(bool(np.hypot(*t.velocity) > 0.1) for t in tracker.tracks())
    assert [track.id for track in tracker.tracks()] == [1, 2, 3, 4]
    assert moving < 8  # of 400


def test_late_fleet_opinion_is_applied_at_its_capture_time() -> None:
    measurements = drive(1.5)
    opinion = Sensors(9).camera(0.93, walk(0.93), source=Source.FLEET)
    in_order = [*measurements[:19], opinion, *measurements[19:]]
    assert in_order[18].stamp <= opinion.stamp <= in_order[20].stamp
    late = Tracker()
    tracks = follow(late, [*measurements, opinion])
    assert_same(tracks, follow(Tracker(), in_order))
    assert all(track.sources & Source.FLEET for track in tracks)
    assert all(track.recent_sources & Source.FLEET for track in tracks)


def test_identities_outlive_a_late_measurement_that_begins_them_earlier() -> None:
    sensors, tracker = Sensors(5), Tracker()
    early = sensors.camera(0.0, walk(0.0))
    for k in range(1, 7):
        tracker.process(sensors.lidar(0.1 * k, walk(0.1 * k)))
    before = {track.id: track.position[:2] for track in tracker.tracks()}
    assert len(before) == 2
    assert tracker.process(early)
    after = {track.id: track.position[:2] for track in tracker.tracks()}
    assert set(after) == set(before)
    for identity, place in before.items():
        assert np.hypot(*(after[identity] - place)) < 0.2


@pytest.mark.parametrize("seed", range(6))
def test_crossing_people_keep_their_identities(seed: int) -> None:
    """Two people pass each other 0.9 m apart; a third walks behind them."""
    sensors, tracker = Sensors(seed), Tracker()
    identities: list[tuple[int, ...]] = []
    for k in range(50):
        t = 0.1 * k
        places = np.array([(4.0, -2.5 + 1.0 * t), (4.9, 2.5 - 1.1 * t), (7.0, -1.0 + 0.4 * t)])
        tracker.process(sensors.lidar(t, places))
        tracker.process(sensors.camera(t + 0.02, places))
        tracks = tracker.tracks()
        if k < 5:
            continue
        assert len(tracks) == 3
        owner = [
            tracks[int(np.argmin([np.hypot(*(x.position[:2] - p)) for x in tracks]))].id
            for p in places
        ]
        identities.append(tuple(owner))
    assert len(set(identities)) == 1
    assert len(set(identities[0])) == 3


def test_what_one_lidar_cannot_see_is_no_less_there_for_another() -> None:
    sensors, tracker = Sensors(), Tracker()
    for k in range(20):
        assert tracker.process(sensors.lidar(0.1 * k, [(4.0, 1.0)]))
        for j in range(1, 3):  # twice as often: its misses would outweigh the other's hits
            other = sensors.lidar(0.1 * k + 0.03 * j, [(-4.0, -1.0)])
            assert tracker.process(replace(other, sensor="rear"))
    assert sorted(round(float(track.position[0])) for track in tracker.tracks()) == [-4, 4]
    assert all(track.existence > 0.95 for track in tracker.tracks())


def test_track_survives_a_short_occlusion_and_dies_of_a_long_one() -> None:
    sensors, tracker = Sensors(), Tracker()
    for k in range(20):
        tracker.process(sensors.lidar(0.1 * k, [(5.0, -1.0 + 0.1 * k)]))
        tracker.process(sensors.camera(0.1 * k + 0.01, [(5.0, -1.0 + 0.1 * k)]))
    (before,) = tracker.tracks()
    tracker.process(sensors.lidar(2.0, []))
    tracker.process(sensors.lidar(2.1, []))
    (coasting,) = tracker.tracks()
    assert coasting.id == before.id
    assert coasting.coasting == pytest.approx(0.19, abs=1e-6)
    assert coasting.existence < before.existence
    assert coasting.covariance[0, 0] > before.covariance[0, 0]
    tracker.process(sensors.lidar(2.2, [(5.0, 1.2)]))
    assert [track.id for track in tracker.tracks()] == [before.id]
    for k in range(23, 40):
        tracker.process(sensors.lidar(0.1 * k, []))
    assert tracker.tracks() == []


def test_person_seen_by_the_camera_alone() -> None:
    sensors, tracker = Sensors(), Tracker()
    for k in range(15):
        tracker.process(sensors.lidar(0.1 * k, []))
        tracker.process(sensors.camera(0.1 * k + 0.02, [(5.0, 1.0)]))
    (track,) = tracker.tracks()
    assert track.sources == Source.CAMERA
    assert track.class_name == "person"
    error = track.position[:2] - (5.0, 1.0)
    assert error @ np.linalg.solve(track.covariance[:2, :2], error) < 9.0
    # Surer across the line of sight than along it.
    assert track.covariance[0, 0] > 4.0 * track.covariance[1, 1]
    # The lidar joins: one person stays one track.
    for k in range(15, 25):
        tracker.process(sensors.lidar(0.1 * k, [(5.0, 1.0)]))
        tracker.process(sensors.camera(0.1 * k + 0.02, [(5.0, 1.0)]))
    (joined,) = tracker.tracks()
    assert joined.id == track.id
    assert joined.sources == Source.CAMERA | Source.LIDAR
    assert np.hypot(*(joined.position[:2] - (5.0, 1.0))) < 0.1


def test_camera_tells_a_person_from_the_shelf_behind() -> None:
    """The class goes to the box whose image fits, not to the one behind it."""
    sensors, tracker = Sensors(), Tracker()
    for k in range(15):
        near, far = sensors.lidar(0.1 * k, [(3.0, 0.2)]), sensors.lidar(0.1 * k, [(7.0, 0.3)])
        both = replace(
            near,
            centers=np.vstack([near.centers, far.centers]),
            sizes=np.vstack([near.sizes, [[0.6, 1.2, 1.9]]]),
            yaws=np.zeros(2),
            scores=np.full(2, 0.8),
        )
        tracker.process(both)
        tracker.process(sensors.camera(0.1 * k + 0.02, [(3.0, 0.2)]))
    names = {round(float(track.position[0])): track.class_name for track in tracker.tracks()}
    assert names == {3: "person", 7: "unknown"}


def test_a_cluster_too_large_for_the_class_does_not_take_it() -> None:
    """A person in front of a stack, boxed as one by the lidar, gets a track of their own."""
    sensors, tracker = Sensors(), Tracker()
    for k in range(20):
        tracker.process(sensors.lidar(0.1 * k, [(4.3, 0.0)], (1.4, 1.1, 1.8)))
        tracker.process(sensors.camera(0.1 * k + 0.02, [(4.0, 0.9)]))
    names = sorted(track.class_name for track in tracker.tracks())
    assert names == ["person", "unknown"]


def test_a_person_before_a_named_box_is_born_all_the_same() -> None:
    """The lidar sees the box alone; nothing known may hide a person the camera sees."""
    sensors, tracker = Sensors(), Tracker()
    for k in range(20):
        tracker.process(sensors.lidar(0.1 * k, [(5.0, 0.0)], (1.2, 1.2, 1.0)))
        box = replace(sensors.camera(0.1 * k + 0.02, [(5.0, 0.0)]), labels=["box"])
        box.boxes[0] = [200.0, 150.0, 280.0, 212.0]
        person = sensors.camera(0.1 * k + 0.02, [(4.2, 0.3)])
        tracker.process(
            replace(
                box,
                boxes=np.vstack([box.boxes, person.boxes]),
                scores=np.full(2, 0.8),
                labels=["box", "person"],
            )
        )
    assert sorted(track.class_name for track in tracker.tracks()) == ["box", "person"]


@pytest.mark.parametrize(
    ("label", "name"),
    [("shelf", "unknown"), ("umbrella", "unknown"), ("pallet", "pallet"), ("person", "person")],
)
def test_only_classes_of_the_scene_lend_their_name(label: str, name: str) -> None:
    """Not the shelf behind a person, nor what a COCO detector believes to see in a warehouse."""
    sensors, tracker = Sensors(), Tracker()
    for k in range(15):
        tracker.process(sensors.lidar(0.1 * k, [(4.0, 0.0)]))
        tracker.process(sensors.camera(0.1 * k + 0.02, [(4.0, 0.0)], label=label))
    assert [track.class_name for track in tracker.tracks()] == [name]


@pytest.mark.parametrize("label", [name for name in COCO_CLASSES if name != "person"])
def test_of_coco_only_people_start_a_track_alone(label: str) -> None:
    sensors, tracker = Sensors(), Tracker()
    for k in range(4):
        seen = sensors.camera(0.1 * k, [(4.0, 0.0), (5.0, 2.0)])
        tracker.process(replace(seen, labels=[label, "person"]))
    assert [track.class_name for track in tracker.tracks()] == ["person"]


@pytest.mark.parametrize("away", [2.0, 5.0])
def test_a_jump_gives_the_nameless_no_speed_but_a_walk_does(away: float) -> None:
    sensors, tracker = Sensors(lidar_noise=0.01), Tracker()
    for k in range(40):
        tracker.process(sensors.lidar(0.1 * k, [(away, 0.0 if k < 20 else 0.25)]))
        if k > 3:
            assert np.hypot(*tracker.tracks()[0].velocity) == 0.0
    for k in range(40, 55):
        tracker.process(sensors.lidar(0.1 * k, [(away, 0.25 + 0.1 * (k - 40))]))
    np.testing.assert_allclose(tracker.tracks()[0].velocity, [0.0, 1.0], atol=0.2)


def sweeps_until_it_moves(away: float, size: tuple[float, float, float] = PERSON) -> int:
    """Return after how many sweeps something that steps out at 1.1 m/s is said to move."""
    sensors, tracker = Sensors(lidar_noise=0.01), Tracker()
    for k in range(12):
        tracker.process(sensors.lidar(0.1 * k, [(away, 1.0 - 0.11 * k)], size))
        if any(np.hypot(*track.velocity) > 0.5 for track in tracker.tracks()):
            return k + 1
    raise AssertionError("it never did")


def test_who_steps_out_nearby_moves_before_what_may_be_a_piece_of_structure() -> None:
    far, wide = sweeps_until_it_moves(6.0), sweeps_until_it_moves(2.0, (2.0, 0.6, 1.7))
    assert sweeps_until_it_moves(2.0) <= far - 2
    assert wide >= far


def test_newly_seen_flank_gives_no_speed() -> None:
    """A standing truck of which ever more comes into view neither moves nor leaves its near end."""
    sensors, tracker = Sensors(lidar_noise=0.01), Tracker()
    for k in range(30):
        length = min(0.4 + 0.2 * k, 4.0)
        center = (6.0 + length / 2, 0.3)
        tracker.process(sensors.lidar(0.1 * k, [center], (length, 1.8, 1.5)))
    (track,) = tracker.tracks()
    assert np.hypot(*track.velocity) < 0.3
    assert track.position[0] - track.size[0] / 2 == pytest.approx(6.0, abs=0.1)
    assert track.size[0] == pytest.approx(4.0, abs=0.3)


NAN = float("nan")


@pytest.mark.parametrize("value", [NAN, np.inf, -np.inf])
def test_boxes_that_are_not_finite_are_refused_and_counted(value: float) -> None:
    tracker = Tracker()
    good = Sensors().lidar(0.0, [(3.0, 0.0), (5.0, 0.0), (7.0, 0.0)])
    good.centers[0, 1] = value
    good.sizes[1, 0] = value
    assert tracker.process(good)
    assert tracker.rejected == {"unsound box": 2}
    image = Sensors().camera(0.05, [(3.0, 0.0), (5.0, 1.0)])
    image.boxes[0, 2] = value
    image.scores[1] = value
    assert tracker.process(image)
    assert tracker.rejected == {"unsound box": 4}
    for k in range(1, 5):
        tracker.process(Sensors(k).lidar(0.1 * k, [(7.0, 0.0)]))
    assert len(tracker.tracks()) == 1


def test_boxes_without_size_are_refused() -> None:
    tracker = Tracker()
    lidar = Sensors().lidar(0.0, [(3.0, 0.0)])
    lidar.sizes[0, 1] = -0.1
    image = Sensors().camera(0.0, [(3.0, 0.0)])
    image.boxes[0, 2] = image.boxes[0, 0]
    assert tracker.process(lidar)
    assert tracker.process(image)
    assert tracker.rejected == {"unsound box": 2}


@pytest.mark.parametrize("source", [Source.LIDAR, Source.CAMERA])
def test_poses_that_are_not_finite_are_refused(source: Source) -> None:
    tracker = Tracker()
    broken = np.full((4, 4), NAN)
    measurement: Measurement
    if source is Source.LIDAR:
        measurement = replace(Sensors().lidar(0.0, [(3.0, 0.0)]), fixed_from_sensor=broken)
    else:
        measurement = replace(
            Sensors().camera(0.0, [(3.0, 0.0)]), view=replace(VIEW, fixed_from_optical=broken)
        )
    assert not tracker.process(measurement)
    assert tracker.rejected == {"pose not finite": 1}
    assert tracker.stamp is None


def test_duplicates_and_what_is_older_than_the_history_are_refused() -> None:
    tracker, measurements = Tracker(), drive(2.5)
    follow(tracker, measurements)
    before = tracker.tracks()
    assert not tracker.process(measurements[-1])
    assert not tracker.process(measurements[-6])
    assert not tracker.process(measurements[0])
    assert tracker.rejected == {"duplicate": 2, "too late": 1}
    assert_same(tracker.tracks(), before)


def test_a_second_opinion_on_the_same_image_is_no_duplicate() -> None:
    tracker, sensors = Tracker(), Sensors()
    assert tracker.process(sensors.camera(0.0, [(4.0, 0.0)]))
    assert tracker.process(sensors.camera(0.0, [(4.0, 0.0)], source=Source.FLEET))
    assert not tracker.rejected


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_input_keeps_the_tracks_sound(data: st.DataObject) -> None:
    """Random boxes, poses and stamps: finite, positive definite, unique and never backwards."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    tracker, newest = Tracker(), 0
    numbers = st.floats(-1e6, 1e6) | st.sampled_from([NAN, np.inf, -np.inf])
    for _ in range(data.draw(st.integers(1, 25))):
        count = data.draw(st.integers(0, 5))
        stamp = ns(data.draw(st.floats(0.0, 3.0)))
        wild = data.draw(st.booleans())
        if data.draw(st.booleans()):
            centers = rng.normal(0.0, 5.0, (count, 3))
            if wild and count:
                centers[0, data.draw(st.integers(0, 2))] = data.draw(numbers)
            measurement: Measurement = LidarMeasurement(
                stamp, centers, rng.uniform(0, 3, (count, 3)), rng.uniform(-4, 4, count),
                rng.uniform(0, 1, count), np.eye(4),
            )  # fmt: skip
        else:
            boxes = np.sort(rng.uniform(0, 480, (count, 2, 2)), axis=1).reshape(count, 4)
            if wild and count:
                boxes[0, data.draw(st.integers(0, 3))] = data.draw(numbers)
            labels = [str(rng.choice(["person", "box", "shelf"])) for _ in range(count)]
            measurement = CameraMeasurement(stamp, boxes, rng.uniform(0, 1, count), labels, VIEW)
        tracker.process(measurement)
        assert tracker.stamp is None or tracker.stamp >= newest
        newest = tracker.stamp or 0
        tracks = tracker.tracks()
        assert len({track.id for track in tracks}) == len(tracks)
        for track in tracks:
            assert np.isfinite([*track.position, *track.size, *track.velocity, track.yaw]).all()
            np.testing.assert_allclose(track.covariance, track.covariance.T, atol=1e-9)
            assert np.linalg.eigvalsh(track.covariance).min() > 0.0
            assert 0.0 <= track.existence <= 1.0
            assert 0.0 <= track.class_score <= 1.0


def test_identities_of_the_past_are_forgotten() -> None:
    config = TrackerConfig(history=HistorySettings(history=0.5))
    tracker, sensors = Tracker(config), Sensors()
    for k in range(300):
        tracker.process(sensors.lidar(0.1 * k, [(4.0, 0.0), (5.0, 2.0)]))
    assert len(tracker._ids) <= 4


def test_speed(capsys: pytest.CaptureFixture[str]) -> None:
    sensors, tracker = Sensors(), Tracker()
    rng = np.random.default_rng(1)
    places = rng.uniform((2.0, -6.0), (12.0, 6.0), (50, 2))
    times = []
    for k in range(30):
        lidar, camera = sensors.lidar(0.1 * k, places), sensors.camera(0.1 * k + 0.02, places)
        start = time.perf_counter()
        tracker.process(lidar)
        tracker.process(camera)
        tracker.tracks()
        times.append(time.perf_counter() - start)
    median = float(np.median(times[10:]))
    with capsys.disabled():
        print(f"\nfusion: {len(tracker.tracks())} tracks, lidar + camera in {median * 1e3:.1f} ms")
    assert len(tracker.tracks()) > 40
    assert median < 0.5
