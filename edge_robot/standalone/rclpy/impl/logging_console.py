"""Writes log messages to the terminal, as the environment variables of ROS 2 ask for.

`RCUTILS_CONSOLE_OUTPUT_FORMAT` (with `{severity}`, `{name}`, `{message}`, `{function_name}`,
`{file_name}`, `{line_number}`, `{time}`, `{time_as_nanoseconds}`, `{date_time_with_ms}`),
`RCUTILS_LOGGING_USE_STDOUT` and `RCUTILS_COLORIZED_OUTPUT` (0 or 1; by default colours are used on
a terminal).
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.impl.logging_severity import LoggingSeverity

DEFAULT_FORMAT = "[{severity}] [{time}] [{name}]: {message}"

_COLOURS = {
    LoggingSeverity.DEBUG: "\033[32m",
    LoggingSeverity.INFO: "\033[0m",
    LoggingSeverity.WARN: "\033[33m",
    LoggingSeverity.ERROR: "\033[31m",
    LoggingSeverity.FATAL: "\033[31m",
}
_NO_COLOUR = "\033[0m"
_ESCAPES = {"a": "\a", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "x1b": "\x1b"}


@dataclass(frozen=True)
class Record:
    """One log message.

    Attributes:
        stamp: When it was written, ns since 1970.
    """

    severity: LoggingSeverity
    name: str
    message: str
    function: str
    file: str
    line: int
    stamp: int


def _seconds(record: Record) -> str:
    sec, nanosec = divmod(record.stamp, S_TO_NS)
    return f"{sec:010d}.{nanosec:09d}"


def _date(record: Record) -> str:
    sec, nanosec = divmod(record.stamp, S_TO_NS)
    local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(sec))
    return f"{local}.{nanosec // 1_000_000:03d}"


_TOKENS: dict[str, Callable[[Record], str]] = {
    "severity": lambda record: record.severity.name,
    "name": lambda record: record.name,
    "message": lambda record: record.message,
    "function_name": lambda record: record.function,
    "file_name": lambda record: record.file,
    "line_number": lambda record: str(record.line),
    "time": _seconds,
    "time_as_nanoseconds": lambda record: str(record.stamp),
    "date_time_with_ms": _date,
}
_TOKEN = re.compile(r"\{(" + "|".join(_TOKENS) + r")\}")
_ESCAPE = re.compile(r"\\(x1b|[abnrt])")


def formatter(text: str) -> Callable[[Record], str]:
    """Return a function that writes messages as a format says; unknown `{…}` stay as they are."""
    text = _ESCAPE.sub(lambda match: _ESCAPES[match[1]], text)
    # Split at the tokens: text and token names take turns.
    pieces = _TOKEN.split(text)
    literals, tokens = pieces[::2], [_TOKENS[name] for name in pieces[1::2]]

    def write(record: Record) -> str:
        values = (token(record) for token in tokens)
        return literals[0] + "".join(
            value + literal for value, literal in zip(values, literals[1:], strict=True)
        )

    return write


class Console:
    """The terminal, with the settings of the environment when it is made."""

    def __init__(self) -> None:
        self.enabled = True
        self._format = formatter(os.environ.get("RCUTILS_CONSOLE_OUTPUT_FORMAT") or DEFAULT_FORMAT)
        self._stdout = os.environ.get("RCUTILS_LOGGING_USE_STDOUT") == "1"
        self._colours = os.environ.get("RCUTILS_COLORIZED_OUTPUT")

    def write(self, record: Record) -> None:
        """Write a message."""
        if not self.enabled:
            return
        stream = sys.stdout if self._stdout else sys.stderr
        text = self._format(record)
        if self._colours == "1" or (self._colours != "0" and stream.isatty()):
            text = f"{_COLOURS[record.severity]}{text}{_NO_COLOUR}"
        # One write per message: lines of several processes on one terminal stay whole.
        stream.write(f"{text}\n")
        stream.flush()
