"""The camera perception node over DDS, as other nodes see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.nodes.camera_perception import CameraPerception
from edge_robot.nodes.qos import qos_profile

PHOTO = cv2.imread(str(Path(__file__).parent / "warehouse.jpg"))


class Bench:
    """The node, and a second one that feeds it and listens."""

    def __init__(self) -> None:
        self.node = CameraPerception()
        self.peer = rclpy.create_node("peer")
        self.received: list[Detection2DArray] = []
        self.publisher = self.peer.create_publisher(
            Image, topics.CAMERA_IMAGE.name, qos_profile(topics.CAMERA_IMAGE)
        )
        self.peer.create_subscription(
            Detection2DArray,
            topics.CAMERA_DETECTIONS.name,
            self.received.append,
            qos_profile(topics.CAMERA_DETECTIONS),
        )
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.peer)

    def publish_until(self, image: Image, done: Callable[[], bool]) -> None:
        """Publish an image at 10 Hz (best effort: one may be lost) until something holds."""
        end = time.monotonic() + 20.0
        while not done():
            assert time.monotonic() < end, "nothing came within 20 s"
            self.publisher.publish(image)
            until = time.monotonic() + 0.1
            while time.monotonic() < until and not done():
                self.executor.spin_once(timeout_sec=0.02)


@pytest.fixture
def bench(domain: int) -> Iterator[Bench]:
    rclpy.init()
    bench = Bench()
    yield bench
    bench.node.destroy_node()
    bench.peer.destroy_node()
    rclpy.shutdown()


def image_message(pixels: np.ndarray, encoding: str, sec: int) -> Image:
    height, width = pixels.shape[:2]
    message = Image(height=height, width=width, encoding=encoding, step=pixels.strides[0])
    message.data = pixels.tobytes()
    message.header.stamp = Time(sec=sec, nanosec=5)
    message.header.frame_id = "camera_front_optical_frame"
    return message


@pytest.mark.parametrize(
    ("encoding", "conversion"),
    [("bgr8", None), ("rgb8", cv2.COLOR_BGR2RGB)],
)
def test_an_image_becomes_detections_under_its_header(
    bench: Bench, encoding: str, conversion: int | None
) -> None:
    pixels = PHOTO if conversion is None else cv2.cvtColor(PHOTO, conversion)
    message = image_message(pixels, encoding, sec=42)
    bench.publish_until(message, lambda: bool(bench.received))
    found = bench.received[0]
    assert (found.header.stamp.sec, found.header.stamp.nanosec) == (42, 5)
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


def test_an_image_it_cannot_read_is_dropped_counted_and_never_an_empty_result(
    bench: Bench,
) -> None:
    bad = image_message(PHOTO, "32FC1", sec=1)
    bench.publish_until(bad, lambda: bench.node.dropped > 0)
    bench.publish_until(image_message(PHOTO, "bgr8", sec=2), lambda: bool(bench.received))
    assert {found.header.stamp.sec for found in bench.received} == {2}


def test_a_missing_model_ends_the_node(domain: int) -> None:
    rclpy.init(args=["--ros-args", "-p", "model:=no_such_model"])
    try:
        with pytest.raises(UserError, match="no_such_model"):
            CameraPerception()
    finally:
        rclpy.shutdown()
