"""Waiting for one message, without an executor."""

from __future__ import annotations

import time
from typing import Any

from edge_robot.standalone.dds.library import INFINITE
from edge_robot.standalone.dds.waitset import WaitSet
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.qos import QoSProfile
from edge_robot.standalone.rclpy.utilities import timeout_sec_to_nsec


def wait_for_message(
    msg_type: Any,
    node: Node,
    topic: str,
    *,
    qos_profile: QoSProfile | int = 1,
    time_to_wait: float = -1,
) -> tuple[bool, Any]:
    """Wait for the next message of a topic; the node may be spinning elsewhere or not at all.

    Args:
        msg_type: Message class.
        node: Node to subscribe with.
        topic: Topic; relative and private names are resolved, renamings applied.
        qos_profile: Contract, or a depth.
        time_to_wait: Longest wait, s; for ever if negative.

    Returns:
        True and the message; False and None after the time-out or shutdown.
    """
    received: list[Any] = []
    timeout = timeout_sec_to_nsec(time_to_wait)
    deadline = time.monotonic_ns() + timeout
    waits = WaitSet(node.context.participant)
    node.context.add_waiting(waits)

    def receive(message: Any) -> None:
        received.append(message)
        waits.wake()  # an executor may have been the one to take it

    subscription = node.create_subscription(msg_type, topic, receive, qos_profile)
    try:
        for handle in subscription.handles():
            waits.attach(handle)
        while not received and node.context.ok():
            remaining = INFINITE if timeout < 0 else deadline - time.monotonic_ns()
            if remaining <= 0:
                break
            if waits.wait(remaining) and (run := subscription.take()) is not None:
                run()
    finally:
        node.destroy_subscription(subscription)
        waits.close()
    return (True, received[0]) if received else (False, None)
