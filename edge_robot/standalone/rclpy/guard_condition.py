"""Guard conditions: callbacks triggered from any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_robot.standalone.rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


class GuardCondition:
    """Runs its callback on the executor once after each time it was triggered.

    Args:
        callback: What to run; may be a coroutine function.
        callback_group: Decides when it may run.
    """

    def __init__(
        self,
        callback: Callable[[], object] | None,
        callback_group: CallbackGroup | None,
    ) -> None:
        self.callback = callback
        self.callback_group: CallbackGroup = callback_group or ReentrantCallbackGroup()
        self._triggered = False
        self._tell: Callable[[], None] | None = None

    def trigger(self) -> None:
        """Ask for the callback."""
        self._triggered = True
        if self._tell is not None:
            self._tell()

    def stand_for(self, tell: Callable[[], None] | None) -> None:
        """Let something else be told of triggers: a waitable this is part of."""
        self._tell = tell
        if tell is not None and self._triggered:
            tell()

    def take_trigger(self) -> bool:
        """Return whether it was triggered since it was asked last."""
        triggered, self._triggered = self._triggered, False
        return triggered

    # What an executor needs.

    def handles(self) -> list[int]:
        """No DDS entity triggers it."""
        return []

    def bind(self, executor: Executor | None) -> None:
        """Learn which executor to tell."""
        self.stand_for(None if executor is None else lambda: executor.make_ready(self))

    def take(self) -> Callable[[], object] | None:
        """Return the callback if it was asked for."""
        return self.callback if self.take_trigger() else None

    def destroy(self) -> None:
        """Ask for nothing any more."""
        self._tell = None
