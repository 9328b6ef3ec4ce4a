"""Waits for action servers that Ctrl-C ends in good order: noted first, raised between messages."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rclpy.node import Node


@contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Note Ctrl-C in a list, instead of breaking into a message that is being taken."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(
    node: Node,
    condition: Callable[[], bool],
    interrupts: list[int],
    seconds: float | None = None,
) -> bool:
    """Run a node's callbacks until a condition holds; False if it does not within `seconds`.

    Raises:
        KeyboardInterrupt: Ctrl-C came first.
    """
    from edge_robot.cli.direct_node import spin_until

    spin_until(node, lambda: condition() or bool(interrupts), seconds)
    if interrupts and not condition():
        raise KeyboardInterrupt
    return condition()


def result_of(node: Node, future: Any, doing: str, interrupts: list[int]) -> Any:
    """Wait for a future as `wait_for` does, and return its result.

    Raises:
        KeyboardInterrupt: Ctrl-C came first.
        RuntimeError: the future failed.
    """
    wait_for(node, future.done, interrupts)
    result = future.result()
    if result is None:
        raise RuntimeError(f"Exception while {doing}: {future.exception()!r}")
    return result


def cancel_goal(node: Node, handle: Any, interrupts: list[int]) -> None:
    """Have a goal cancelled.

    Raises:
        KeyboardInterrupt: another Ctrl-C came before the server's word.
        RuntimeError: the server does not cancel it.
    """
    interrupts.clear()
    response = result_of(node, handle.cancel_goal_async(), "canceling goal", interrupts)
    if [item.goal_id for item in response.goals_canceling] != [handle.goal_id]:
        raise RuntimeError("Failed to cancel goal")
