"""Loggers by name, their levels, and where they write."""

from __future__ import annotations

import os
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.standalone.rclpy.impl import logging_levels, rcutils_logger
from edge_robot.standalone.rclpy.impl.logging_console import Console
from edge_robot.standalone.rclpy.impl.logging_severity import LoggingSeverity
from edge_robot.standalone.rclpy.impl.rcutils_logger import RcutilsLogger

__all__ = [
    "Logger",
    "LoggingSeverity",
    "RcutilsLogger",
    "apply_log_levels",
    "clear_config",
    "get_logger",
    "get_logger_effective_level",
    "get_logger_level",
    "get_logging_directory",
    "get_logging_severity_from_string",
    "initialize",
    "set_logger_level",
    "shutdown",
    "write_to_console",
]

Logger = RcutilsLogger
_root_logger = RcutilsLogger()


def get_logger(name: str) -> RcutilsLogger:
    """Return a logger with this name.

    Raises:
        ValueError: the name is empty.
    """
    if not name:
        raise ValueError("Logger name must not be empty.")
    return _root_logger.get_child(name)


def initialize() -> None:
    """Read the settings of the environment anew."""
    rcutils_logger.console = Console()


def shutdown() -> None:
    """Forget the levels of all loggers."""
    logging_levels.reset()


def clear_config() -> None:
    """Forget all settings: the levels of loggers, and what the environment said."""
    shutdown()
    initialize()


def write_to_console(enabled: bool) -> None:
    """Choose whether messages are written to the terminal."""
    rcutils_logger.console.enabled = enabled


def set_logger_level(name: str, level: LoggingSeverity | int, detailed_error: bool = False) -> None:
    """Set the level of a logger; the empty name stands for all.

    Args:
        name: Logger.
        level: From which severity on it writes.
        detailed_error: Accepted as in ROS 2.

    Raises:
        ValueError: there is no such level.
    """
    del detailed_error
    logging_levels.set_level(name, LoggingSeverity(level))


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """Return the level at which a logger writes."""
    return logging_levels.effective_level(name)


def get_logger_level(name: str) -> LoggingSeverity:
    """Return the level that was set for a logger itself."""
    return logging_levels.level(name)


def get_logging_severity_from_string(log_severity: str) -> LoggingSeverity:
    """Return the severity with this name.

    Raises:
        RuntimeError: there is none.
    """
    try:
        return LoggingSeverity[log_severity.upper()]
    except KeyError:
        raise RuntimeError(f"'{log_severity}' is no severity level") from None


def get_logging_directory() -> Path:
    """Return where ROS 2 keeps log files: ROS_LOG_DIR, or `log` in ROS_HOME or in `~/.ros`.

    The standalone runtime writes none.
    """
    folder = os.environ.get("ROS_LOG_DIR")
    if folder:
        return Path(folder).expanduser()
    return Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser() / "log"


def apply_log_levels(levels: dict[str, str]) -> None:
    """Set levels given on the command line.

    Raises:
        UserError: a level has no meaning.
    """
    for name, text in levels.items():
        try:
            level = get_logging_severity_from_string(text)
        except RuntimeError:
            raise UserError(
                f"unknown log level {text!r}: use debug, info, warn, error or fatal"
            ) from None
        set_logger_level(name, level)
