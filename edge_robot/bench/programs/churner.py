"""Makes and destroys nodes, each with one of everything, and pauses to be looked at."""

from __future__ import annotations

import gc
import json
import sys
from typing import Any

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool


def refuse(request: Any, response: Any) -> Any:
    """Answer no."""
    del request
    return response


def live(number: int) -> None:
    """Make a node, let it run a little, destroy it."""
    node = rclpy.create_node(f"churn_{number}")
    publisher = node.create_publisher(TwistStamped, "churn/twist", 10)
    node.create_subscription(TwistStamped, "churn/twist", lambda message: None, 10)
    node.create_service(SetBool, f"churn/service_{number % 10}", refuse)
    node.create_client(SetBool, f"churn/service_{number % 10}")
    node.create_timer(0.001, lambda: publisher.publish(TwistStamped()))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    for _ in range(3):
        executor.spin_once(timeout_sec=0.01)
    executor.shutdown()
    node.destroy_node()


def main(nodes: int, warm_up: int, step: int) -> None:
    """Print how many nodes have been, after the warm-up and every `step`; go on at a line."""
    rclpy.init(args=[])
    for number in range(warm_up + nodes + 1):
        done = number - warm_up
        if done >= 0 and (done % step == 0 or done == nodes):
            gc.collect()
            print(json.dumps({"done": done}), flush=True)
            sys.stdin.readline()
        if done < nodes:
            live(number)
    rclpy.shutdown()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
