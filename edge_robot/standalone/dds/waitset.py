"""Waiting for several DDS entities at once."""

from __future__ import annotations

import ctypes as ct

from edge_robot.standalone.dds.library import check, lib
from edge_robot.standalone.dds.participant import Participant


class WaitSet:
    """Blocks until something attached is triggered, without holding the interpreter lock.

    `wake` may be called from any thread. Entities that are deleted leave the set by themselves.
    """

    _CAPACITY = 256

    def __init__(self, participant: Participant) -> None:
        self._handle = 0
        self._handle = check(lib.create_waitset(participant.handle), "creating a wait set")
        self._guard = check(
            lib.create_guardcondition(participant.handle), "creating a guard condition"
        )
        self._triggered = (ct.c_ssize_t * self._CAPACITY)()
        self.attach(self._guard)

    def attach(self, entity: int) -> None:
        """Add an entity."""
        check(lib.waitset_attach(self._handle, entity, entity), "attaching to a wait set")

    def detach(self, entity: int) -> None:
        """Remove an entity; one that is not there is left alone."""
        lib.waitset_detach(self._handle, entity)

    def wake(self) -> None:
        """Make the running `wait`, or the next one, return; harmless on a closed set."""
        lib.set_guardcondition(self._guard, True)

    def wait(self, timeout: int) -> list[int]:
        """Return the handles of what is triggered, after at most `timeout` ns."""
        count = lib.waitset_wait(self._handle, self._triggered, self._CAPACITY, max(timeout, 0))
        if count < 0:
            check(count, "waiting")
        handles = self._triggered[: min(count, self._CAPACITY)]
        if self._guard in handles:
            lib.set_guardcondition(self._guard, False)
            handles.remove(self._guard)
        return handles

    def close(self) -> None:
        """End the wait set; nobody may be waiting in it."""
        if self._handle:
            lib.delete(self._handle)
            lib.delete(self._guard)
            self._handle = 0

    def __del__(self) -> None:
        self.close()
