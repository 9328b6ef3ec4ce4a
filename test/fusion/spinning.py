"""Spins nodes in the test's own thread until something holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

SPIN_LIMIT = 30.0

Spin = Callable[[Callable[[], Any]], None]


@contextmanager
def spinning(nodes: Sequence[Node]) -> Iterator[Spin]:
    """Give a function that spins nodes until something holds; they are destroyed at the end.

    Raises:
        AssertionError: It did not come to hold within SPIN_LIMIT s.
    """
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)

    def spin(condition: Callable[[], Any]) -> None:
        until = time.monotonic() + SPIN_LIMIT
        while not condition():
            assert time.monotonic() < until, f"nothing came of it within {SPIN_LIMIT} s"
            executor.spin_once(timeout_sec=0.05)

    yield spin
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
