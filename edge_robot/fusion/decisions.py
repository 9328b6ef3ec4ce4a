"""What was decided about a sensor, and for measurements of which capture time it holds."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Decisions(Generic[Value]):
    """A value that changes now and then, as a function of capture time.

    What is decided from measurements up to a stamp holds for those taken `delay` later, when all
    that went into the decision can have come: so it depends on no order of arrival.

    Args:
        initial: The value before the first decision.
        delay: ns, at least how late a measurement can come.
    """

    def __init__(self, initial: Value, delay: int) -> None:
        self._delay = delay
        self._values = deque([(0, initial)])

    @property
    def newest(self) -> Value:
        """The last decision, which may not hold yet."""
        return self._values[-1][1]

    def decide(self, stamp: int, value: Value) -> None:
        """Decide from measurements up to `stamp`, ns, which does not decrease."""
        if value == self.newest:
            return
        self._values.append((stamp + self._delay, value))
        while len(self._values) > 1 and self._values[1][0] < stamp:
            self._values.popleft()  # nothing that old can come any more

    def at(self, stamp: int) -> Value:
        """Return what holds for a measurement taken at `stamp`, ns."""
        found = self._values[0][1]
        for since, value in self._values:
            if since < stamp:
                found = value
        return found
