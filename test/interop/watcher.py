"""Subscribes to what `watched.py` publishes and prints which promises it saw broken."""

import json
import time

import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, qos_policy_name_from_kind
from std_msgs.msg import String
from watched import PROMISE


def main():
    """Watch for five seconds."""
    rclpy.init()
    node = rclpy.create_node("watcher")
    told = {}
    alive = []

    def note(name):
        def remember(info):
            told[name] = getattr(info, "total_count", None)
            if name == "liveliness":
                alive.append([info.alive_count, info.not_alive_count])
            if name == "incompatible":
                told["policy"] = qos_policy_name_from_kind(info.last_policy_kind)

        return remember

    heard = []
    node.create_subscription(
        String,
        "promised",
        lambda message: heard.append(message.data),
        PROMISE,
        event_callbacks=SubscriptionEventCallbacks(
            deadline=note("deadline"), liveliness=note("liveliness"), matched=note("matched")
        ),
    )
    node.create_subscription(
        String,
        "loose",
        heard.append,
        QoSProfile(depth=1),
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=note("incompatible")),
    )
    limit = time.monotonic() + 20.0
    while "kept" not in heard and time.monotonic() < limit:
        rclpy.spin_once(node, timeout_sec=0.05)
    limit = time.monotonic() + 5.0
    while time.monotonic() < limit:
        rclpy.spin_once(node, timeout_sec=0.05)
    print(
        json.dumps(
            {
                "told": sorted(told),
                "policy": told.get("policy"),
                "several deadlines": told.get("deadline", 0) >= 5,
                "alive first": alive[:1],
                "then not": [0, 1] in alive,
            }
        )
    )
    rclpy.shutdown()


if __name__ == "__main__":
    main()
