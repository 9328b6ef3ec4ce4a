"""Calls a service with 1 kB, one call after the other, and times the round trips."""

from __future__ import annotations

import json
import sys
import time

import rclpy
from rcl_interfaces.srv import GetParameters

SIZE = 1000


def main(count: int, warm_up: int) -> None:
    """Print the durations of `count` calls, after `warm_up` calls that are left out."""
    rclpy.init(args=[])
    node = rclpy.create_node("bench_client")
    client = node.create_client(GetParameters, "bench/echo")
    client.wait_for_service()
    request = GetParameters.Request(names=["x" * SIZE])
    durations = []
    for call in range(warm_up + count):
        start = time.monotonic_ns()
        future = client.call_async(request)
        rclpy.spin_until_future_complete(node, future)
        duration = time.monotonic_ns() - start
        if len(future.result().values[0].string_value) != SIZE:
            raise RuntimeError("the server did not answer with as much as it was asked")
        if call >= warm_up:
            durations.append(duration * 1e-9)
    print(json.dumps({"round_trips": durations}), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
