"""Spans of time."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.constants import S_TO_NS

DurationMsg = message_class("builtin_interfaces/msg/Duration")


@total_ordering
class Duration:
    """A span of time with nanosecond resolution.

    Args:
        seconds: Seconds; may be fractional.
        nanoseconds: Added to them.

    Raises:
        OverflowError: more than 64 bits of nanoseconds.
    """

    __slots__ = ("_nanoseconds",)

    def __init__(self, *, seconds: float = 0, nanoseconds: float = 0) -> None:
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if not -(1 << 63) <= total < 1 << 63:
            raise OverflowError("Total nanoseconds value is too large to store in C duration.")
        self._nanoseconds = total

    @property
    def nanoseconds(self) -> int:
        """The span, ns."""
        return self._nanoseconds

    def to_msg(self) -> Any:
        """Return it as `builtin_interfaces.msg.Duration`."""
        sec, nanosec = divmod(self._nanoseconds, S_TO_NS)
        return DurationMsg(sec=sec, nanosec=nanosec)

    @classmethod
    def from_msg(cls, msg: Any) -> Duration:
        """Return the span of a `builtin_interfaces.msg.Duration`."""
        return cls(nanoseconds=msg.sec * S_TO_NS + msg.nanosec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Duration):
            return NotImplemented
        return self._nanoseconds == other._nanoseconds

    def __lt__(self, other: Duration) -> bool:
        if not isinstance(other, Duration):
            return NotImplemented
        return self._nanoseconds < other._nanoseconds

    def __hash__(self) -> int:
        return hash(self._nanoseconds)

    def __add__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(nanoseconds=self._nanoseconds + other._nanoseconds)

    def __sub__(self, other: Duration) -> Duration:
        if not isinstance(other, Duration):
            return NotImplemented
        return Duration(nanoseconds=self._nanoseconds - other._nanoseconds)

    def __mul__(self, factor: float) -> Duration:
        if not isinstance(factor, (int, float)):
            return NotImplemented
        return Duration(nanoseconds=int(self._nanoseconds * factor))

    def __repr__(self) -> str:
        return f"Duration(nanoseconds={self._nanoseconds})"

    def __str__(self) -> str:
        return "Infinite" if self == Infinite else f"{self._nanoseconds} nanoseconds"


Infinite = Duration(nanoseconds=(1 << 63) - 1)
