"""Lidar perception and fusion as nodes, over DDS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from edge_robot.msg import FleetDetections, TrackedObject, TrackedObjectArray
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.node import Node
from scene import VIEW, Sensors, ns
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField
from spinning import Spin, spinning
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fusion.measurements import CameraMeasurement
from edge_robot.nodes.conversions import nanoseconds, stamp_from_nanoseconds
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.nodes.fusion import Fusion
from edge_robot.nodes.lidar_perception import LidarPerception
from edge_robot.nodes.qos import qos_profile
from edge_robot.perception.detections import Detections

OPTICAL = "camera_front_optical_frame"


class Driver(Node):
    """Publishes what the nodes need and keeps what they say."""

    fusion: Fusion

    def __init__(self) -> None:
        super().__init__("driver")
        self.tracks: list[TrackedObjectArray] = []
        self.boxes: list[Detection3DArray] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.out = {
            topic.name: self.create_publisher(kind, topic.name, qos_profile(topic))
            for topic, kind in (
                (topics.TF, TFMessage),
                (topics.TF_STATIC, TFMessage),
                (topics.LIDAR_POINTS, PointCloud2),
                (topics.CAMERA_INFO, CameraInfo),
                (topics.CAMERA_DETECTIONS, Detection2DArray),
                (topics.FLEET_DETECTIONS, FleetDetections),
            )
        }
        self.create_subscription(
            TrackedObjectArray, topics.TRACKS.name, self.tracks.append, qos_profile(topics.TRACKS)
        )
        self.create_subscription(
            DiagnosticArray,
            topics.DIAGNOSTICS.name,
            self.diagnostics.append,
            qos_profile(topics.DIAGNOSTICS),
        )
        self.create_subscription(
            Detection3DArray,
            topics.LIDAR_DETECTIONS.name,
            self.boxes.append,
            qos_profile(topics.LIDAR_DETECTIONS),
        )

    def told(self, subject: str) -> dict[str, str]:
        """Return what fusion last said of a sensor in /diagnostics; nothing before that."""
        for message in reversed(self.diagnostics):
            for status in message.status:
                if status.name == f"fusion: {subject}":
                    return {item.key: item.value for item in status.values}
        return {}

    def say(self, topic: topics.Topic, message: Any) -> None:
        self.out[topic.name].publish(message)

    def connected(self) -> bool:
        heard = all(publisher.get_subscription_count() for publisher in self.out.values())
        return heard and all(
            self.count_publishers(topic.name) for topic in (topics.TRACKS, topics.LIDAR_DETECTIONS)
        )

    def say_pose(self, t: float, x: float = 0.0) -> None:
        self.say(
            topics.TF, TFMessage(transforms=[transform("odom", "base_link", t, (x, 0.0, 0.0))])
        )

    def say_info(self) -> None:
        self.say(
            topics.CAMERA_INFO,
            CameraInfo(
                header=Header(frame_id=OPTICAL), width=480, height=360, p=VIEW.projection.ravel()
            ),
        )


def transform(
    parent: str,
    child: str,
    t: float,
    place: tuple[float, float, float],
    turn: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
) -> TransformStamped:
    found = TransformStamped(
        header=Header(stamp=stamp_from_nanoseconds(ns(t)), frame_id=parent), child_frame_id=child
    )
    found.transform.translation = Vector3(x=place[0], y=place[1], z=place[2])
    found.transform.rotation = Quaternion(x=turn[0], y=turn[1], z=turn[2], w=turn[3])
    return found


def cloud(t: float, points: np.ndarray) -> PointCloud2:
    data = points.astype(np.float32)
    return PointCloud2(
        header=Header(stamp=stamp_from_nanoseconds(ns(t)), frame_id="lidar_link"),
        height=1,
        width=len(data),
        fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate("xyz")
        ],
        point_step=12,
        row_step=12 * len(data),
        data=data.tobytes(),
        is_dense=True,
    )


def person_and_floor(x: float, y: float) -> np.ndarray:
    """Return the points of a floor and of the near side of a person, lidar frame."""
    grid = np.arange(-6.0, 6.0, 0.25)
    floor = np.array([(a, b, -0.55) for a in grid for b in grid])
    ys, zs = np.arange(-0.2, 0.21, 0.05), np.arange(-0.4, 1.15, 0.1)
    side = np.array([(x - 0.2, y + b, z) for b in ys for z in zs])
    return np.vstack([floor, side])


def image(measurement: CameraMeasurement) -> Detection2DArray:
    return to_detection_array(
        Detections(
            measurement.boxes.astype(np.float32),
            measurement.scores.astype(np.float32),
            np.zeros(len(measurement), np.int64),
            ("person",),
        ),
        Header(stamp=stamp_from_nanoseconds(measurement.stamp), frame_id=OPTICAL),
    )


@pytest.fixture
def ros(domain: int) -> Iterator[None]:
    # Patience for a busy machine; the tests that wait for it to end wait that long.
    rclpy.init(args=["--ros-args", "-p", "transform_timeout:=1.0"])
    yield
    rclpy.try_shutdown()


@pytest.fixture
def running(ros: None) -> Iterator[tuple[Driver, Spin]]:
    """Give the driver, connected to both nodes, and a function that spins until something holds."""
    driver, fusion = Driver(), Fusion()
    driver.fusion = fusion
    with spinning([driver, LidarPerception(), fusion]) as spin:
        spin(driver.connected)
        half = 0.5
        driver.say(
            topics.TF_STATIC,
            TFMessage(
                transforms=[
                    transform("base_link", "lidar_link", 0.0, (0.0, 0.0, 0.55)),
                    transform(
                        "base_link", OPTICAL, 0.0, (0.15, 0.0, 0.45), (-half, half, -half, half)
                    ),
                ]
            ),
        )
        driver.say_info()
        driver.say_pose(-1.0)
        yield driver, spin


def test_from_sweep_and_image_to_one_track(running: tuple[Driver, Spin]) -> None:
    """The robot drives towards a standing person: one track, in odom, that does not move."""
    driver, spin = running
    sensors = Sensors(pixel_noise=1.0)
    for k in range(8):
        t, robot = 0.1 * k, 0.05 * k
        driver.say_pose(t, robot)
        driver.say(topics.LIDAR_POINTS, cloud(t, person_and_floor(4.0 - robot, 0.5)))
        spin(lambda k=k: len(driver.boxes) == k + 1)
        spin(lambda k=k: len(driver.tracks) == 2 * k + 1)
        driver.say(topics.CAMERA_DETECTIONS, image(sensors.camera(t, [(4.0 - robot, 0.5)])))
        spin(lambda k=k: len(driver.tracks) == 2 * k + 2)

    sweep = driver.boxes[-1]
    assert sweep.header.frame_id == "lidar_link"
    assert nanoseconds(sweep.header.stamp) == ns(0.7)
    (box,) = sweep.detections
    assert box.results[0].hypothesis.class_id == "object"
    assert 0.5 < box.results[0].hypothesis.score < 1.0
    assert box.bbox.center.position.x == pytest.approx(3.8 - 0.35, abs=0.1)

    newest = driver.tracks[-1]
    assert newest.header.frame_id == "odom"
    assert nanoseconds(newest.header.stamp) == nanoseconds(newest.capture_stamp) == ns(0.7)
    after_sweep = driver.tracks[-2]  # between two images the last image's stamp stands
    assert nanoseconds(after_sweep.header.stamp) == ns(0.7)
    assert nanoseconds(after_sweep.capture_stamp) == ns(0.6)
    (track,) = newest.objects
    assert track.class_name == "person"
    assert track.sources == TrackedObject.SOURCE_CAMERA | TrackedObject.SOURCE_LIDAR
    assert track.position.x == pytest.approx(3.8, abs=0.15)
    assert track.position.y == pytest.approx(0.5, abs=0.1)
    assert track.position.z == pytest.approx(0.85, abs=0.15)
    assert np.hypot(track.velocity.x, track.velocity.y) < 0.2
    covariance = np.asarray(track.covariance).reshape(4, 4)
    assert np.linalg.eigvalsh(covariance).min() > 0.0
    stamps = [nanoseconds(message.header.stamp) for message in driver.tracks]
    assert stamps == sorted(stamps)


def test_detections_wait_for_their_transform(running: tuple[Driver, Spin]) -> None:
    driver, spin = running
    driver.say_pose(0.0)
    driver.say(topics.LIDAR_POINTS, cloud(0.1, person_and_floor(4.0, 0.0)))
    spin(lambda: driver.boxes)
    assert not driver.tracks
    driver.say_pose(0.2)
    spin(lambda: driver.tracks)
    assert nanoseconds(driver.tracks[0].header.stamp) == ns(0.1)


def test_what_cannot_be_placed_or_read_is_dropped(running: tuple[Driver, Spin]) -> None:
    """Neither a sweep without transform nor a broken cloud stops what follows."""
    driver, spin = running
    driver.say_pose(0.0)
    driver.say(topics.LIDAR_POINTS, cloud(5.0, person_and_floor(4.0, 0.0)))
    spin(lambda: len(driver.boxes) == 1)
    broken = cloud(5.1, person_and_floor(4.0, 0.0))
    broken.width += 100
    driver.say(topics.LIDAR_POINTS, broken)
    driver.say_pose(0.3)
    driver.say(topics.LIDAR_POINTS, cloud(0.2, person_and_floor(4.0, 0.0)))
    spin(lambda: driver.tracks)
    assert [nanoseconds(message.header.stamp) for message in driver.boxes] == [ns(5.0), ns(0.2)]
    spin(lambda: driver.fusion._tracker.admission.refused["lidar"].total() == 1)
    assert [nanoseconds(message.header.stamp) for message in driver.tracks] == [ns(0.2)]


def test_a_stamp_of_another_clock_does_not_lock_out_what_follows(
    running: tuple[Driver, Spin],
) -> None:
    driver, spin = running
    for t in (time.time() + 3600.0, 0.2):
        sweep = cloud(t, person_and_floor(4.0, 0.0))
        sweep.header.frame_id = "odom"  # needs no transform, so nothing else holds it back
        driver.say(topics.LIDAR_POINTS, sweep)
        spin(lambda: driver.fusion._tracker.admission.refused["lidar"].total() == 1)
    spin(lambda: driver.tracks)
    assert [nanoseconds(message.header.stamp) for message in driver.tracks] == [ns(0.2)]


def test_a_late_second_opinion_is_fused_without_moving_a_stamp(
    running: tuple[Driver, Spin],
) -> None:
    driver, spin = running
    sensors = Sensors(pixel_noise=1.0)
    driver.say_pose(-0.5)
    driver.say_pose(2.0)
    for k in range(6):
        driver.say(topics.CAMERA_DETECTIONS, image(sensors.camera(0.1 * k, [(4.0, 0.5)])))
        spin(lambda k=k: len(driver.tracks) == k + 1)
    assert driver.tracks[-1].objects[0].sources == TrackedObject.SOURCE_CAMERA
    opinion = FleetDetections(detections=image(sensors.camera(0.3, [(4.0, 0.5)])), late=True)
    driver.say(topics.FLEET_DETECTIONS, opinion)
    driver.say(topics.CAMERA_DETECTIONS, image(sensors.camera(0.6, [(4.0, 0.5)])))
    spin(lambda: len(driver.tracks) == 7)
    driver.say(topics.CAMERA_DETECTIONS, image(sensors.camera(0.7, [(4.0, 0.5)])))
    spin(lambda: len(driver.tracks) == 8)
    newest = driver.tracks[-1]
    assert nanoseconds(newest.capture_stamp) == ns(0.7)
    assert newest.objects[0].sources == TrackedObject.SOURCE_CAMERA | TrackedObject.SOURCE_FLEET


def test_late_images_move_no_stamp_back_and_diagnostics_tells_of_them(
    running: tuple[Driver, Spin],
) -> None:
    driver, spin = running
    sensors = Sensors(pixel_noise=1.0)
    driver.say_pose(-0.5)
    driver.say_pose(2.0)
    order = (0, 2, 1, 3, 6, 4, 5, 7)
    for count, k in enumerate([*order, 7]):
        driver.say(topics.CAMERA_DETECTIONS, image(sensors.camera(0.1 * k, [(4.0, 0.5)])))
        if count < len(order):
            spin(lambda count=count: len(driver.tracks) == count + 1)
    stamps = [nanoseconds(message.header.stamp) for message in driver.tracks]
    assert stamps == [ns(0.1 * k) for k in (0, 2, 2, 3, 6, 6, 6, 7)]
    spin(lambda: driver.told("camera front").get("refused: duplicate") == "1")
    camera, tracks = driver.told("camera front"), driver.told("tracks")
    assert camera["measurements"] == "8"
    assert float(camera["age (s)"]) > 1e6  # by the wall clock, long ago
    assert (tracks["applied again for late ones"], tracks["longest replay"]) == ("3", "1")


def test_class_lists_of_different_length_are_refused(domain: int) -> None:
    rclpy.init(args=["--ros-args", "-p", "class_names:=[person, car]"])
    try:
        with pytest.raises(UserError, match="differ in length"):
            rclpy.spin(Fusion())
    finally:
        rclpy.try_shutdown()
