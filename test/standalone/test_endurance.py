"""Nothing is left behind by nodes and contexts that end, nor by peers that die."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

SpinUntil = Callable[[Node, Callable[[], Any]], None]


def resources() -> dict[str, int]:
    """Return how much of each kind this process holds."""
    gc.collect()
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "native threads": len(list(Path("/proc/self/task").iterdir())),
    }


def resident_memory() -> int:
    """Return the resident memory, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def live_once(context: Context | None = None) -> None:
    """Let a node with one of everything live and end."""
    node = rclpy.create_node("short_lived", context=context)
    node.create_publisher(String, "t", 1).publish(String())
    node.create_subscription(String, "t", lambda _: None, 1)
    node.create_service(Trigger, "s", lambda _, response: response)
    node.create_client(Trigger, "s")
    node.create_timer(0.0, lambda: None)
    node.create_guard_condition(lambda: None)
    for executor_class in (SingleThreadedExecutor, MultiThreadedExecutor):
        with executor_class(context=context) as executor:
            executor.add_node(node)
            executor.spin_once(timeout_sec=0.0)
    node.destroy_node()


def test_nodes_that_end_leave_nothing(ros: None) -> None:
    for _ in range(10):  # caches fill, memory pools grow
        live_once()
    before, memory = resources(), resident_memory()
    for _ in range(100):
        live_once()
    assert resources() == before
    # A single message queue or wait set kept per node would be more.
    assert resident_memory() - memory < 4 << 20


def test_contexts_that_end_leave_nothing(domain: int) -> None:
    before: dict[str, int] = {}
    for number in range(6):
        if number == 1:
            before = resources()
        with Context() as context:
            live_once(context)
    assert resources() == before


PEER = """
    from std_msgs.msg import String
    from std_srvs.srv import Trigger
    rclpy.init(args=[])
    node = rclpy.create_node("victim")
    def answer(request, response):
        print("asked")
        while True:
            pass
    node.create_service(Trigger, "ask", answer)
    node.create_subscription(String, "t", lambda message: None, 1)
    publisher = node.create_publisher(String, "t", 1)
    node.create_timer(0.01, lambda: publisher.publish(String(data="from the victim")))
    print("ready")
    rclpy.spin(node)
"""


def test_the_others_live_on_when_a_peer_is_killed(
    short_lease: None, node: Node, spin_until: SpinUntil, start_peer: Callable[..., Any]
) -> None:
    received: list[str] = []
    node.create_subscription(String, "t", lambda message: received.append(message.data), 10)
    publisher = node.create_publisher(String, "t", 1)
    client = node.create_client(Trigger, "ask")
    victim = start_peer(PEER)
    assert client.wait_for_service(20.0)
    spin_until(node, lambda: "from the victim" in received)
    unanswered = client.call_async(Trigger.Request())
    victim.wait_for("asked")
    victim.process.kill()
    victim.process.wait()
    spin_until(node, lambda: not client.service_is_ready())
    spin_until(node, lambda: "victim" not in node.get_node_names())
    assert not unanswered.done()

    # A reliable publisher does not wait for the dead, and one who comes instead is served.
    for _ in range(100):
        publisher.publish(String(data="own"))
    spin_until(node, lambda: received.count("own") > 0)
    received.clear()
    start_peer(PEER)
    assert client.wait_for_service(20.0)
    spin_until(node, lambda: "from the victim" in received)
