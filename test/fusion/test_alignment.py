"""Time offset and rotation of sensors against the lidar, found from tracks that move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scene import CAMERA_POSE, LIDAR_POSE, PERSON, VIEW, Sensors, ns

from edge_robot.fusion.alignment import Alignment, AlignmentSettings
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import CameraMeasurement, Measurement, Source
from edge_robot.fusion.tracker import Tracker


def walk(t: float) -> NDArray[np.float64]:
    """Three people: two walk to and fro, across and along, one stands."""
    return np.array(
        [
            (5.0, 1.8 * np.sin(0.8 * t)),
            (7.0 + 1.5 * np.sin(0.7 * t), 1.5 + 1.5 * np.cos(0.7 * t)),
            (4.0, -1.6),
        ]
    )


def turn(yaw: float, pitch: float) -> NDArray[np.float64]:
    """Return the rotation of a body turned left and then tilted down."""
    c, s, d, e = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    about_z = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return about_z @ np.array([[d, 0.0, e], [0.0, 1.0, 0.0], [-e, 0.0, d]])


def robot_pose(t: float, rate: float) -> NDArray[np.float64]:
    """Return a robot that turns to and fro, at up to `rate`."""
    pose = np.eye(4)
    pose[:3, :3] = turn(rate / 1.3 * np.sin(1.3 * t), 0.0)
    return pose


class Rig(Sensors):
    """A lidar at 10 Hz and a camera at 10 Hz, which may be wrong about time and direction."""

    def __init__(self, late: float = 0.0, yaw: float = 0.0, pitch: float = 0.0, rate: float = 0.0):
        super().__init__(seed=4)
        self.late, self.yaw, self.pitch, self.rate = late, yaw, pitch, rate

    def image(self, t: float) -> CameraMeasurement:
        """Return what was seen at t, stamped late, with the pose the robot had at the stamp."""
        true = robot_pose(t, self.rate) @ CAMERA_POSE
        true[:3, :3] = (
            robot_pose(t, self.rate)[:3, :3] @ turn(self.yaw, self.pitch) @ CAMERA_POSE[:3, :3]
        )
        people = np.column_stack([walk(t), np.full(3, PERSON[2] / 2)])
        boxes, seen = replace(VIEW, fixed_from_optical=true).project_boxes(
            people, np.tile(PERSON, (3, 1)), np.zeros(3)
        )
        boxes = boxes[seen] + self.rng.normal(0.0, 2.0, (seen.sum(), 4))
        return CameraMeasurement(
            stamp=ns(t + self.late),
            boxes=np.clip(boxes, 0.0, [480.0, 360.0, 480.0, 360.0]),
            scores=np.full(len(boxes), 0.8),
            labels=["person"] * len(boxes),
            view=replace(
                VIEW, fixed_from_optical=robot_pose(t + self.late, self.rate) @ CAMERA_POSE
            ),
        )

    def run(self, seconds: float) -> Iterator[Measurement]:
        """Return what both measure, in the order of their stamps."""
        for k in range(round(10 * seconds)):
            t = 0.1 * k
            pose = robot_pose(t, self.rate)
            flat = (np.column_stack([walk(t), np.zeros(3)]) @ pose[:3, :3])[:, :2]
            yaws = np.full(3, -np.arctan2(pose[1, 0], pose[0, 0]))
            yield replace(self.lidar(t, flat), yaws=yaws, fixed_from_sensor=pose @ LIDAR_POSE)
            yield self.image(t + 0.05 - self.late)


def found(rig: Rig, seconds: float = 15.0, **settings: float) -> tuple[Tracker, Alignment]:
    tracker = Tracker(TrackerConfig(alignment=AlignmentSettings(**settings)))  # type: ignore[arg-type]
    for measurement in rig.run(seconds):
        tracker.process(measurement)
    return tracker, tracker.alignment.reports()["camera"]


@pytest.mark.parametrize("late", [0.04, 0.0])
def test_a_camera_that_stamps_late_is_found_by_people_who_walk(late: float) -> None:
    _, camera = found(Rig(late=late), seconds=30.0)
    assert camera.time_offset == pytest.approx(late, abs=0.005)
    assert abs(camera.time_offset - late) < 2.0 * camera.time_offset_error
    assert camera.time_offset_error < 0.01
    assert abs(camera.yaw) < 2.0 * camera.yaw_error
    assert camera.corrected == 0.0


def test_a_robot_that_turns_finds_it_sooner() -> None:
    _, camera = found(Rig(late=0.04, rate=0.5), seconds=8.0)
    assert camera.time_offset == pytest.approx(0.04, abs=0.005)


def test_a_camera_turned_in_its_mount_is_found_and_not_taken_for_a_late_one() -> None:
    _, camera = found(Rig(yaw=np.radians(1.0), pitch=np.radians(-0.8), rate=0.2))
    assert camera.yaw == pytest.approx(np.radians(1.0), abs=np.radians(0.15))
    assert camera.pitch == pytest.approx(np.radians(-0.8), abs=2.0 * camera.pitch_error)
    assert abs(camera.time_offset) < 2.0 * camera.time_offset_error
    assert camera.yaw_error < np.radians(0.2)


def test_the_offset_is_taken_off_if_so_configured_and_the_second_lidar_has_its_own() -> None:
    """The estimate stays that of the stamps as sent; tracks know when each sensor really saw."""
    settings = AlignmentSettings(correct_time_offsets=True, reference_lidar="lidar")
    tracker = Tracker(TrackerConfig(alignment=settings))
    rig = Rig(late=0.04, rate=0.4)

    def pose(measurement: Measurement) -> NDArray[np.float64]:
        source, sensor, stamp = measurement.source, measurement.sensor, measurement.stamp
        stamp -= tracker.alignment.shift(source, sensor, stamp)
        return robot_pose((stamp - ns(0.0)) * 1e-9, rig.rate)

    for k, measurement in enumerate(rig.run(9.0)):
        if isinstance(measurement, CameraMeasurement):
            view = replace(VIEW, fixed_from_optical=pose(measurement) @ CAMERA_POSE)
            assert tracker.process(replace(measurement, view=view))
            continue
        assert tracker.process(measurement)
        t = 0.05 * k + 0.02  # stamped 20 ms early
        flat = (np.column_stack([walk(t), np.zeros(3)]) @ robot_pose(t, rig.rate)[:3, :3])[:, :2]
        second = replace(rig.lidar(t - 0.02, flat), sensor="second")
        assert tracker.process(replace(second, fixed_from_sensor=pose(second) @ LIDAR_POSE))
    camera = tracker.alignment.reports()["camera"]
    second_lidar = tracker.alignment.reports()["lidar second"]
    assert camera.time_offset == pytest.approx(0.04, abs=0.006)
    assert camera.corrected == pytest.approx(0.04, abs=0.01)
    assert second_lidar.time_offset == pytest.approx(-0.02, abs=0.006)
    assert np.isnan(second_lidar.pitch)
    for source in (Source.CAMERA, Source.FLEET):
        shift = tracker.alignment.shift(source, "camera", ns(20.0))
        assert shift == round(camera.corrected * 1e9)
    assert tracker.alignment.shift(Source.LIDAR, "lidar", ns(20.0)) == 0


def test_nothing_is_taken_off_beyond_the_limit() -> None:
    rig = Rig(late=0.06, rate=0.4)
    _, camera = found(rig, 6.0, correct_time_offsets=True, max_time_offset=0.02)
    assert camera.corrected == 0.02
