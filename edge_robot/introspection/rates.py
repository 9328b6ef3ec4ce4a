"""Statistics of arriving messages: rate, bandwidth and delay, worded as ROS 2's tools word them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

_SECOND = 1_000_000_000
"""ns"""


class Rate:
    """How often messages arrive.

    Args:
        window: Most intervals that count.
    """

    def __init__(self, window: int) -> None:
        self._intervals: deque[int] = deque(maxlen=window)
        self._first = -1
        self._newest = 0
        self._reported = 0

    def add(self, now: int) -> bool:
        """Note a message that arrives.

        Args:
            now: Time, ns; 0 while simulated time has not begun.

        Returns:
            Whether the time was reset, and all that was noted before forgotten.
        """
        if now == 0:
            had = bool(self._intervals)
            self._intervals.clear()
            return had
        if self._first < 0 or self._first > now:
            self._first = now
            self._intervals.clear()
        else:
            self._intervals.append(now - self._newest)
        self._newest = now
        return False

    def report(self) -> str | None:
        """Return the statistics; None if there is nothing new for a second."""
        if not self._intervals:
            return None
        if self._reported == 0:
            self._reported = self._newest
            return None
        # A clock that jumped back has to come this far again.
        if self._newest < self._reported + _SECOND:
            return None
        self._reported = self._newest
        mean, low, high, deviation = _statistics(self._intervals)
        rate = _SECOND / mean if mean > 0 else 0.0
        return (
            f"average rate: {rate:.3f}\n"
            f"\tmin: {low / _SECOND:.3f}s max: {high / _SECOND:.3f}s "
            f"std dev: {deviation / _SECOND:.5f}s window: {len(self._intervals)}"
        )


class Delay:
    """How old messages are when they arrive.

    Args:
        window: Most messages that count.
    """

    def __init__(self, window: int) -> None:
        self._delays: deque[int] = deque(maxlen=window)
        self._first = -1
        self._newest = 0
        self._reported = 0

    def add(self, now: int, stamp: int) -> bool:
        """Note a message that arrives.

        Args:
            now: Time, ns; 0 while simulated time has not begun.
            stamp: Stamp of its header, ns.

        Returns:
            Whether the time was reset, and all that was noted before forgotten.
        """
        if now == 0:
            had = bool(self._delays)
            self._delays.clear()
            return had
        if self._first < 0 or self._first > now:
            self._first = now
            self._delays.clear()
        else:
            self._delays.append(now - stamp)
        self._newest = now
        return False

    def report(self) -> str | None:
        """Return the statistics; None if no message has come yet."""
        if not self._delays:
            return None
        if self._newest == self._reported:
            return "no new messages"
        self._reported = self._newest
        mean, low, high, deviation = _statistics(self._delays)
        return (
            f"average delay: {mean / _SECOND:.3f}\n"
            f"\tmin: {low / _SECOND:.3f}s max: {high / _SECOND:.3f}s "
            f"std dev: {deviation / _SECOND:.5f}s window: {len(self._delays)}"
        )


class Bandwidth:
    """How many bytes arrive.

    Args:
        window: Most messages that count.
    """

    def __init__(self, window: int) -> None:
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=window)

    def add(self, now: int, size: int) -> None:
        """Note a message that arrives at a time (ns) with a size (bytes)."""
        self._arrivals.append((now, size))

    def reset(self, now: int) -> bool:
        """Forget what was noted if the time (ns) was reset; return whether it was."""
        if len(self._arrivals) < 2 or now > self._arrivals[0][0]:
            return False
        self._arrivals.clear()
        return True

    def report(self, now: int) -> str | None:
        """Return the statistics at a time (ns); None before the second message."""
        if len(self._arrivals) < 2:
            return None
        sizes = [size for _, size in self._arrivals]
        rate = sum(sizes) * _SECOND / (now - self._arrivals[0][0])
        spell = _spelling(rate)
        mean, low, high = spell(sum(sizes) / len(sizes)), spell(min(sizes)), spell(max(sizes))
        return (
            f"{spell(rate)}/s from {len(sizes)} messages\n"
            f"\tMessage size mean: {mean} min: {low} max: {high}"
        )


def _spelling(rate: float) -> Callable[[float], str]:
    """Return what spells sizes in the unit that suits a rate: all of one report in one unit."""
    if rate < 1e3:
        return "{:.0f} B".format
    unit, name = (1e3, "KB") if rate < 1e6 else (1e6, "MB")
    return lambda size: f"{size / unit:.2f} {name}"


def _statistics(values: Iterable[int]) -> tuple[float, int, int, float]:
    """Return mean, least, greatest and standard deviation."""
    values = list(values)
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return mean, min(values), max(values), deviation
