"""The ticks of one connection: numbers that nobody can guess, and what their answers tell of it."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from statistics import median

_UNANSWERED = 128
_ROUND_TRIPS = 64  # of which the least tells what an answer takes that nothing held up
_SHOWN = 13  # newest, half a second: their median is told; a late frame of a page is no slower link


class Ticks:
    """What was sent over a connection and when, until it is answered. Times are s, steady clock.

    Args:
        now: The time.
    """

    def __init__(self, now: float) -> None:
        self._begun = now
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._answered: tuple[int, float] | None = None
        self._round_trips: deque[float] = deque(maxlen=_ROUND_TRIPS)

    def send(self, now: float) -> int:
        """Return a new tick, to be sent at once."""
        number = secrets.randbits(53)
        self._sent[number] = now
        if len(self._sent) > _UNANSWERED:
            self._sent.popitem(last=False)
        return number

    def answer(self, tick: int, now: float) -> float | None:
        """Return when a tick was sent, None if it is none that may be answered now.

        Answers come in order: with one tick all before it are done with. The one answered last may
        be named again, by inputs between two ticks.
        """
        if self._answered is not None and tick == self._answered[0]:
            return self._answered[1]
        if tick not in self._sent:
            return None
        number = sent = None
        while number != tick:
            number, sent = self._sent.popitem(last=False)
        assert number is not None and sent is not None
        self._answered = number, sent
        self._round_trips.append(now - sent)
        return sent

    @property
    def least_round_trip(self) -> float:
        """From a tick to its answer where nothing held it up, s; infinite before the first."""
        return min(self._round_trips, default=float("inf"))

    @property
    def round_trip(self) -> float | None:
        """From a tick to its answer, median of the newest, s; None before the first."""
        newest = list(self._round_trips)[-_SHOWN:]
        return median(newest) if newest else None

    def lateness(self, now: float) -> float:
        """Return how long ago what is heard now can have left the page at most, s.

        It comes after the page's answer to the newest tick that was answered, and that after the
        tick.
        """
        return now - (self._begun if self._answered is None else self._answered[1])
