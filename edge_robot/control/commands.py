"""What a velocity command must be to be obeyed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

Velocity = tuple[float, float, float]
"""Forward and leftward, m/s, and turning, rad/s, in base_link."""

CLOCK_TOLERANCE = 0.1
"""By how much a stamp may be ahead of our clock before its age cannot be told, s."""


_FASTEST = 50.0
"""Above all that any base drives or turns with, m/s and rad/s: what asks for more is spoilt."""


class Refusal(Enum):
    """Why a command is not obeyed."""

    LATE = "later than its lifespan"
    FUTURE = "of the future: clocks differ"
    REPEATED = "not newer than the one before"
    NO_VELOCITY = "not finite, or faster than any base"


def refusal(stamp: int, now: int, values: Iterable[float], lifespan: float) -> Refusal | None:
    """Return why a command may not be obeyed on arrival; None if it may.

    Args:
        stamp: When it was made, ns.
        now: The time, ns on the same clock.
        values: All its numbers.
        lifespan: How old it may be, s.
    """
    age = (now - stamp) * 1e-9
    if age > lifespan:
        return Refusal.LATE
    if age < -CLOCK_TOLERANCE:
        return Refusal.FUTURE
    if not all(abs(value) <= _FASTEST for value in values):
        return Refusal.NO_VELOCITY
    return None
