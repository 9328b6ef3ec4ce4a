"""Serves a service and its own parameters, and counts."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from std_srvs.srv import SetBool


def main(name: str, period: float) -> None:
    """Serve until told to end; print counts every `period` s."""
    rclpy.init(args=[])
    node = rclpy.create_node(name)
    node.declare_parameter("gain", 0.0)
    counts: Counter[str] = Counter()

    def answer(request: Any, response: Any) -> Any:
        response.success = request.data
        response.message = "x" * 1000
        counts["answered"] += 1
        return response

    def report() -> None:
        print(json.dumps({**counts, "gain": node.get_parameter("gain").value}), flush=True)

    node.create_service(SetBool, "soak/service", answer)
    node.create_timer(period, report)
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
