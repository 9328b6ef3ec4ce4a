"""Starts as a node does, up to the first message it hears, and notes when it got how far."""

import json
import sys
import time

import rclpy
from geometry_msgs.msg import TwistStamped

imported = time.time_ns()
started = json.loads(sys.argv[1])["started"]
rclpy.init(args=[])
before = time.time_ns()
node = rclpy.create_node("bench_starter")
made = time.time_ns()
heard: list[TwistStamped] = []
node.create_subscription(TwistStamped, "bench/tick", heard.append, 10)
while not heard:
    rclpy.spin_once(node)
first = time.time_ns()
figures = {
    "imported": imported - started,
    "node": made - before,
    "node_made": made - started,
    "first_message": first - started,
}
print(json.dumps({name: value * 1e-9 for name, value in figures.items()}), flush=True)
rclpy.shutdown()
