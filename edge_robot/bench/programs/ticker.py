"""Publishes a small message at a high rate and nothing else; optionally tells what that costs."""

from __future__ import annotations

import contextlib
import json
import sys
import time

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

WARM_UP = 2.0
"""Time left out after the start, s."""


def main(rate: float, seconds: float) -> None:
    """Publish at `rate`; after `seconds` print the share of a core used; 0: publish for ever."""
    rclpy.init(args=[])
    node = rclpy.create_node("bench_ticker")
    publisher = node.create_publisher(TwistStamped, "bench/tick", 10)
    message = TwistStamped()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        ticks += 1

    node.create_timer(1.0 / rate, tick)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    if not seconds:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()
        return

    def spin(until: float) -> tuple[float, float, int]:
        while time.monotonic() < until:
            executor.spin_once()
        return time.process_time(), time.monotonic(), ticks

    before = spin(time.monotonic() + WARM_UP)
    after = spin(time.monotonic() + seconds)
    used, wall, ticked = (now - then for now, then in zip(after, before))  # noqa: B905
    print(json.dumps({"core_share": used / wall, "rate_hz": ticked / wall}), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
