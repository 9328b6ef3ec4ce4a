"""A robot's sensors at full rate: image, cloud, velocity, transforms. Counts what it publishes."""

from __future__ import annotations

import array
import contextlib
import json
import sys
import time
from collections import Counter
from typing import Any

import rclpy
from geometry_msgs.msg import TransformStamped, TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2, PointField
from tf2_ros import TransformBroadcaster

RATES = {"image": 30.0, "cloud": 20.0, "twist": 100.0, "tf": 100.0}


def main(name: str, period: float) -> None:
    """Publish until told to end; print counts and the longest call every `period` s."""
    rclpy.init(args=[])
    node = rclpy.create_node(name)
    image = Image(height=480, width=640, encoding="bgr8", step=640 * 3)
    fields = [
        PointField(name=axis, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, axis in enumerate(("x", "y", "z", "intensity"))
    ]
    cloud = PointCloud2(height=16, width=720, fields=fields, point_step=16, row_step=16 * 720)
    transform = TransformStamped(child_frame_id="base_link")
    transform.header.frame_id = "odom"
    broadcaster = TransformBroadcaster(node)
    work = {
        "image": (image, node.create_publisher(Image, "soak/image", qos_profile_sensor_data)),
        "cloud": (cloud, node.create_publisher(PointCloud2, "soak/cloud", qos_profile_sensor_data)),
        "twist": (TwistStamped(), node.create_publisher(TwistStamped, "soak/twist", 10)),
    }
    sizes = {"image": 480 * 640 * 3, "cloud": 16 * 720 * 16}
    counts: Counter[str] = Counter()
    longest = 0.0

    def publish(kind: str) -> None:
        nonlocal longest
        start = time.monotonic()
        if kind == "tf":
            transform.header.stamp = node.get_clock().now().to_msg()
            broadcaster.sendTransform(transform)
        else:
            message, publisher = work[kind]
            message.header.stamp = node.get_clock().now().to_msg()
            message.header.frame_id = name
            if kind in sizes:  # new data each time, as from a driver
                message.data = array.array("B", bytes(sizes[kind]))
            publisher.publish(message)
        counts[kind] += 1
        longest = max(longest, time.monotonic() - start)

    def report() -> None:
        nonlocal longest
        figures: dict[str, Any] = {**counts, "longest_call_s": longest}
        print(json.dumps(figures), flush=True)
        longest = 0.0

    for kind, rate in RATES.items():
        node.create_timer(1.0 / rate, lambda kind=kind: publish(kind))
    node.create_timer(period, report)
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
