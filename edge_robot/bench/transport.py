"""One 640×480 image from one process to another, over DDS."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

import edge_robot  # noqa: F401  makes rclpy importable where ROS 2 is absent
from edge_robot.bench.figures import percentiles
from edge_robot.nodes.conversions import nanoseconds, stamp_from_nanoseconds
from edge_robot.nodes.runner import run

WIDTH, HEIGHT = 640, 480
RATE = 20.0
WARM_UP = 10
TIMEOUT = 60.0
TOPIC = "/bench/image"


class Talker(Node):
    """Publishes images stamped with the wall clock just before they are handed to DDS."""

    def __init__(self) -> None:
        super().__init__("bench_talker")
        self._image = Image(height=HEIGHT, width=WIDTH, encoding="bgr8", step=WIDTH * 3)
        self._image.data = bytes(WIDTH * HEIGHT * 3)
        self._publisher = self.create_publisher(Image, TOPIC, qos_profile_sensor_data)
        self.create_timer(1.0 / RATE, self._talk)

    def _talk(self) -> None:
        self._image.header.stamp = stamp_from_nanoseconds(time.time_ns())
        self._publisher.publish(self._image)


class Listener(Node):
    """Notes how old each image is when the callback has it."""

    def __init__(self) -> None:
        super().__init__("bench_listener")
        self.ages: list[float] = []
        self.create_subscription(Image, TOPIC, self._hear, qos_profile_sensor_data)

    def _hear(self, image: Image) -> None:
        self.ages.append((time.time_ns() - nanoseconds(image.header.stamp)) * 1e-9)


def measure(images: int = 200) -> dict[str, Any]:
    """Return the one-way latency of `images` images.

    Raises:
        TimeoutError: the images did not arrive.
    """
    talker = subprocess.Popen([sys.executable, "-m", __name__])
    rclpy.init()
    listener = Listener()
    try:
        limit = time.monotonic() + TIMEOUT
        while len(listener.ages) < WARM_UP + images:
            if time.monotonic() > limit:
                raise TimeoutError(f"{len(listener.ages)} of {images} images after {TIMEOUT:.0f} s")
            rclpy.spin_once(listener, timeout_sec=1.0)
    finally:
        talker.terminate()
        talker.wait()
        listener.destroy_node()
        rclpy.shutdown()
    return {"image_640x480": percentiles(listener.ages[WARM_UP:])}


if __name__ == "__main__":
    run(Talker)
