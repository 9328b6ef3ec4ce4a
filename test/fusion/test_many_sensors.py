"""Several cameras, lidars and robots into one set of tracks, and those in standard types: DDS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from edge_robot.msg import TrackedObject, TrackedObjectArray
from geometry_msgs.msg import Point, Quaternion, TransformStamped, Vector3
from rclpy.node import Node
from scene import PERSON, VIEW, ns
from sensor_msgs.msg import CameraInfo
from spinning import Spin, spinning
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)
from visualization_msgs.msg import Marker, MarkerArray

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fusion.camera import CameraView
from edge_robot.nodes.conversions import nanoseconds, stamp_from_nanoseconds
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.nodes.fusion import Fusion
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.track_drawing import BOX, ELLIPSE, NAME
from edge_robot.nodes.track_markers import TrackMarkers
from edge_robot.perception.detections import Detections

FRONT, BEHIND, HIDDEN = (4.0, 0.5), (-3.0, 0.4), (9.0, 3.0)
PARAMETERS = (
    ("cameras", "[front, rear]"),
    ("lidars", "[lidar, lidar_rear]"),
    ("peers", "[robot2, robot3]"),
    ("peer_frames", "[robot2/odom, '']"),
    ("transform_timeout", "0.2"),
)
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def pose(x: float, z: float, yaw: float) -> np.ndarray:
    found = np.eye(4)
    found[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    found[:3, 3] = (x, 0.0, z)
    return found


LIDARS = {"lidar": pose(0.0, 0.55, 0.0), "lidar_rear": pose(-0.3, 0.4, np.pi)}
CAMERAS = {"front": pose(0.15, 0.45, 0.0), "rear": pose(-0.3, 0.45, np.pi)}
for each in CAMERAS.values():
    each[:3, :3] = each[:3, :3] @ OPTICAL


class World(Node):
    """Publishes what sensors and a peer would, and keeps what comes of it."""

    fusion: Fusion

    def __init__(self) -> None:
        super().__init__("world")
        self.heard: dict[str, list[Any]] = {}
        self.out: dict[str, Any] = {}
        self.say_to(topics.TF_STATIC, TFMessage)
        for name in CAMERAS:
            self.say_to(topics.CAMERA_INFO.of(name), CameraInfo)
            self.say_to(topics.CAMERA_DETECTIONS.of(name), Detection2DArray)
        for name in LIDARS:
            self.say_to(topics.LIDAR_DETECTIONS.of(name), Detection3DArray)
        for name in ("robot2", "robot3"):
            # As the other robot's fusion sends them.
            theirs = replace(topics.TRACKS, name=topics.PEER_TRACKS.of(name).name)
            self.say_to(theirs, TrackedObjectArray)
        self.hear(topics.TRACKS, TrackedObjectArray)
        self.hear(topics.DIAGNOSTICS, DiagnosticArray)

    def say_to(self, topic: topics.Topic, kind: Any) -> None:
        self.out[topic.name] = self.create_publisher(kind, topic.name, qos_profile(topic))

    def hear(self, topic: topics.Topic, kind: Any) -> None:
        heard = self.heard.setdefault(topic.name, [])
        self.create_subscription(kind, topic.name, heard.append, qos_profile(topic))

    def say(self, topic: topics.Topic, message: Any) -> None:
        self.out[topic.name].publish(message)

    @property
    def tracks(self) -> list[TrackedObjectArray]:
        return self.heard[topics.TRACKS.name]

    def status(self, subject: str) -> dict[str, str] | None:
        """Return what fusion last said of a sensor."""
        for message in reversed(self.heard[topics.DIAGNOSTICS.name]):
            for status in message.status:
                if status.name == f"fusion: {subject}":
                    values = {item.key: item.value for item in status.values}
                    return {"message": status.message, **values}
        return None

    def sweep(
        self, name: str, t: float, people: list[tuple[float, float]], label: str = "object"
    ) -> None:
        message = Detection3DArray(header=header(t, f"{name}_link"))
        for x, y in people:
            there = np.linalg.inv(LIDARS[name]) @ [x, y, PERSON[2] / 2, 1.0]
            box = to_box(there[:3], label)
            message.detections.append(box)
        self.say(topics.LIDAR_DETECTIONS.of(name), message)

    def image(self, name: str, t: float, people: list[tuple[float, float]]) -> None:
        view = CameraView(VIEW.projection, VIEW.width, VIEW.height, CAMERAS[name])
        places = np.array([(x, y, PERSON[2] / 2) for x, y in people])
        boxes, seen = view.project_boxes(
            places, np.tile(PERSON, (len(people), 1)), np.zeros(len(people))
        )
        count = int(seen.sum())
        found = Detections(
            boxes[seen].astype(np.float32),
            np.full(count, 0.9, np.float32),
            np.zeros(count, np.int64),
            ("person",),
        )
        message = to_detection_array(found, header(t, f"camera_{name}"))
        self.say(topics.CAMERA_DETECTIONS.of(name), message)

    def tell(self, t: float, places: list[tuple[float, float]], **changes: Any) -> None:
        """Say as robot2, which stands at (10, 0) and looks back, where it sees people."""
        objects = [person(number, (10.0 - x, -y)) for number, (x, y) in enumerate(places)]
        for item in objects:
            for name, value in changes.items():
                setattr(item, name, value)
        message = TrackedObjectArray(header=header(t, "odom"), objects=objects)
        self.say(topics.PEER_TRACKS.of("robot2"), message)


def header(t: float, frame: str) -> Header:
    return Header(stamp=stamp_from_nanoseconds(ns(t)), frame_id=frame)


def to_box(place: np.ndarray, label: str) -> Detection3D:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = label, 0.9
    box = Detection3D(results=[result])
    box.bbox.center.position = Point(x=place[0], y=place[1], z=place[2])
    box.bbox.size = Vector3(x=PERSON[0], y=PERSON[1], z=PERSON[2])
    return box


def person(number: int, place: tuple[float, float]) -> TrackedObject:
    return TrackedObject(
        id=number,
        class_name="person",
        class_score=0.9,
        existence=0.95,
        position=Point(x=place[0], y=place[1], z=0.85),
        size=Vector3(x=0.5, y=0.5, z=1.7),
        covariance=(0.01 * np.eye(4)).ravel(),
        sources=TrackedObject.SOURCE_LIDAR,
        recent_sources=TrackedObject.SOURCE_LIDAR,
    )


def transform(parent: str, child: str, there: np.ndarray) -> TransformStamped:
    found = TransformStamped(header=Header(frame_id=parent), child_frame_id=child)
    x, y, z = there[:3, 3]
    found.transform.translation = Vector3(x=x, y=y, z=z)
    found.transform.rotation = quaternion(there[:3, :3])
    return found


def quaternion(rotation: np.ndarray) -> Quaternion:
    """Return the quaternion of a rotation: the eigenvector of Bar-Itzhack's matrix."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    return Quaternion(x=x, y=y, z=z, w=w)


@pytest.fixture
def running(domain: int) -> Iterator[tuple[World, Spin]]:
    arguments = [word for name, value in PARAMETERS for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", *arguments])
    world = World()
    world.fusion = Fusion()
    with spinning([world, world.fusion, TrackMarkers()]) as spin:
        spin(
            lambda: (
                all(p.get_subscription_count() for p in world.out.values())
                and world.count_publishers(topics.TRACKS.name)
            )
        )
        frames = [transform("odom", "base_link", np.eye(4))]
        frames += [transform("base_link", f"{name}_link", there) for name, there in LIDARS.items()]
        frames += [
            transform("base_link", f"camera_{name}", there) for name, there in CAMERAS.items()
        ]
        frames.append(transform("odom", "robot2/odom", pose(10.0, 0.0, np.pi)))
        world.say(topics.TF_STATIC, TFMessage(transforms=frames))
        for name in CAMERAS:
            info = CameraInfo(
                header=Header(frame_id=f"camera_{name}"),
                width=VIEW.width,
                height=VIEW.height,
                p=VIEW.projection.ravel(),
            )
            world.say(topics.CAMERA_INFO.of(name), info)
        yield world, spin
    rclpy.try_shutdown()


def look_around(world: World, spin: Spin, rounds: int, start: int = 0) -> None:
    """Let every sensor see the two people, one after the other, `rounds` times."""
    accepted = world.fusion._tracker.admission.accepted
    for k in range(start, start + rounds):
        before = accepted.total()
        for step, name in enumerate(LIDARS):
            world.sweep(name, 0.1 * k + 0.02 * step, [FRONT, BEHIND])
        for step, name in enumerate(CAMERAS):
            world.image(name, 0.1 * k + 0.05 + 0.02 * step, [FRONT, BEHIND])
        spin(lambda before=before: accepted.total() == before + 4)


def test_two_cameras_and_two_lidars_make_one_track_of_each_person(
    running: tuple[World, Spin],
) -> None:
    world, spin = running
    look_around(world, spin, 8)
    tracks = sorted(world.tracks[-1].objects, key=lambda item: item.position.x)
    assert [item.class_name for item in tracks] == ["person", "person"]
    seen_by_both = TrackedObject.SOURCE_CAMERA | TrackedObject.SOURCE_LIDAR
    assert [item.sources for item in tracks] == [seen_by_both, seen_by_both]
    for item, (x, y) in zip(tracks, (BEHIND, FRONT), strict=True):
        assert (item.position.x, item.position.y) == pytest.approx((x, y), abs=0.1)
    for sensor in ("camera front", "camera rear", "lidar", "lidar lidar_rear"):
        spin(lambda sensor=sensor: (world.status(sensor) or {}).get("measurements") == "8")


def test_what_only_a_peer_sees_is_flagged_and_its_nonsense_is_counted(
    running: tuple[World, Spin],
) -> None:
    world, spin = running
    look_around(world, spin, 4)
    admission = world.fusion._tracker.admission
    for k in range(5):
        world.tell(0.4 + 0.02 * k, [FRONT, HIDDEN])
        spin(lambda k=k: admission.accepted["peer robot2"] == k + 1)
    world.tell(0.5, [FRONT], covariance=(-np.eye(4)).ravel())
    world.tell(0.52, [FRONT], yaw=float("nan"))
    world.tell(3600.0 + time.time(), [FRONT])
    lost = TrackedObjectArray(header=header(0.5, "map_of_robot3"), objects=[person(1, FRONT)])
    world.say(topics.PEER_TRACKS.of("robot3"), lost)
    look_around(world, spin, 2, start=5)
    spin(
        lambda: (
            (status := world.status("peer robot2"))
            and status.get("refused: unsound box") == "2"
            and status.get("refused: stamp in the future") == "1"
        )
    )
    spin(lambda: (world.status("peer robot3") or {}).get("refused: no transform") == "1")
    status = world.status("peer robot2")
    assert status is not None
    assert float(status["trust (0..1)"]) > 0.7
    here = [item for item in world.tracks[-1].objects if item.position.x < 6.0]
    assert len(here) == 2
    (hidden,) = [item for item in world.tracks[-1].objects if item.position.x > 6.0]
    assert hidden.sources == TrackedObject.SOURCE_PEER
    assert (hidden.position.x, hidden.position.y) == pytest.approx(HIDDEN, abs=0.1)
    assert hidden.class_name == "person"


def test_standard_types_come_while_somebody_listens(running: tuple[World, Spin]) -> None:
    world, spin = running
    look_around(world, spin, 4)
    assert world.count_subscribers(topics.TRACKS.name) == 1, "nobody draws for nobody"
    world.hear(topics.TRACK_MARKERS, MarkerArray)
    world.hear(topics.TRACK_DETECTIONS, Detection3DArray)
    spin(lambda: world.count_subscribers(topics.TRACKS.name) == 2)
    look_around(world, spin, 1, start=5)
    drawn, boxes = (world.heard[t.name] for t in (topics.TRACK_MARKERS, topics.TRACK_DETECTIONS))
    spin(lambda: drawn and boxes)

    tracks = {item.id: item for item in world.tracks[-1].objects}
    assert boxes[-1].header.frame_id == drawn[-1].markers[0].header.frame_id == "odom"
    for box in boxes[-1].detections:
        track = tracks[int(box.id)]
        assert box.results[0].hypothesis.class_id == track.class_name
        assert box.bbox.center.position.x == pytest.approx(track.position.x, abs=0.05)
    kinds = {BOX: Marker.CUBE, ELLIPSE: Marker.CYLINDER, NAME: Marker.TEXT_VIEW_FACING}
    assert {(m.ns, m.id) for m in drawn[-1].markers} == {(n, i) for n in kinds for i in tracks}
    for marker in drawn[-1].markers:
        assert marker.type == kinds[marker.ns]
        assert marker.action == Marker.ADD
        assert marker.lifetime.nanosec > 0
        assert min(marker.scale.x, marker.scale.y, marker.scale.z) > 0.0 or marker.ns == NAME
        assert marker.color.a > 0.0
        q = marker.pose.orientation
        assert q.x**2 + q.y**2 + q.z**2 + q.w**2 == pytest.approx(1.0)


def test_a_3d_detector_names_what_it_sees(running: tuple[World, Spin]) -> None:
    world, spin = running
    accepted = world.fusion._tracker.admission.accepted
    for k in range(6):
        world.sweep("lidar_rear", 0.1 * k, [BEHIND] if k < 5 else [], label="forklift")
        spin(lambda k=k: accepted["lidar lidar_rear"] == k + 1)
    spin(lambda: world.tracks and nanoseconds(world.tracks[-1].header.stamp) == ns(0.5))
    (track,) = world.tracks[-1].objects
    assert track.class_name == "forklift"
    assert (track.position.x, track.position.y) == pytest.approx(BEHIND, abs=0.1)
    assert track.coasting == pytest.approx(0.1)


@pytest.mark.parametrize("given", ["cameras:=[front, front]", "lidars:=[a/b]", "peers:=['2nd']"])
def test_names_that_make_no_topic_are_refused(domain: int, given: str) -> None:
    rclpy.init(args=["--ros-args", "-p", given])
    try:
        with pytest.raises(UserError, match="give each name once"):
            rclpy.spin(Fusion())
    finally:
        rclpy.try_shutdown()
