"""How every node of the stack is started, spun and stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from edge_robot.errors import UserError


def run(make_node: Callable[[], Node]) -> None:
    """Create one node, spin it until shutdown, and leave cleanly.

    A `UserError` (in the constructor, a callback or `destroy_node`) is printed as one line and
    ends the process with status 2; SIGINT and SIGTERM end it with status 0.
    """
    status = 0
    try:
        rclpy.init()
        node = make_node()
        try:
            rclpy.spin(node)
        finally:
            node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        status = 2
    finally:
        rclpy.try_shutdown()
    sys.exit(status)
