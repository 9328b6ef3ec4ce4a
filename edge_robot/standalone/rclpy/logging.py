"""Loggers that write `[LEVEL] [seconds.nanoseconds] [name]: message` to standard error."""

from __future__ import annotations

import sys
import time
from enum import IntEnum
from typing import Any

from edge_robot.errors import UserError


class LoggingSeverity(IntEnum):
    """How grave a message is."""

    UNSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50

    @classmethod
    def from_string(cls, text: str) -> LoggingSeverity:
        """Return the severity with this name.

        Raises:
            UserError: there is none.
        """
        name = {"WARNING": "WARN"}.get(text.upper(), text.upper())
        if name not in cls.__members__ or name == "UNSET":
            raise UserError(f"unknown log level {text!r}: use debug, info, warn, error or fatal")
        return cls[name]


_levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}
_loggers: dict[str, Logger] = {}


class Logger:
    """Writes messages under a name; `a.b` inherits its level from `a`."""

    def __init__(self, name: str) -> None:
        self.name = name
        # When each line that uses `once`, `skip_first` or `throttle_duration_sec` last wrote.
        self._call_sites: dict[tuple[str, int], float] = {}

    def get_child(self, name: str) -> Logger:
        """Return the logger `<this>.<name>`."""
        if not name:
            raise ValueError("Child logger name must not be empty.")
        return get_logger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: LoggingSeverity | int) -> None:
        """Write only messages at least this grave."""
        _levels[self.name] = LoggingSeverity(level)

    def get_effective_level(self) -> LoggingSeverity:
        """Return the level of this logger or of its nearest ancestor that has one."""
        name = self.name
        while name:
            level = _levels.get(name, LoggingSeverity.UNSET)
            if level is not LoggingSeverity.UNSET:
                return level
            name = name.rpartition(".")[0]
        return _levels[""]

    def is_enabled_for(self, severity: LoggingSeverity | int) -> bool:
        """Return whether a message this grave is written."""
        return severity >= self.get_effective_level()

    def log(
        self,
        message: object,
        severity: LoggingSeverity,
        *,
        once: bool = False,
        skip_first: bool = False,
        throttle_duration_sec: float | None = None,
        throttle_time_source_type: object = None,
        depth: int = 1,
    ) -> bool:
        """Write a message; return whether it was written.

        Args:
            message: What to write.
            severity: How grave it is.
            once: Write only the first message of this line of the program.
            skip_first: Write all but the first.
            throttle_duration_sec: Write at most one message of this line per span, s.
            throttle_time_source_type: Accepted as in ROS 2; spans are always of the machine's time.
            depth: Frames between this call and the line of the program meant above.
        """
        if not self.is_enabled_for(severity):
            return False
        if once or skip_first or throttle_duration_sec is not None:
            frame = sys._getframe(depth)
            site = frame.f_code.co_filename, frame.f_lineno
            now = time.monotonic()
            last = self._call_sites.get(site)
            if last is None and skip_first:
                self._call_sites[site] = float("-inf")
                return False
            if last is not None and once:
                return False
            if (
                last is not None
                and throttle_duration_sec is not None
                and now - last < throttle_duration_sec
            ):
                return False
            self._call_sites[site] = now
        sec, nanosec = divmod(time.time_ns(), 1_000_000_000)
        # One write per message: lines of several processes on one terminal stay whole.
        sys.stderr.write(f"[{severity.name}] [{sec}.{nanosec:09d}] [{self.name}]: {message}\n")
        sys.stderr.flush()
        return True

    def debug(self, message: object, **options: Any) -> bool:
        """Write something only a developer wants to know."""
        return self.log(message, LoggingSeverity.DEBUG, depth=2, **options)

    def info(self, message: object, **options: Any) -> bool:
        """Write something worth knowing."""
        return self.log(message, LoggingSeverity.INFO, depth=2, **options)

    def warning(self, message: object, **options: Any) -> bool:
        """Write something that may need attention."""
        return self.log(message, LoggingSeverity.WARN, depth=2, **options)

    def warn(self, message: object, **options: Any) -> bool:
        """Write something that may need attention."""
        return self.log(message, LoggingSeverity.WARN, depth=2, **options)

    def error(self, message: object, **options: Any) -> bool:
        """Write that something failed."""
        return self.log(message, LoggingSeverity.ERROR, depth=2, **options)

    def fatal(self, message: object, **options: Any) -> bool:
        """Write that nothing works any more."""
        return self.log(message, LoggingSeverity.FATAL, depth=2, **options)


RcutilsLogger = Logger


def get_logger(name: str) -> Logger:
    """Return the logger with this name."""
    return _loggers.setdefault(name, Logger(name))


def set_logger_level(name: str, level: LoggingSeverity | int) -> None:
    """Set the level of a logger; the empty name stands for all."""
    _levels[name] = LoggingSeverity(level)


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """Return the level at which a logger writes."""
    return get_logger(name).get_effective_level()


def apply_log_levels(levels: dict[str, str]) -> None:
    """Set levels given on the command line.

    Raises:
        UserError: a level has no meaning.
    """
    for name, level in levels.items():
        set_logger_level(name, LoggingSeverity.from_string(level))
