"""Waitables: several entities that are waited for and handled together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.dds.library import lib
from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.guard_condition import GuardCondition
from edge_robot.standalone.rclpy.task import Future

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.executors import Executor


@dataclass
class NumberOfEntities:
    """How many entities of each kind something waits for."""

    num_subscriptions: int = 0
    num_guard_conditions: int = 0
    num_timers: int = 0
    num_clients: int = 0
    num_services: int = 0
    num_events: int = 0

    def __add__(self, other: NumberOfEntities) -> NumberOfEntities:
        return NumberOfEntities(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )


class WaitableSet:
    """What a waitable adds its entities to, and asks which of them are ready.

    Entities are subscriptions, services, clients and guard conditions of this library.
    """

    def __init__(self) -> None:
        self._entities: list[Any] = []

    def add_subscription(self, subscription: Any) -> int:
        """Add one; returns what to ask `is_ready` for."""
        return self._add(subscription)

    def add_service(self, service: Any) -> int:
        """Add one; returns what to ask `is_ready` for."""
        return self._add(service)

    def add_client(self, client: Any) -> int:
        """Add one; returns what to ask `is_ready` for."""
        return self._add(client)

    def add_guard_condition(self, guard: GuardCondition) -> int:
        """Add one; returns what to ask `is_ready` for."""
        return self._add(guard)

    def is_ready(self, kind: str, index: int) -> bool:
        """Return whether there is something to take.

        Args:
            kind: "subscription", "service", "client" or "guard_condition".
            index: What adding it returned.
        """
        entity = self._entities[index]
        if kind == "guard_condition":
            return bool(entity.take_trigger())
        return any(lib.triggered(handle) > 0 for handle in entity.handles())

    @property
    def guards(self) -> list[GuardCondition]:
        """The guard conditions in it."""
        return [entity for entity in self._entities if isinstance(entity, GuardCondition)]

    def handles(self) -> list[int]:
        """Return the DDS entities in it."""
        return [handle for entity in self._entities for handle in entity.handles()]

    def _add(self, entity: Any) -> int:
        self._entities.append(entity)
        return len(self._entities) - 1


class Waitable(ABC):
    """Base of what adds entities to a wait set and handles them itself.

    Args:
        callback_group: Decides when `execute` may run.
    """

    def __init__(self, callback_group: CallbackGroup) -> None:
        self.callback_group = callback_group
        callback_group.add_entity(self)
        self._futures: list[Future] = []
        self._set = WaitableSet()
        self._executor: Executor | None = None

    def add_future(self, future: Future) -> None:
        """Let the done-callbacks of a future run on the executor."""
        self._futures.append(future)

    def remove_future(self, future: Future) -> None:
        """Leave a future alone."""
        self._futures.remove(future)

    @abstractmethod
    def is_ready(self, wait_set: WaitableSet) -> bool:
        """Return whether one of the entities is ready."""

    @abstractmethod
    def take_data(self) -> Any:
        """Take what made it ready."""

    @abstractmethod
    async def execute(self, taken_data: Any) -> None:
        """Handle what was taken."""

    @abstractmethod
    def get_num_entities(self) -> NumberOfEntities:
        """Return how many entities of each kind it waits for."""

    @abstractmethod
    def add_to_wait_set(self, wait_set: WaitableSet) -> None:
        """Add the entities to a wait set."""

    # What an executor needs.

    def handles(self) -> list[int]:
        """Return the DDS entities that trigger it."""
        return self._set.handles()

    def bind(self, executor: Executor | None) -> None:
        """Add the entities to the set the executor watches."""
        self._executor = executor
        for guard in self._set.guards:
            guard.stand_for(None)
        if executor is not None:
            self._set = WaitableSet()
            self.add_to_wait_set(self._set)
            for guard in self._set.guards:
                guard.stand_for(self._notify)

    def _notify(self) -> None:
        if self._executor is not None:
            self._executor.make_ready(self)

    def take(self) -> Callable[[], object] | None:
        """Return how to handle what is ready."""
        if not self.is_ready(self._set):
            return None
        data = self.take_data()

        def handle() -> Any:
            for future in self._futures:
                future._set_executor(self._executor)
            return self.execute(data)

        return handle
