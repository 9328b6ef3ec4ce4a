"""Camera boxes whose depth was measured, from the message to the tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose, PoseWithCovariance
from scene import CAMERA_POSE, VIEW, Sensors
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from edge_robot.fusion.measurements import CameraMeasurement, Source
from edge_robot.fusion.tracker import Tracker
from edge_robot.nodes.track_messages import camera_measurement

PLACE = np.array([6.0, 1.0])
ERROR = 0.1  # m


def image(sensors: Sensors, t: float, deep: bool) -> CameraMeasurement:
    seen = sensors.camera(t, [tuple(PLACE)])
    if not deep:
        return seen
    depth = PLACE[0] - CAMERA_POSE[0, 3] + sensors.rng.normal(0.0, ERROR)
    return replace(seen, depths=np.array([[depth, ERROR]]))


def test_depth_places_a_person_whom_the_camera_alone_sees() -> None:
    spread = {}
    for deep in (True, False):
        sensors, tracker = Sensors(4), Tracker()
        for k in range(12):
            assert tracker.process(image(sensors, 0.1 * k, deep))
        (track,) = tracker.tracks()
        spread[deep] = np.sqrt(track.covariance[0, 0])
        error = track.position[:2] - PLACE
        assert error @ np.linalg.solve(track.covariance[:2, :2], error) < 9.0
    assert spread[True] < 0.06 < 4.0 * spread[True] < spread[False]


def test_depth_is_news_beside_a_lidar() -> None:
    sensors, tracker = Sensors(5), Tracker()
    for k in range(5):
        assert tracker.process(sensors.lidar(0.1 * k, [tuple(PLACE)]))
        assert tracker.process(image(sensors, 0.1 * k + 0.02, True))
        assert tracker.history.state.degrees.tolist() == [2]


@pytest.mark.parametrize("broken", [(np.nan, ERROR), (-3.0, ERROR), (5.0, np.nan), (5.0, 0.0)])
def test_without_a_sound_depth_a_box_is_like_any_other(broken: tuple[float, float]) -> None:
    seen = Sensors(6).camera(0.0, [tuple(PLACE)])
    plain, other = Tracker(), Tracker()
    assert plain.process(seen)
    assert other.process(replace(seen, depths=np.array([broken])))
    np.testing.assert_array_equal(
        plain.history.state.tracks.covariance, other.history.state.tracks.covariance
    )


@pytest.mark.parametrize(("variance", "depth"), [(0.04, (5.0, 0.2)), (0.0, (5.0, np.nan))])
def test_depth_comes_with_the_hypothesis(variance: float, depth: tuple[float, float]) -> None:
    covariance = np.zeros(36)
    covariance[14] = variance
    pose = PoseWithCovariance(pose=Pose(position=Point(x=0.3, y=0.1, z=5.0)), covariance=covariance)
    result = ObjectHypothesisWithPose(
        hypothesis=ObjectHypothesis(class_id="person", score=0.9), pose=pose
    )
    message = Detection2DArray(
        detections=[Detection2D(results=[result], bbox=BoundingBox2D(size_x=20.0, size_y=50.0))]
    )
    info = CameraInfo(p=VIEW.projection.ravel(), width=480, height=360)
    found = camera_measurement(message, info, np.eye(4), Source.CAMERA, "front")
    np.testing.assert_allclose(found.depths, [depth])
