"""Publishes stamped images or clouds at a fixed rate, and times the calls of `publish`."""

from __future__ import annotations

import array
import json
import sys
import time
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2, PointField

SETTLE = 0.5
"""Pause between discovery of the last subscription and the first message, s."""


def image() -> Any:
    """Return a 640×480 colour image."""
    message = Image(height=480, width=640, encoding="bgr8", step=640 * 3)
    message.data = array.array("B", bytes(480 * 640 * 3))
    return message


def cloud() -> Any:
    """Return a cloud of 16×720 points, x, y, z and intensity as float32."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(("x", "y", "z", "intensity"))
    ]
    message = PointCloud2(height=16, width=720, fields=fields, point_step=16, row_step=16 * 720)
    message.is_dense = True
    message.data = array.array("B", bytes(16 * 720 * 16))
    return message


def main(kind: str, rate: float, count: int, subscriptions: int) -> None:
    """Wait for the subscriptions, publish `count` messages, print, and stay until told to go."""
    rclpy.init(args=[])
    node = rclpy.create_node("bench_talker")
    message = {"image": image, "cloud": cloud}[kind]()
    publisher = node.create_publisher(type(message), f"bench/{kind}", qos_profile_sensor_data)
    while publisher.get_subscription_count() < subscriptions:
        time.sleep(0.02)
    time.sleep(SETTLE)
    durations: list[float] = []

    def talk() -> None:
        message.header.frame_id = str(len(durations))
        start = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(start, 1_000_000_000)
        publisher.publish(message)
        durations.append((time.time_ns() - start) * 1e-9)

    node.create_timer(1.0 / rate, talk)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while len(durations) < count:
        executor.spin_once()
    print(json.dumps({"publish": durations}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
