"""Which callbacks may run at the same time."""

from __future__ import annotations

import threading
import weakref
from abc import ABC, abstractmethod
from typing import Any


class CallbackGroup(ABC):
    """Decides whether an entity's callback may start now.

    An executor calls `beginning_execution` before a callback and `ending_execution` after it.
    """

    def __init__(self) -> None:
        # A node's default group outlives most of what was ever in it.
        self.entities: weakref.WeakSet[Any] = weakref.WeakSet()

    def add_entity(self, entity: Any) -> None:
        """Add a timer, subscription, service, client or waitable."""
        self.entities.add(entity)

    def has_entity(self, entity: Any) -> bool:
        """Return whether the entity is in this group."""
        return entity in self.entities

    @abstractmethod
    def can_execute(self, entity: Any) -> bool:
        """Return whether the entity's callback might start now."""

    @abstractmethod
    def beginning_execution(self, entity: Any) -> bool:
        """Claim the right to run the entity's callback; False if it has to wait."""

    @abstractmethod
    def ending_execution(self, entity: Any) -> None:
        """Give the right back."""


class ReentrantCallbackGroup(CallbackGroup):
    """Callbacks run whenever they are ready."""

    def can_execute(self, entity: Any) -> bool:
        """Always true."""
        del entity
        return True

    def beginning_execution(self, entity: Any) -> bool:
        """Always grant."""
        del entity
        return True

    def ending_execution(self, entity: Any) -> None:
        """Nothing to give back."""


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """One callback of the group runs at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._running = threading.Lock()

    def can_execute(self, entity: Any) -> bool:
        """Return whether no callback of the group runs."""
        del entity
        return not self._running.locked()

    def beginning_execution(self, entity: Any) -> bool:
        """Grant if no other callback of the group runs."""
        del entity
        return self._running.acquire(blocking=False)

    def ending_execution(self, entity: Any) -> None:
        """Let the next one run."""
        del entity
        self._running.release()
