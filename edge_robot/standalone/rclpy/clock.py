"""Clocks: the machine's, a steady one, and ROS time, which a simulator may drive."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from edge_robot.standalone import machine
from edge_robot.standalone.rclpy.clock_type import ClockType
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.duration import Duration
from edge_robot.standalone.rclpy.exceptions import NotInitializedException
from edge_robot.standalone.rclpy.time import Time

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.context import Context, Waiting

__all__ = [
    "Clock",
    "ClockChange",
    "ClockType",
    "JumpHandle",
    "JumpThreshold",
    "ROSClock",
    "TimeJump",
]


class ClockChange(IntEnum):
    """What a jump did to the source of ROS time."""

    ROS_TIME_NO_CHANGE = 1
    ROS_TIME_ACTIVATED = 2
    ROS_TIME_DEACTIVATED = 3
    SYSTEM_TIME_NO_CHANGE = 4


@dataclass(frozen=True)
class JumpThreshold:
    """Which jumps a callback wants to hear of; `None` for none of that kind.

    Raises:
        ValueError: the threshold forward is not positive, the one backward is not negative, or
            no jump at all is wanted.
    """

    min_forward: Duration | None
    min_backward: Duration | None
    on_clock_change: bool = True

    def __post_init__(self) -> None:
        if self.min_forward is not None and self.min_forward.nanoseconds <= 0:
            raise ValueError("min_forward must be a positive non-zero duration")
        if self.min_backward is not None and self.min_backward.nanoseconds >= 0:
            raise ValueError("min_backward must be a negative non-zero duration")
        if self.min_forward is None and self.min_backward is None and not self.on_clock_change:
            raise ValueError("At least one jump threshold must be enabled")


@dataclass(frozen=True)
class TimeJump:
    """A jump of a clock."""

    clock_change: ClockChange
    delta: Duration


class JumpHandle:
    """A registered pair of jump callbacks; `unregister` ends it."""

    def __init__(
        self,
        clock: Clock,
        threshold: JumpThreshold,
        pre_callback: Callable[[], None] | None,
        post_callback: Callable[[Any], None] | None,
    ) -> None:
        self._clock = clock
        self.threshold = threshold
        self.pre_callback = pre_callback
        self.post_callback = post_callback

    def unregister(self) -> None:
        """Hear of no more jumps."""
        if self in self._clock._jump_handles:
            self._clock._jump_handles.remove(self)

    def __enter__(self) -> JumpHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.unregister()


class _Sleep:
    """A sleep that anyone can cut short."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def wait(self, timeout: float | None) -> None:
        self._woken.wait(timeout)
        self._woken.clear()


class Clock:
    """Tells time.

    `Clock(clock_type=ClockType.ROS_TIME)` makes a `ROSClock`.
    """

    def __new__(cls, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> Clock:
        """Make the clock, a `ROSClock` for ROS time."""
        if not isinstance(clock_type, ClockType):
            raise TypeError("Clock type must be a ClockType enum")
        return super().__new__(ROSClock if clock_type is ClockType.ROS_TIME else cls)

    def __init__(self, *, clock_type: ClockType = ClockType.SYSTEM_TIME) -> None:
        self._clock_type = clock_type
        self._jump_handles: list[JumpHandle] = []

    @property
    def clock_type(self) -> ClockType:
        """Whose time this clock tells."""
        return self._clock_type

    def now(self) -> Time:
        """Return the present time."""
        return Time(nanoseconds=self.nanoseconds(), clock_type=self._clock_type)

    def nanoseconds(self) -> int:
        """Return the present time since the epoch, ns."""
        steady = self._clock_type is ClockType.STEADY_TIME
        return machine.steady_ns() if steady else machine.system_ns()

    def create_jump_callback(
        self,
        threshold: JumpThreshold,
        *,
        pre_callback: Callable[[], None] | None = None,
        post_callback: Callable[[Any], None] | None = None,
    ) -> JumpHandle:
        """Call `pre_callback()` before and `post_callback(TimeJump)` after wanted jumps."""
        handle = JumpHandle(self, threshold, pre_callback, post_callback)
        self._jump_handles.append(handle)
        self._await()
        return handle

    def _await(self) -> None:
        """Note that somebody waits for a time, or for a jump."""

    def sleep_until(self, until: Time, context: Context | None = None) -> bool:
        """Sleep until this clock reads `until`; False if cut short by shutdown or a clock change.

        Raises:
            ValueError: `until` is of another clock type.
            NotInitializedException: the library is not initialized.
        """
        from edge_robot.standalone.rclpy.context import get_default_context

        context = context or get_default_context()
        if not context.ok():
            raise NotInitializedException
        if until.clock_type != self._clock_type:
            raise ValueError("until's clock type does not match this clock's type")
        sleep = _Sleep()
        context.add_waiting(sleep)
        step = Duration(nanoseconds=1)
        threshold = JumpThreshold(min_forward=step, min_backward=Duration(nanoseconds=-1))
        changed = False

        def jumped(jump: TimeJump) -> None:
            nonlocal changed
            changed = changed or jump.clock_change in (
                ClockChange.ROS_TIME_ACTIVATED,
                ClockChange.ROS_TIME_DEACTIVATED,
            )
            sleep.wake()

        with self.create_jump_callback(threshold, post_callback=jumped):
            while context.ok() and not changed:
                remaining = until.nanoseconds - self.nanoseconds()
                if remaining <= 0:
                    return True
                sleep.wait(None if self.is_simulated else remaining / S_TO_NS)
        return False

    def sleep_for(self, rel_time: Duration, context: Context | None = None) -> bool:
        """Sleep for a span of this clock's time; False if cut short."""
        return self.sleep_until(self.now() + rel_time, context)

    @property
    def is_simulated(self) -> bool:
        """Whether the time is told by someone else, at whatever pace."""
        return False

    def __repr__(self) -> str:
        return f"Clock(clock_type={self._clock_type.name})"


class Teller(Protocol):
    """Who tells the time of clocks that are simulated."""

    def tell(self) -> None:
        """Tell the time now."""

    def tell_unasked(self) -> None:
        """Tell it whenever it changes, from now on."""


class ROSClock(Clock):
    """ROS time: the machine's time, or the time last told by `set_ros_time_override`.

    Attributes:
        teller: Who is asked for the time before it is read, if anybody. Once anybody has waited
            for a time, or for a jump, it tells unasked.
    """

    def __new__(cls, *, clock_type: ClockType = ClockType.ROS_TIME) -> ROSClock:
        """Make the clock; its type is always ROS time."""
        clock = super().__new__(cls, clock_type=clock_type)
        assert isinstance(clock, ROSClock)
        return clock

    def __init__(self, *, clock_type: ClockType = ClockType.ROS_TIME) -> None:
        super().__init__(clock_type=ClockType.ROS_TIME)
        self._override: int | None = None
        self._override_time = 0
        self._waiting: weakref.WeakSet[Waiting] = weakref.WeakSet()
        self._awaited = False
        self._teller: Teller | None = None

    @property
    def teller(self) -> Teller | None:
        """Who is asked for the time."""
        return self._teller

    @teller.setter
    def teller(self, teller: Teller | None) -> None:
        self._teller = teller
        if self._awaited and teller is not None:
            teller.tell_unasked()

    def add_waiting(self, waiting: Waiting) -> None:
        """Wake something whenever the time is told; it is not kept alive."""
        self._waiting.add(waiting)
        self._await()

    def _await(self) -> None:
        self._awaited = True
        self.teller = self._teller

    def nanoseconds(self) -> int:
        """Return the present ROS time, ns."""
        if self._override is not None and self._teller is not None:
            self._teller.tell()
        override = self._override  # another thread may switch it off meanwhile
        return machine.system_ns() if override is None else override

    @property
    def is_simulated(self) -> bool:
        """Whether someone else tells the time."""
        return self._override is not None

    @property
    def ros_time_is_active(self) -> bool:
        """Whether someone else tells the time."""
        return self._override is not None

    def set_ros_time_override(self, time_: Time) -> None:
        """Set the time while the override is active; the time it starts with otherwise."""
        self._override_time = time_.nanoseconds
        if self._override is not None:
            self._jump(time_.nanoseconds, ClockChange.ROS_TIME_NO_CHANGE)

    def _set_ros_time_is_active(self, enabled: bool) -> None:
        if enabled and self._override is None:
            self._jump(self._override_time, ClockChange.ROS_TIME_ACTIVATED)
        elif not enabled and self._override is not None:
            self._jump(None, ClockChange.ROS_TIME_DEACTIVATED)

    def _jump(self, override: int | None, change: ClockChange) -> None:
        wanted = []
        if self._jump_handles:
            delta = (machine.system_ns() if override is None else override) - self.nanoseconds()
            jump = TimeJump(change, Duration(nanoseconds=delta))
            wanted = [h for h in self._jump_handles if _wants(h.threshold, change, delta)]
        for handle in wanted:
            if handle.pre_callback is not None:
                handle.pre_callback()
        self._override = override
        for handle in wanted:
            if handle.post_callback is not None:
                handle.post_callback(jump)
        for waiting in list(self._waiting):
            waiting.wake()


def _wants(threshold: JumpThreshold, change: ClockChange, delta: int) -> bool:
    if change in (ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED):
        return threshold.on_clock_change
    if threshold.min_forward is not None and delta >= threshold.min_forward.nanoseconds:
        return True
    return threshold.min_backward is not None and delta <= threshold.min_backward.nanoseconds
