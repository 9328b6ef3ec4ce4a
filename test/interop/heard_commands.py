"""A base that counts commands for some seconds, and then tries to say one itself: two numbers."""

import json
import sys
import time

import rclpy
from geometry_msgs.msg import TwistStamped

SECONDS = 4.0

rclpy.init()
node = rclpy.create_node("base", namespace=sys.argv[1])
heard: list[TwistStamped] = []
node.create_subscription(TwistStamped, "cmd_vel", heard.append, 1)
end = time.monotonic() + SECONDS
while time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
try:
    node.create_publisher(TwistStamped, "cmd_vel/mux", 1)
    may_command = True
except Exception:  # RCLError, which rclpy keeps private
    may_command = False
print(json.dumps([len(heard), may_command]))
