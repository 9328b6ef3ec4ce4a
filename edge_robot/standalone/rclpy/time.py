"""Points in time."""

from __future__ import annotations

from functools import total_ordering
from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.clock_type import ClockType
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.duration import Duration

TimeMsg = message_class("builtin_interfaces/msg/Time")


@total_ordering
class Time:
    """A point in time with nanosecond resolution, of one clock type.

    Args:
        seconds: Seconds since the clock's epoch; may be fractional.
        nanoseconds: Added to them.
        clock_type: Whose time it is.

    Raises:
        ValueError: the time is negative.
        TypeError: `clock_type` is not a `ClockType`.
        OverflowError: more than 64 bits of nanoseconds.
    """

    __slots__ = ("_clock_type", "_nanoseconds")

    def __init__(
        self,
        *,
        seconds: float = 0,
        nanoseconds: float = 0,
        clock_type: ClockType = ClockType.SYSTEM_TIME,
    ) -> None:
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        if seconds < 0:
            raise ValueError("Seconds value must not be negative")
        if nanoseconds < 0:
            raise ValueError("Nanoseconds value must not be negative")
        total = int(seconds * S_TO_NS) + int(nanoseconds)
        if total >= 1 << 63:
            raise OverflowError("Total nanoseconds value is too large to store in C time point.")
        self._nanoseconds = total
        self._clock_type = clock_type

    @property
    def nanoseconds(self) -> int:
        """The time since the clock's epoch, ns."""
        return self._nanoseconds

    @property
    def clock_type(self) -> ClockType:
        """Whose time it is."""
        return self._clock_type

    def seconds_nanoseconds(self) -> tuple[int, int]:
        """Return whole seconds and the rest, ns."""
        return divmod(self._nanoseconds, S_TO_NS)

    def to_msg(self) -> Any:
        """Return it as `builtin_interfaces.msg.Time`."""
        sec, nanosec = divmod(self._nanoseconds, S_TO_NS)
        return TimeMsg(sec=sec, nanosec=nanosec)

    @classmethod
    def from_msg(cls, msg: Any, clock_type: ClockType = ClockType.ROS_TIME) -> Time:
        """Return the time of a `builtin_interfaces.msg.Time`."""
        return cls(nanoseconds=msg.sec * S_TO_NS + msg.nanosec, clock_type=clock_type)

    def _same_clock(self, other: Time, action: str) -> None:
        if self._clock_type != other._clock_type:
            raise TypeError(f"Can't {action} times with different clock types")

    def __add__(self, other: Duration) -> Time:
        if not isinstance(other, Duration):
            return NotImplemented
        return Time(nanoseconds=self._nanoseconds + other.nanoseconds, clock_type=self._clock_type)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Time):
            self._same_clock(other, "subtract")
            return Duration(nanoseconds=self._nanoseconds - other._nanoseconds)
        if isinstance(other, Duration):
            return Time(
                nanoseconds=self._nanoseconds - other.nanoseconds, clock_type=self._clock_type
            )
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare")
        return self._nanoseconds == other._nanoseconds

    def __lt__(self, other: Time) -> bool:
        if not isinstance(other, Time):
            return NotImplemented
        self._same_clock(other, "compare")
        return self._nanoseconds < other._nanoseconds

    def __hash__(self) -> int:
        return hash((self._clock_type, self._nanoseconds))

    def __repr__(self) -> str:
        return f"Time(nanoseconds={self._nanoseconds}, clock_type={self._clock_type.name})"
