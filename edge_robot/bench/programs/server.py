"""Answers requests of 1 kB with 1 kB."""

from __future__ import annotations

import contextlib

import rclpy
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.executors import ExternalShutdownException

SIZE = 1000


def answer(
    request: GetParameters.Request, response: GetParameters.Response
) -> GetParameters.Response:
    """Answer with as much as was asked."""
    response.values = [
        ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=name)
        for name in request.names
    ]
    return response


def main() -> None:
    """Serve until told to go."""
    rclpy.init(args=[])
    node = rclpy.create_node("bench_server")
    node.create_service(GetParameters, "bench/echo", answer)
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
