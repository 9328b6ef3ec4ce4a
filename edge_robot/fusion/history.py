"""What was measured lately, in order of capture, with the state after each measurement.

What comes late is put in its place and what follows is computed again, so the state is the same as
if everything had come in order. That is the exact answer to out-of-sequence measurements, at the
price of memory and repeated steps (Bar-Shalom, Willett, Tian: Tracking and Data Fusion, 11.7, call
it reprocessing); both are bounded here. What came late waits until a state is asked for: any number
of late measurements in a row cost one replay.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_robot.fusion.refusal import Refusal
from edge_robot.settings import Settings, setting

Item = TypeVar("Item", bound=Sized)
State = TypeVar("State")

Order = tuple[int, int, str]
"""Stamp (ns), rank at one instant and sensor: what measurements are put in order by."""


@dataclass(frozen=True)
class HistorySettings(Settings):
    """How much is kept and repeated."""

    history: float = setting(
        1.0,
        "how late a measurement may come and still be applied at its capture time, s",
        ge=0.0,
        le=60.0,
    )
    history_measurements: int = setting(
        256, "measurements that are kept at most; more make the history shorter", ge=1, le=1000000
    )
    history_boxes: int = setting(
        16384, "boxes in them that are kept at most; likewise", ge=1, le=100000000
    )
    replay_budget: float = setting(
        400.0,
        "measurements that may be applied again for late ones, per second of capture time; a late "
        "one that would need more is refused",
        ge=0.0,
    )


@dataclass
class _Entry(Generic[Item, State]):
    order: Order
    item: Item
    state: State | None = None  # after it; None until first computed


class History(Generic[Item, State]):
    """Measurements of the last second or so, and the state after each.

    Args:
        initial: The state before the first measurement.
        step: Returns the state after a measurement, given the state before, the stamp of that
            state (ns; 0 for `initial`) and the measurement. It depends on nothing else.
        settings: The bounds.
    """

    def __init__(
        self, initial: State, step: Callable[[State, int, Item], State], settings: HistorySettings
    ) -> None:
        self._step = step
        self._settings = settings
        self._length = int(settings.history * 1e9)
        self._entries: list[_Entry[Item, State]] = []
        self._boxes = 0
        self._base = initial
        self._base_order: Order | None = None
        self._settled = 0  # entries whose state is up to date
        self._tokens = settings.replay_budget
        self.replayed = 0
        """Measurements applied again so far, for late ones."""
        self.longest_replay = 0
        """The most of them at once."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def stamp(self) -> int | None:
        """Capture time of the newest measurement, ns; None before the first. Never decreases."""
        order = self._entries[-1].order if self._entries else self._base_order
        return order[0] if order else None

    @property
    def settled(self) -> bool:
        """Whether every state is up to date."""
        return self._settled == len(self._entries)

    @property
    def state(self) -> State:
        """The state after the newest measurement, once all is settled."""
        assert self.settled, "settle() first"
        return self._state_before(len(self._entries))[0]

    def state_at(self, stamp: int) -> State:
        """Return the state after what was captured up to `stamp` (ns), once all is settled.

        Raises:
            LookupError: That is before all that is kept.
        """
        count = bisect_right(self._entries, stamp, key=lambda entry: entry.order[0])
        if not count and (self._base_order is None or self._base_order[0] > stamp):
            raise LookupError(f"nothing is kept of {stamp} ns")
        return self._state_before(count)[0]

    def states(self) -> list[State]:
        """Return the states after all that is kept, oldest first, once all is settled."""
        return [self._state_before(index + 1)[0] for index in range(self._settled)]

    def refusal(self, order: Order) -> Refusal | None:
        """Return why a measurement of this place would not be taken; None if it would."""
        newest = self.stamp
        if newest is None:
            return None
        if order[0] < newest - self._length:
            return Refusal.TOO_LATE
        if self._base_order is not None and order <= self._base_order:
            return Refusal.DUPLICATE if order == self._base_order else Refusal.TOO_LATE
        place = self._place(order)
        if place < len(self._entries) and self._entries[place].order == order:
            return Refusal.DUPLICATE
        if self._settled - place > self._tokens:
            return Refusal.REPLAY_BUDGET
        return None

    def insert(self, order: Order, item: Item) -> None:
        """Put a measurement in its place; `refusal(order)` must be None."""
        newest, place = self.stamp, self._place(order)
        if newest is not None and order[0] > newest:
            earned = (order[0] - newest) * 1e-9 * self._settings.replay_budget
            self._tokens = min(self._tokens + earned, self._settings.replay_budget)
        self._tokens -= max(self._settled - place, 0)
        self._settled = min(self._settled, place)
        self._entries.insert(place, _Entry(order, item))
        self._boxes += len(item)

    def settle(self) -> list[tuple[State, State]]:
        """Bring every state up to date.

        Returns:
            The states before and after, of each measurement that was applied again.
        """
        changed = []
        for index in range(self._settled, len(self._entries)):
            entry = self._entries[index]
            before, since = self._state_before(index)
            state = self._step(before, since, entry.item)
            if entry.state is not None:
                changed.append((entry.state, state))
            entry.state = state
        self._settled = len(self._entries)
        self.replayed += len(changed)
        self.longest_replay = max(self.longest_replay, len(changed))
        return changed

    def forget(self, now: int) -> list[tuple[Item, State]]:
        """Forget what is too old, or too much, when it is `now` (ns), once all is settled.

        Returns:
            The measurements forgotten, oldest first, with the states after them, which are final:
            nothing can come before them any more.
        """
        assert self.settled, "settle() first"
        count = bisect_left(self._entries, now - self._length, key=lambda entry: entry.order[0])
        count = max(count, len(self._entries) - self._settings.history_measurements)
        boxes = self._boxes - sum(len(entry.item) for entry in self._entries[:count])
        while boxes > self._settings.history_boxes:
            boxes -= len(self._entries[count].item)
            count += 1
        if not count:
            return []
        gone = [(self._entries[i].item, self._state_before(i + 1)[0]) for i in range(count)]
        self._base, self._base_order = gone[-1][1], self._entries[count - 1].order
        del self._entries[:count]
        self._settled, self._boxes = len(self._entries), boxes
        return gone

    def _place(self, order: Order) -> int:
        if not self._entries or order > self._entries[-1].order:
            return len(self._entries)
        return bisect_left(self._entries, order, key=lambda entry: entry.order)

    def _state_before(self, index: int) -> tuple[State, int]:
        """Return the state before an entry, and its stamp."""
        if index:
            entry = self._entries[index - 1]
            assert entry.state is not None  # earlier entries are settled first
            return entry.state, entry.order[0]
        return self._base, self._base_order[0] if self._base_order else 0
