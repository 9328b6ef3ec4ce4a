"""Timers and rates."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.rclpy.callback_groups import CallbackGroup
from edge_robot.standalone.rclpy.clock import Clock, ROSClock
from edge_robot.standalone.rclpy.exceptions import ROSInterruptException
from edge_robot.standalone.rclpy.time import Time

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.context import Context
    from edge_robot.standalone.rclpy.executors import Executor


@dataclass(frozen=True)
class TimerInfo:
    """When a timer should have been called, and when it was."""

    expected_call_time: Time
    actual_call_time: Time


class Timer:
    """Calls a function periodically, by any clock.

    A call that comes late does not shift the ones after it; periods missed altogether are left out.

    Args:
        callback: Called without arguments, or with a `TimerInfo` if it takes one.
        callback_group: Decides when it may run.
        timer_period_ns: Period, ns.
        clock: Clock whose time counts.
    """

    def __init__(
        self,
        callback: Callable[..., Any] | None,
        callback_group: CallbackGroup,
        timer_period_ns: int,
        clock: Clock,
        *,
        autostart: bool = True,
    ) -> None:
        if timer_period_ns < 0:
            raise ValueError("timer period must be non-negative")
        self.callback_group = callback_group
        self._period = timer_period_ns
        self._clock = clock
        self._cancelled = not autostart
        self._last_call = clock.nanoseconds()
        self._next_call = self._last_call + timer_period_ns
        self._executor: Executor | None = None
        self.callback = callback

    @property
    def callback(self) -> Callable[..., Any] | None:
        """What is called."""
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[..., Any] | None) -> None:
        self._callback = callback
        self._wants_info = callback is not None and _takes_argument(callback)

    @property
    def clock(self) -> Clock:
        """Whose time counts."""
        return self._clock

    @property
    def timer_period_ns(self) -> int:
        """Period, ns."""
        return self._period

    @timer_period_ns.setter
    def timer_period_ns(self, value: int) -> None:
        # As in ROS 2, the period that has begun is left as it is.
        self._period = int(value)

    def is_ready(self) -> bool:
        """Return whether a call is due."""
        return not self._cancelled and self._now() >= self._next_call

    def is_canceled(self) -> bool:
        """Return whether it was cancelled."""
        return self._cancelled

    def cancel(self) -> None:
        """Call no more, until `reset`."""
        self._cancelled = True

    def reset(self) -> None:
        """Begin a new period now."""
        self._cancelled = False
        self._last_call = self._clock.nanoseconds()
        self._next_call = self._last_call + self._period
        self._notify()

    def time_since_last_call(self) -> int:
        """Return the time since the last call, ns."""
        return self._clock.nanoseconds() - self._last_call

    def time_until_next_call(self) -> int | None:
        """Return the time until the next call is due, ns (negative: overdue); None if cancelled."""
        if self._cancelled:
            return None
        now = self._now()
        return self._next_call - now

    def _now(self) -> int:
        """Return the clock's time; one that was set back begins a new period."""
        now = self._clock.nanoseconds()
        if now < self._last_call:
            self._last_call = now
            self._next_call = now + self._period
        return now

    def _notify(self) -> None:
        if self._executor is not None:
            self._executor.wake()

    # What an executor needs.

    def wait_time(self) -> int | None:
        """Return for how long nothing will be due by the machine's clocks, ns; None for ever.

        Simulated time advances by messages, which end the wait themselves.
        """
        if self._cancelled:
            return None
        remaining = self._next_call - self._now()
        if remaining <= 0:
            return 0
        return None if self._clock.is_simulated else remaining

    def handles(self) -> list[int]:
        """No DDS entity triggers it."""
        return []

    def bind(self, executor: Executor | None) -> None:
        """Learn which executor to tell."""
        self._executor = executor
        if executor is not None and isinstance(self._clock, ROSClock):
            self._clock.add_waiting(executor)

    def take(self) -> Callable[[], object] | None:
        """Return the call that is due, and schedule the one after it."""
        now = self._now()
        if self._cancelled or now < self._next_call:
            return None
        expected = self._next_call
        self._last_call = now
        self._next_call += self._period
        if self._next_call <= now:
            missed = (now - self._next_call) // self._period + 1 if self._period else 0
            self._next_call += missed * self._period
        callback = self._callback
        if callback is None or not self._wants_info:
            return callback
        kind = self._clock.clock_type
        info = TimerInfo(
            Time(nanoseconds=expected, clock_type=kind), Time(nanoseconds=now, clock_type=kind)
        )
        return lambda: callback(info)

    def destroy(self) -> None:
        """Call no more, for good."""
        self._cancelled = True
        self._executor = None


def _takes_argument(callback: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(callback).parameters.values()
    except ValueError:  # a function written in C that does not tell
        return False
    return any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )


class Rate:
    """Sleeps so that a loop runs at a fixed rate; the node must spin in another thread."""

    def __init__(self, timer: Timer, *, context: Context) -> None:
        self._timer = timer
        self._context = context
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._sleepers = 0
        self._destroyed = False
        timer.callback = self._event.set
        context.on_shutdown(self.destroy)

    def sleep(self) -> None:
        """Sleep until the next period; several threads may sleep in one rate.

        Raises:
            ROSInterruptException: shutdown came first.
            RuntimeError: the rate was destroyed before.
        """
        if not self._context.ok():
            raise ROSInterruptException
        if self._destroyed:
            raise RuntimeError("Rate cannot sleep because it has been destroyed")
        with self._lock:
            self._sleepers += 1
        try:
            self._event.wait()
        finally:
            with self._lock:
                self._sleepers -= 1
                # The last one up lets the others sleep again.
                if self._sleepers == 0 and not self._destroyed:
                    self._event.clear()
        if not self._context.ok():
            raise ROSInterruptException

    def destroy(self) -> None:
        """End the rate and whoever sleeps in it."""
        self._destroyed = True
        self._event.set()
