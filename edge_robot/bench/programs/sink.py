"""Takes in all that one source publishes, looks transforms up, and counts."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from typing import Any

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2
from tf2_ros import Buffer, TransformException, TransformListener

LOOKUP_RATE = 50.0


def main(name: str, source: str, period: float) -> None:
    """Listen until told to end; print counts and the longest gap every `period` s."""
    rclpy.init(args=[])
    node = rclpy.create_node(name)
    counts: Counter[str] = Counter()
    heard: dict[str, float] = {}
    gaps: Counter[str] = Counter()

    def hear(kind: str, message: Any) -> None:
        if message.header.frame_id != source:
            counts["others"] += 1
            return
        now = time.monotonic()
        gaps[kind] = max(gaps[kind], now - heard.get(kind, now))  # type: ignore[assignment]
        heard[kind] = now
        counts[kind] += 1

    buffer = Buffer()
    listener = TransformListener(buffer, node)

    def look_up() -> None:
        try:
            buffer.lookup_transform("odom", "base_link", Time())
            counts["lookups"] += 1
        except TransformException:
            counts["failed_lookups"] += 1

    def report() -> None:
        figures = {**counts, "gaps_s": dict(gaps), "publishers": twist.get_publisher_count()}
        print(json.dumps(figures), flush=True)
        gaps.clear()

    node.create_subscription(
        Image, "soak/image", lambda m: hear("image", m), qos_profile_sensor_data
    )
    node.create_subscription(
        PointCloud2, "soak/cloud", lambda m: hear("cloud", m), qos_profile_sensor_data
    )
    twist = node.create_subscription(TwistStamped, "soak/twist", lambda m: hear("twist", m), 10)
    node.create_timer(1.0 / LOOKUP_RATE, look_up)
    node.create_timer(period, report)
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)
    del listener


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
