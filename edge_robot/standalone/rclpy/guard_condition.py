"""Guard conditions: callbacks triggered from any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_robot.standalone.rclpy.callback_groups import CallbackGroup

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


class GuardCondition:
    """Runs its callback on the executor once after each time it was triggered."""

    def __init__(self, callback: Callable[[], None] | None, callback_group: CallbackGroup) -> None:
        self.callback = callback
        self.callback_group = callback_group
        self._triggered = False
        self._executor: Executor | None = None

    def trigger(self) -> None:
        """Ask for the callback."""
        self._triggered = True
        if self._executor is not None:
            self._executor.make_ready(self)

    # What an executor needs.

    def handles(self) -> list[int]:
        """No DDS entity triggers it."""
        return []

    def bind(self, executor: Executor | None) -> None:
        """Learn which executor to tell."""
        self._executor = executor
        if executor is not None and self._triggered:
            executor.make_ready(self)

    def take(self) -> Callable[[], object] | None:
        """Return the callback if it was asked for."""
        if not self._triggered:
            return None
        self._triggered = False
        return self.callback

    def destroy(self) -> None:
        """Ask for nothing any more."""
        self._executor = None
