"""The camera perception node over DDS, as other nodes see it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edge_robot.msg import Event, RobotMode
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import BatteryState, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.camera_perception import CameraPerception
from edge_robot.nodes.mode_manager import ModeManager
from edge_robot.nodes.qos import qos_profile

PHOTO = cv2.imread(str(Path(__file__).parent / "warehouse.jpg"))


class Bench:
    """The node, and a second one that feeds it and listens."""

    def __init__(self) -> None:
        self.peer = rclpy.create_node("peer")
        self.received: list[Detection2DArray] = []
        self.events: list[Event] = []
        self.status: dict[str, DiagnosticStatus] = {}
        self.publishers = {
            topic.name: self.peer.create_publisher(kind, topic.name, qos_profile(topic))
            for topic, kind in (
                (topics.CAMERA_IMAGE, Image),
                (topics.CAMERA_COMPRESSED, CompressedImage),
                (topics.ODOM, Odometry),
                (topics.BATTERY, BatteryState),
            )
        }
        for topic, kind, callback in (
            (topics.CAMERA_DETECTIONS, Detection2DArray, self.received.append),
            (topics.EVENTS, Event, self.events.append),
            (topics.DIAGNOSTICS, DiagnosticArray, self._on_diagnostics),
        ):
            self.peer.create_subscription(kind, topic.name, callback, qos_profile(topic))
        self.executor = SingleThreadedExecutor()
        self.node = CameraPerception()
        self.executor.add_node(self.node)
        self.executor.add_node(self.peer)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.status |= {item.name.split(": ")[1]: item for item in message.status}

    def publish(self, topic: topics.Topic, message: object) -> None:
        self.publishers[topic.name].publish(message)

    def spin(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not done():
            self.executor.spin_once(timeout_sec=0.02)

    def publish_until(
        self,
        make: Callable[[], object],
        done: Callable[[], bool],
        topic: topics.Topic = topics.CAMERA_IMAGE,
    ) -> None:
        """Publish at 10 Hz (best effort: one may be lost) until something holds."""
        end = time.monotonic() + 20.0
        while not done():
            assert time.monotonic() < end, "nothing came within 20 s"
            self.publish(topic, make())
            self.spin(0.1, done)

    def values(self, subject: str) -> dict[str, str]:
        known = self.status.get(subject, DiagnosticStatus())
        return {item.key: item.value for item in known.values}

    def is_level(self, subject: str, level: bytes) -> bool:
        return subject in self.status and self.status[subject].level == level


@pytest.fixture
def make_bench(domain: int) -> Iterator[Callable[..., Bench]]:
    made = []

    def make(*parameters: str) -> Bench:
        given = [word for parameter in parameters for word in ("-p", parameter)]
        rclpy.init(args=["--ros-args", *given] if given else [])
        made.append(Bench())
        return made[0]

    yield make
    for bench in made:
        bench.node.destroy_node()
        bench.peer.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


class Camera:
    """Makes images whose stamps are the time, as a driver does."""

    def __init__(self, bench: Bench) -> None:
        self._clock = bench.peer.get_clock()

    def __call__(self, pixels: np.ndarray) -> Image:
        return image_message(pixels, "bgr8", self._clock.now().to_msg())


def image_message(pixels: np.ndarray, encoding: str, stamp: Time) -> Image:
    height, width = pixels.shape[:2]
    return Image(
        header=Header(stamp=stamp, frame_id="camera_front_optical_frame"),
        height=height,
        width=width,
        encoding=encoding,
        step=pixels.strides[0],
        data=pixels.tobytes(),
    )


def assert_the_people_of_the_photo(found: Detection2DArray, stamp: Time) -> None:
    assert found.header.stamp == stamp
    assert found.header.frame_id == "camera_front_optical_frame"
    people = [d for d in found.detections if d.results[0].hypothesis.class_id == "person"]
    middles = sorted((d.bbox.center.position.x, d.bbox.center.position.y) for d in people)
    truth = np.loadtxt(Path(__file__).parent / "warehouse.txt")
    expected = sorted(map(tuple, (truth[:, :2] + truth[:, 2:]) / 2))
    np.testing.assert_allclose(middles, expected, atol=30.0)
    for detection in found.detections:
        assert 0.0 < detection.results[0].hypothesis.score <= 1.0
        assert detection.bbox.size_x > 0
        assert detection.header == found.header


@pytest.mark.parametrize(
    ("encoding", "conversion"),
    [("bgr8", None), ("rgb8", cv2.COLOR_BGR2RGB), ("yuv422_yuy2", cv2.COLOR_BGR2YUV_YUY2)],
)
def test_an_image_becomes_detections_under_its_header(
    bench: Bench, encoding: str, conversion: int | None
) -> None:
    pixels = PHOTO if conversion is None else cv2.cvtColor(PHOTO, conversion)
    stamp = Time(sec=42, nanosec=5)
    message = image_message(pixels, encoding, stamp)
    bench.publish_until(lambda: message, lambda: bool(bench.received))
    assert_the_people_of_the_photo(bench.received[0], stamp)


def test_compressed_images(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench("transport:=compressed")
    jpeg = cv2.imencode(".jpg", PHOTO)[1].tobytes()
    message = CompressedImage(format="jpeg", data=jpeg[:-2000])
    message.header.frame_id = "camera_front_optical_frame"
    message.header.stamp = Time(sec=1)
    bench.publish_until(
        lambda: message, lambda: bench.node.counts["unreadable"] > 0, topics.CAMERA_COMPRESSED
    )
    message.header.stamp = Time(sec=42, nanosec=5)
    message.data = jpeg
    bench.publish_until(lambda: message, lambda: bool(bench.received), topics.CAMERA_COMPRESSED)
    assert_the_people_of_the_photo(bench.received[0], message.header.stamp)


def test_an_image_it_cannot_read_is_dropped_counted_and_never_an_empty_result(
    bench: Bench,
) -> None:
    bad = image_message(PHOTO, "32FC1", Time(sec=1))
    bench.publish_until(lambda: bad, lambda: bench.node.counts["unreadable"] > 0)
    good = image_message(PHOTO, "bgr8", Time(sec=2))
    bench.publish_until(lambda: good, lambda: bool(bench.received))
    assert {found.header.stamp.sec for found in bench.received} == {2}
    bench.spin(2.0, lambda: "images unreadable" in bench.values("detector"))
    assert int(bench.values("detector")["images unreadable"]) > 0


def test_a_dark_camera_is_no_empty_scene_but_a_missing_one(bench: Bench) -> None:
    """Nothing is said of dark images, so the robot goes slower as for any lost input."""
    manager = ModeManager()
    bench.executor.add_node(manager)
    modes: list[RobotMode] = []
    bench.peer.create_subscription(
        RobotMode, topics.MODE.name, modes.append, qos_profile(topics.MODE)
    )
    others = [
        bench.peer.create_publisher(interface_class(t.type), t.name, qos_profile(t))
        for t in (topics.TRACKS, topics.SCAN, topics.ESTOP, topics.LIDAR_DETECTIONS, topics.ODOM)
    ]
    camera = Camera(bench)

    def show(pixels: np.ndarray) -> Image:
        for other in others:
            other.publish(other.msg_type())
        return camera(pixels)

    try:
        bench.publish_until(
            lambda: show(PHOTO), lambda: bool(modes) and modes[-1].mode == RobotMode.NOMINAL
        )
        bench.spin(0.3)
        known = len(bench.received)
        bench.publish_until(
            lambda: show(np.full_like(PHOTO, 2)),
            lambda: (
                modes[-1].mode == RobotMode.REDUCED
                and bench.is_level("camera", DiagnosticStatus.ERROR)
            ),
        )
        assert modes[-1].cause.startswith("/perception/camera/front/detections (silent")
        assert len(bench.received) == known
        assert bench.status["camera"].message == "dark: detections are withheld"
        assert bench.status["camera"].hardware_id == "camera_front_optical_frame"
        assert [event.name for event in bench.events] == ["camera_sick"]
        bench.publish_until(lambda: show(PHOTO), lambda: len(bench.received) > known)
        bench.publish_until(lambda: show(PHOTO), lambda: len(bench.events) > 1)
        assert bench.events[1].name == "camera_well"
    finally:
        manager.destroy_node()


def test_a_replay_gets_an_answer_to_every_image_and_is_told_all_the_same(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench("withhold_unusable:=false")
    camera = Camera(bench)
    bench.publish_until(
        lambda: camera(np.full_like(PHOTO, 2)),
        lambda: bench.is_level("camera", DiagnosticStatus.ERROR),
    )
    assert bench.received
    assert bench.status["camera"].message == "dark: detections prove nothing"


def test_a_frozen_camera_is_found_out_by_the_robots_motion(bench: Bench) -> None:
    camera = Camera(bench)
    way = iter(range(10_000))

    def drive() -> Image:
        odometry = Odometry()
        odometry.pose.pose.position.x = 0.08 * next(way)
        odometry.pose.pose.orientation.w = 1.0
        bench.publish(topics.ODOM, odometry)
        bench.spin(0.02)
        return camera(PHOTO)

    bench.publish_until(drive, lambda: bench.node.counts["withheld"] > 2)
    known = len(bench.received)
    assert known <= 5
    bench.publish_until(drive, lambda: "frozen since (s)" in bench.values("camera"))
    assert len(bench.received) == known
    bench.publish_until(
        lambda: camera(np.roll(PHOTO, next(way), axis=1)), lambda: len(bench.received) > known
    )


def test_an_unchanged_image_takes_no_inference_and_says_the_same(bench: Bench) -> None:
    camera = Camera(bench)
    bench.publish_until(lambda: camera(PHOTO), lambda: bench.node.counts["unchanged"] > 5)
    assert bench.node.counts["looked at"] >= 2  # never more than four in a row
    bench.spin(0.5)
    assert len({(f.header.stamp.sec, f.header.stamp.nanosec) for f in bench.received}) > 6
    boxes = {tuple(d.bbox.size_x for d in found.detections) for found in bench.received}
    assert len(boxes) == 1


def test_further_looks_are_taken_counted_and_left_out_on_a_low_battery(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    # However busy this machine is.
    monkeypatch.setattr(CameraPerception, "_deadline", lambda self, stamp: math.inf)
    bench = make_bench("further_looks:=2", "reuse_images:=0")
    camera = Camera(bench)
    bench.publish_until(
        lambda: camera(PHOTO), lambda: int(bench.values("detector").get("further looks", 0)) > 1
    )
    bench.publish_until(
        lambda: BatteryState(percentage=0.15), lambda: bool(bench.events), topics.BATTERY
    )
    assert bench.events[0].detail == "warehouse_edge on every image: battery low"
    bench.publish_until(
        lambda: camera(PHOTO), lambda: bench.is_level("operating point", DiagnosticStatus.WARN)
    )
    before, looked_at = bench.values("detector")["further looks"], bench.node.counts["looked at"]
    bench.publish_until(lambda: camera(PHOTO), lambda: bench.node.counts["looked at"] > looked_at)
    bench.spin(1.5)
    assert bench.values("detector")["further looks"] == before


def test_no_further_look_is_begun_at_an_image_that_came_late(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench("further_looks:=4", "adaptive:=false", "reuse_images:=0")
    camera = Camera(bench)

    def late() -> Image:
        image = camera(PHOTO)
        earlier = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec - 200_000_000
        image.header.stamp = Time(sec=earlier // 10**9, nanosec=earlier % 10**9)
        return image

    bench.publish_until(late, lambda: "latency p99 (ms)" in bench.values("detector"))
    assert bench.values("detector")["further looks"] == "0"


def test_a_low_battery_halves_the_rate_visibly(bench: Bench) -> None:
    camera = Camera(bench)
    bench.publish_until(
        lambda: BatteryState(percentage=0.05), lambda: bool(bench.events), topics.BATTERY
    )
    assert bench.events[0].name == "perception_adapted"
    assert bench.events[0].detail == "warehouse_edge on every 2nd image: battery low"
    bench.publish_until(
        lambda: camera(PHOTO), lambda: bench.node.counts["passed over to save time"] > 3
    )
    assert len(bench.received) <= bench.node.counts["passed over to save time"] + 1
    bench.publish_until(
        lambda: camera(PHOTO),
        lambda: bench.is_level("operating point", DiagnosticStatus.WARN),
    )
    assert bench.values("operating point")["step"] == "2 of 2"


def test_heat_changes_the_model_visibly(make_bench: Callable[..., Bench], tmp_path: Path) -> None:
    zone = tmp_path / "temp"
    zone.write_text("99000")
    bench = make_bench(
        f"temperature_file:={zone}",
        "ladder_divisors:=[1, 1]",
        "ladder_models:=['', warehouse_fleet]",
        "recovery:=0.5",
    )
    bench.spin(5.0, lambda: bench.values("detector").get("model") == "warehouse_fleet.onnx")
    assert bench.values("detector")["model"] == "warehouse_fleet.onnx"
    assert bench.status["operating point"].message == (
        "warehouse_fleet on every image: temperature above 85 °C"
    )
    camera = Camera(bench)
    bench.publish_until(lambda: camera(PHOTO), lambda: bool(bench.received))
    assert bench.values("operating point")["temperature (°C)"] == "99"


def test_diagnostics_name_the_model_the_provider_and_the_latency(bench: Bench) -> None:
    camera = Camera(bench)
    bench.publish_until(
        lambda: camera(PHOTO),
        lambda: "latency p99 (ms)" in bench.values("detector"),
    )
    values = bench.values("detector")
    assert values["model"] == "warehouse_edge.onnx"
    assert values["provider"] == "CPUExecutionProvider"
    assert len(values["sha256"]) == 64
    assert 0.0 < float(values["latency p50 (ms)"]) <= float(values["latency p99 (ms)"])
    assert bench.status["drift"].level == DiagnosticStatus.OK
    assert bench.status["camera"].level == DiagnosticStatus.OK
    bench.spin(4.0, lambda: bench.is_level("camera", DiagnosticStatus.STALE))
    assert bench.status["camera"].message.startswith("no image for")


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("model:=no_such_model", "no_such_model"),
        ("transport:=pigeon", "raw, compressed"),
        ("ladder_divisors:=[0]", "ladder_divisors"),
        ("temperature_file:=/no/such/file", "/no/such/file"),
        ("cool:=99.0", "cool < hot"),
    ],
)
def test_a_parameter_that_cannot_be_used_ends_the_node(
    domain: int, parameter: str, complaint: str
) -> None:
    rclpy.init(args=["--ros-args", "-p", parameter])
    try:
        with pytest.raises(UserError, match=complaint):
            rclpy.spin(CameraPerception())
    finally:
        rclpy.shutdown()
