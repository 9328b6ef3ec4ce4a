"""What happens when: the one time line of a virtual world."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Schedule:
    """Runs actions in the order of their times; among equal times, in that of their planning.

    Attributes:
        now: Time of the action that runs, or ran last, ns.
    """

    def __init__(self) -> None:
        self.now = 0
        self._actions: list[tuple[int, int, Callable[[], object]]] = []
        self._numbers = count()

    def at(self, time: int, action: Callable[[], object]) -> None:
        """Run an action at a time, ns; at once, after what is planned for now, if that is past."""
        heapq.heappush(self._actions, (max(time, self.now), next(self._numbers), action))

    def run_until(self, time: int) -> None:
        """Run everything due up to and at a time, ns, and leave the time there."""
        while self._actions and self._actions[0][0] <= time:
            self.now, _, action = heapq.heappop(self._actions)
            action()
        self.now = time


class Watchdog:
    """Tells when nothing has been heard for a while; costs one planned action, not one per feed.

    Args:
        schedule: The time line.
        patience: Longest silence, ns.
        expired: Told of the silence; returns whether to tell again after another such while.
    """

    def __init__(self, schedule: Schedule, patience: int, expired: Callable[[], bool]) -> None:
        self._schedule = schedule
        self._patience = patience
        self._expired = expired
        self._fed = 0
        self._armed = False

    def feed(self) -> None:
        """Note a sign of life; the first one starts the watch."""
        self._fed = self._schedule.now
        if not self._armed:
            self._armed = True
            self._schedule.at(self._fed + self._patience, self._look)

    def _look(self) -> None:
        due = self._fed + self._patience
        if due <= self._schedule.now:
            if not self._expired():
                self._armed = False
                return
            self._fed = self._schedule.now
            due = self._fed + self._patience
        self._schedule.at(due, self._look)
