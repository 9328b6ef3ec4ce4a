"""Several nodes in one process, to be discovered."""

from __future__ import annotations

import json
import sys

import rclpy
from geometry_msgs.msg import TwistStamped


def main(names: list[str]) -> None:
    """Make the nodes, each with a publisher and a subscription; stay until told to go."""
    rclpy.init(args=[])
    nodes = [rclpy.create_node(name) for name in names]
    for node in nodes:
        node.create_publisher(TwistStamped, "bench/crowd", 10)
        node.create_subscription(TwistStamped, "bench/crowd", print, 10)
    print(json.dumps({"made": len(nodes)}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
