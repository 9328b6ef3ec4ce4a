"""Joins others, and notes how long it takes to know them all."""

from __future__ import annotations

import json
import sys
import time

import rclpy

POLL = 0.005
"""Pause between two looks, s."""


def main(names: list[str]) -> None:
    """Print the time from before the node is made until all names are known."""
    rclpy.init(args=[])
    start = time.monotonic_ns()
    node = rclpy.create_node("bench_seeker")
    while not set(names) <= set(node.get_node_names()):
        time.sleep(POLL)
    print(json.dumps({"discovery": (time.monotonic_ns() - start) * 1e-9}), flush=True)
    rclpy.shutdown()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
