"""What a lidar sees past, against what only a camera has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scene import LIDAR_POSE, Sensors, ns
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Header

from edge_robot.fusion.measurements import ClearanceMeasurement, Source
from edge_robot.fusion.refusal import Refusal
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import NEVER, SOURCES
from edge_robot.fusion.updates.clearance import update_with_clearance
from edge_robot.nodes.conversions import stamp_from_nanoseconds
from edge_robot.nodes.track_messages import clearance_measurement, clearance_scan
from edge_robot.perception.lidar.scan_geometry import ScanError

CLAIMED = (4.5, 0.3)
"""Where a camera's boxes put someone."""
STEP = np.pi / 360.0


def clear(t: float, ranges: float | np.ndarray) -> ClearanceMeasurement:
    """Return that the lidar sees so far, in all directions or in each, m."""
    told = np.broadcast_to(np.asarray(ranges, float), 720)
    return ClearanceMeasurement(ns(t), told, STEP / 2.0 - np.pi, STEP, LIDAR_POSE)


def followed(reach: float | np.ndarray | None, seconds: float = 4.0) -> Tracker:
    """Return a tracker after a camera's boxes of someone, and sweeps that see so far."""
    sensors, tracker = Sensors(2), Tracker()
    for k in range(round(10 * seconds)):
        assert tracker.process(sensors.camera(0.1 * k, [CLAIMED]))
        if reach is not None:
            assert tracker.process(clear(0.1 * k + 0.05, reach))
    return tracker


def test_whom_a_camera_puts_into_empty_space_is_looked_for_behind_it() -> None:
    (track,) = followed(6.0).tracks()
    assert 5.4 < np.hypot(*track.position[:2]) < 6.8
    assert np.arctan2(track.position[1], track.position[0]) == pytest.approx(
        np.arctan2(CLAIMED[1], CLAIMED[0]), abs=0.02
    )
    # It is as unsure of how far as it has to be, and of nothing else.
    assert track.covariance[0, 0] > 10.0 * track.covariance[1, 1]
    assert abs(track.velocity[0]) < 0.3
    (believed,) = followed(None).tracks()
    assert np.hypot(*believed.position[:2]) == pytest.approx(np.hypot(*CLAIMED), abs=0.3)


def test_what_cannot_be_behind_it_either_does_not_exist() -> None:
    assert followed(12.0).tracks() == []
    # Beams that pass on both sides, or end in front, deny nothing.
    told = np.full(720, 12.0)
    bearing = round((np.arctan2(CLAIMED[1], CLAIMED[0]) + np.pi) / STEP)
    for ends in (4.3, 2.0, 0.0):
        told[bearing - 6 : bearing + 6] = ends
        (track,) = followed(told).tracks()
        (believed,) = followed(None).tracks()
        assert track.existence == pytest.approx(believed.existence)
        np.testing.assert_allclose(track.position, believed.position, atol=0.01)


def test_what_is_lost_from_sight_is_not_pushed_away_by_beams_that_end_before_it() -> None:
    tracker, alone = followed(None, 2.0), followed(None, 2.0)
    told = np.full(720, 4.3)  # within its uncertainty, which grows
    for k in range(8):
        assert tracker.process(clear(2.0 + 0.1 * k, told))
    images = Sensors(2)
    for other in (tracker, alone):
        assert other.process(images.camera(2.8, []))
    (track,), (unseen,) = tracker.tracks(), alone.tracks()
    assert np.hypot(*(track.position - unseen.position)[:2]) < 0.1


def test_what_another_sensor_has_seen_is_not_denied() -> None:
    tracker = followed(None, 1.0)
    tracker.tracks()
    tracks = tracker.history.state.tracks
    tracks.seen[:, SOURCES.index(Source.RADAR)] = ns(0.9)
    before = tracks.copy()
    update_with_clearance(tracks, clear(1.0, 12.0), tracker.config)
    np.testing.assert_array_equal(tracks.mean, before.mean)
    np.testing.assert_array_equal(tracks.existence, before.existence)
    tracks.seen[:, SOURCES.index(Source.RADAR)] = NEVER
    update_with_clearance(tracks, clear(1.0, 12.0), tracker.config)
    assert (tracks.existence < before.existence).all()


def test_what_a_lidar_has_seen_is_not_denied() -> None:
    sensors, tracker = Sensors(2), Tracker()
    for k in range(10):
        assert tracker.process(sensors.lidar(0.1 * k, [CLAIMED]))
        assert tracker.process(sensors.camera(0.1 * k + 0.02, [CLAIMED]))
    before = tracker.history.state.tracks
    assert tracker.process(clear(0.92, 12.0))
    tracker.tracks()
    after = tracker.history.state.tracks
    np.testing.assert_allclose(after.existence, before.existence, rtol=1e-9)
    np.testing.assert_allclose(after.mean, before.mean, rtol=1e-9)
    np.testing.assert_allclose(after.covariance, before.covariance, rtol=1e-9)


def test_it_is_held_at_its_capture_time_however_late_it_comes() -> None:
    sensors = Sensors(2)
    images = [sensors.camera(0.1 * k, [CLAIMED]) for k in range(12)]
    sweeps = [clear(0.1 * k + 0.05, 6.0) for k in range(12)]
    in_order, late = Tracker(), Tracker()
    for image, sweep in zip(images, sweeps, strict=True):
        assert in_order.process(image)
        assert in_order.process(sweep)
    for k, image in enumerate(images):
        assert late.process(image)
        if k >= 3:
            assert late.process(sweeps[k - 3])
    for sweep in sweeps[-3:]:
        assert late.process(sweep)
    a, b = in_order.tracks(), late.tracks()
    assert len(a) == len(b) == 1
    np.testing.assert_allclose(a[0].position, b[0].position, atol=1e-9)
    assert a[0].existence == pytest.approx(b[0].existence, abs=1e-9)


def test_it_is_a_sensor_of_its_own_and_no_reference() -> None:
    tracker = followed(6.0)
    assert tracker.admission.accepted["lidar clearance"] == 40
    assert not tracker.process(clear(3.95, 6.0))
    assert tracker.admission.refused["lidar clearance"] == {Refusal.DUPLICATE: 1}
    assert not tracker.process(replace(clear(4.05, 6.0), fixed_from_sensor=np.full((4, 4), np.nan)))
    assert tracker.process(clear(4.15, np.full(720, np.nan)))  # tells nothing
    assert "lidar clearance" not in tracker.consistency.reports()
    assert tracker.alignment.reports().keys() <= {"camera"}


def test_a_message_tells_the_same() -> None:
    ranges = np.arange(720, dtype=np.float32) / 100.0
    header = Header(stamp=stamp_from_nanoseconds(ns(1.0)), frame_id="lidar_link")
    found = clearance_measurement(clearance_scan(ranges, header), LIDAR_POSE, "rear")
    assert (found.stamp, found.sensor, found.source) == (ns(1.0), "rear", Source.LIDAR)
    np.testing.assert_allclose(found.ranges, ranges)
    for column in (0, 1, 359, 360, 719):
        angle = -np.pi + (column + 0.5) * STEP
        far = np.maximum(ranges[column] + np.array([[-0.005], [0.005]]), 0.001)
        places = far * [np.cos(angle), np.sin(angle)]
        assert found.seen_past(places).tolist() == [column > 0, False]
    half = replace(found, ranges=np.full(360, 5.0))  # of the other half of the circle
    assert half.seen_past(np.array([[0.0, -1.0], [0.0, 1.0]])).tolist() == [True, False]


@pytest.mark.parametrize("step", [0.0, -STEP, np.nan])
def test_a_message_whose_directions_cannot_be_is_refused(step: float) -> None:
    scan: LaserScan = clearance_scan(np.ones(720, np.float32), Header())
    scan.angle_increment = step
    if step < 0.0:
        scan.angle_min, scan.angle_max = scan.angle_max, scan.angle_min
    with pytest.raises(ScanError):
        clearance_measurement(scan, LIDAR_POSE, "lidar")
