"""A publisher that keeps its promises for a while, then breaks them; prints what it is told."""

import json
import sys
import time

import rclpy
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.qos import (
    QoSLivelinessPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_policy_name_from_kind,
)
from std_msgs.msg import String

PROMISE = QoSProfile(
    depth=5,
    deadline=Duration(nanoseconds=200_000_000),
    liveliness=QoSLivelinessPolicy.MANUAL_BY_TOPIC,
    liveliness_lease_duration=Duration(nanoseconds=400_000_000),
)


def main():
    """Publish at 20 Hz until somebody listens and then for a second, then be silent for two."""
    rclpy.init()
    node = rclpy.create_node("watched")
    told = {}

    def note(name):
        def remember(info):
            told[name] = getattr(info, "total_count", getattr(info, "current_count", None))
            if name == "incompatible":
                told["policy"] = qos_policy_name_from_kind(info.last_policy_kind)

        return remember

    promised = node.create_publisher(
        String,
        "promised",
        PROMISE,
        event_callbacks=PublisherEventCallbacks(
            deadline=note("deadline"), liveliness=note("liveliness"), matched=note("matched")
        ),
    )
    node.create_publisher(
        String,
        "loose",
        QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT),
        event_callbacks=PublisherEventCallbacks(incompatible_qos=note("incompatible")),
    )
    print("ready", flush=True)
    while promised.get_subscription_count() == 0:
        promised.publish(String(data="waiting"))
        rclpy.spin_once(node, timeout_sec=0.05)
    told.clear()
    kept = time.monotonic() + 1.0
    while time.monotonic() < kept:
        promised.publish(String(data="kept"))
        promised.assert_liveliness()
        rclpy.spin_once(node, timeout_sec=0.05)
    before = dict(told)
    broken = time.monotonic() + 2.0
    while time.monotonic() < broken:
        rclpy.spin_once(node, timeout_sec=0.05)
    print(
        json.dumps(
            {
                "kept": [name for name in ("deadline", "liveliness") if name in before],
                "broken": sorted(told),
                "policy": told.get("policy"),
                "several deadlines": told.get("deadline", 0) >= 5,
                "lost once": told.get("liveliness"),
            }
        ),
        flush=True,
    )
    if "--stay" in sys.argv:
        while True:
            promised.publish(String(data="staying"))
            time.sleep(0.05)


if __name__ == "__main__":
    main()
