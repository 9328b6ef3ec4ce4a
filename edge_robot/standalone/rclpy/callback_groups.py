"""Which callbacks may run at the same time."""

from __future__ import annotations

import threading
from typing import Any


class CallbackGroup:
    """Decides whether an entity's callback may start now.

    An executor calls `begin` before a callback and `end` after it.
    """

    def __init__(self) -> None:
        self.entities: set[Any] = set()

    def add_entity(self, entity: Any) -> None:
        """Add a timer, subscription, service, client or waitable."""
        self.entities.add(entity)

    def has_entity(self, entity: Any) -> bool:
        """Return whether the entity is in this group."""
        return entity in self.entities

    def begin(self) -> bool:
        """Claim the right to run a callback; False if it has to wait."""
        raise TypeError("use ReentrantCallbackGroup or MutuallyExclusiveCallbackGroup")

    def end(self) -> None:
        """Give the right back."""


class ReentrantCallbackGroup(CallbackGroup):
    """Callbacks run whenever they are ready."""

    def begin(self) -> bool:
        """Always grant."""
        return True


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """One callback of the group runs at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._running = threading.Lock()

    def begin(self) -> bool:
        """Grant if no other callback of the group runs."""
        return self._running.acquire(blocking=False)

    def end(self) -> None:
        """Let the next one run."""
        self._running.release()
