"""Loggers, and the filters by which one line of a program logs less often than it is reached."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from edge_robot.standalone import machine
from edge_robot.standalone.rclpy.clock import Clock
from edge_robot.standalone.rclpy.duration import S_TO_NS
from edge_robot.standalone.rclpy.impl import logging_levels, logging_rosout
from edge_robot.standalone.rclpy.impl.logging_console import Console, Record
from edge_robot.standalone.rclpy.impl.logging_severity import LoggingSeverity

_internal_callers: list[str] = [__file__]
"""Parts of the paths of files that are looked through when a message's line is found out."""

console = Console()


class _Line:
    """A line of a program that logs: how it was called, and what its filters remember."""

    def __init__(self, severity: LoggingSeverity, name: str, options: dict[str, Any]) -> None:
        self.severity = severity
        self.name = name
        self.options = options
        self._filters = [make(options) for key, make in _FILTERS.items() if options.get(key)]

    def check(self, severity: LoggingSeverity, name: str, options: dict[str, Any]) -> None:
        """Refuse to be called in another way."""
        if severity != self.severity:
            raise ValueError("Logger severity cannot be changed between calls.")
        if name != self.name:
            raise ValueError("Logger name cannot be changed between calls.")
        if options != self.options:
            if {key for key in options if options[key]} != {
                key for key in self.options if self.options[key]
            }:
                raise ValueError("Requested logging filters cannot be changed between calls.")
            raise ValueError("Logging filter parameters cannot be changed between calls.")

    def should_log(self) -> bool:
        """Ask the filters in turn, until one says no."""
        return all(may_pass() for may_pass in self._filters)


def _throttle(options: dict[str, Any]) -> Callable[[], bool]:
    clock = options.get("throttle_time_source_type") or _SYSTEM_CLOCK
    if not isinstance(clock, Clock):
        raise ValueError(f'Received throttle_time_source_type of "{clock}" is not a clock instance')
    period = int(options["throttle_duration_sec"] * S_TO_NS)
    last = 0

    def may_pass() -> bool:
        nonlocal last
        now = clock.now().nanoseconds
        if now < last + period:
            return False
        last = now
        return True

    return may_pass


def _skip_first(options: dict[str, Any]) -> Callable[[], bool]:
    del options
    skipped = False

    def may_pass() -> bool:
        nonlocal skipped
        was_skipped, skipped = skipped, True
        return was_skipped

    return may_pass


def _once(options: dict[str, Any]) -> Callable[[], bool]:
    del options
    logged = False

    def may_pass() -> bool:
        nonlocal logged
        was_logged, logged = logged, True
        return not was_logged

    return may_pass


_SYSTEM_CLOCK = Clock()

# In the order in which they are asked.
_FILTERS: dict[str, Callable[[dict[str, Any]], Callable[[], bool]]] = {
    "throttle_duration_sec": _throttle,
    "skip_first": _skip_first,
    "once": _once,
}
_OPTIONS = (*_FILTERS, "throttle_time_source_type")


def _caller() -> FrameType:
    """Return the nearest frame outside of this library."""
    frame = sys._getframe(2)
    while frame.f_back is not None and any(
        part in frame.f_code.co_filename for part in _internal_callers
    ):
        frame = frame.f_back
    return frame


class RcutilsLogger:
    """Writes messages under a name; `a.b` inherits its level from `a`."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._lines: dict[tuple[str, int, int], _Line] = {}
        self._publishes = False

    def __del__(self) -> None:
        if self._publishes:
            logging_rosout.remove_child(self.name)

    def get_child(self, name: str) -> RcutilsLogger:
        """Return a logger named `<this>.<name>`.

        Raises:
            ValueError: the name is empty.
        """
        if not name:
            raise ValueError("Child logger name must not be empty.")
        if not self.name:
            return RcutilsLogger(name)
        child = RcutilsLogger(f"{self.name}{logging_levels.SEPARATOR}{name}")
        child._publishes = logging_rosout.add_child(self.name, name)
        return child

    def set_level(self, level: LoggingSeverity | int) -> None:
        """Write only messages at least this grave.

        Raises:
            ValueError: there is no such level.
        """
        logging_levels.set_level(self.name, LoggingSeverity(level))

    def get_effective_level(self) -> LoggingSeverity:
        """Return the level of this logger or of its nearest ancestor that has one."""
        return logging_levels.effective_level(self.name)

    def is_enabled_for(self, severity: LoggingSeverity | int) -> bool:
        """Return whether a message this grave is written."""
        return LoggingSeverity(severity) >= logging_levels.effective_level(self.name)

    def log(self, message: object, severity: LoggingSeverity | int, **options: Any) -> bool:
        """Write a message; return whether it was written.

        Args:
            message: What to write.
            severity: How grave it is.
            **options: `name` of another logger to write as; `once`: only the first message of this
                line of the program; `skip_first`: all but the first; `throttle_duration_sec`: at
                most one per span, s, of the clock `throttle_time_source_type` (the system's if
                not given).

        Raises:
            TypeError: an option is unknown, or lacks its other half.
            ValueError: this line of the program asked for something else before.
        """
        severity = LoggingSeverity(severity)
        if severity < logging_levels.effective_level(self.name):
            return False
        name = options.pop("name", self.name)
        frame = _caller()
        code = frame.f_code
        site = code.co_filename, frame.f_lineno, frame.f_lasti
        line = self._lines.get(site)
        if line is None:
            _check_options(options)
            line = self._lines[site] = _Line(severity, name, options)
        else:
            line.check(severity, name, options)
        if not line.should_log():
            return False
        record = Record(
            severity,
            name,
            str(message),
            code.co_name,
            code.co_filename,
            frame.f_lineno,
            machine.system_ns(),
        )
        console.write(record)
        logging_rosout.publish(record)
        return True

    def debug(self, message: object, **options: Any) -> bool:
        """Write something only a developer wants to know."""
        return self.log(message, LoggingSeverity.DEBUG, **options)

    def info(self, message: object, **options: Any) -> bool:
        """Write something worth knowing."""
        return self.log(message, LoggingSeverity.INFO, **options)

    def warning(self, message: object, **options: Any) -> bool:
        """Write something that may need attention."""
        return self.log(message, LoggingSeverity.WARN, **options)

    def warn(self, message: object, **options: Any) -> bool:
        """Write something that may need attention; old name of `warning`."""
        return self.log(message, LoggingSeverity.WARN, **options)

    def error(self, message: object, **options: Any) -> bool:
        """Write that something failed."""
        return self.log(message, LoggingSeverity.ERROR, **options)

    def fatal(self, message: object, **options: Any) -> bool:
        """Write that nothing works any more."""
        return self.log(message, LoggingSeverity.FATAL, **options)


def _check_options(options: dict[str, Any]) -> None:
    unknown = [key for key in options if key not in _OPTIONS]
    if options.get("throttle_time_source_type") and not options.get("throttle_duration_sec"):
        raise TypeError(
            'required parameter "throttle_duration_sec" not specified '
            'but is required for the the logging filter "throttle"'
        )
    if unknown:
        raise TypeError(
            f'parameter "{unknown[0]}" is not one of the recognized logging options "{_OPTIONS}"'
        )
