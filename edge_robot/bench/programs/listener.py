"""Notes how old images or clouds are when the callbacks have them."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2

SILENCE = 3.0
"""Pause after which nothing more is expected, s: best effort may lose the last message."""


def main(kind: str, count: int, warm_up: int, nodes: int) -> None:
    """Listen with `nodes` nodes to `count` messages, leave out the first ones, print the ages."""
    rclpy.init(args=[])
    executor = SingleThreadedExecutor()
    ages: list[float] = []
    last = time.monotonic()
    ended = 0

    def hear(message: Any) -> None:
        nonlocal last, ended
        stamp = message.header.stamp
        age = time.time_ns() - (stamp.sec * 1_000_000_000 + stamp.nanosec)
        last = time.monotonic()
        index = int(message.header.frame_id)
        if index >= warm_up:
            ages.append(age * 1e-9)
        ended += index == count - 1

    for number in range(nodes):
        node = rclpy.create_node(f"bench_listener_{number}")
        node.create_subscription(
            {"image": Image, "cloud": PointCloud2}[kind],
            f"bench/{kind}",
            hear,
            qos_profile_sensor_data,
        )
        executor.add_node(node)
    while ended < nodes and not (ages and time.monotonic() - last > SILENCE):
        executor.spin_once(timeout_sec=0.5)
    print(json.dumps({"ages": ages}), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
