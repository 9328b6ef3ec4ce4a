"""From which level on each logger writes; `a.b` inherits its level from `a`."""

from __future__ import annotations

from edge_robot.standalone.rclpy.impl.logging_severity import LoggingSeverity

SEPARATOR = "."
_DEFAULT = LoggingSeverity.INFO

_levels: dict[str, LoggingSeverity] = {"": _DEFAULT}
_effective: dict[str, LoggingSeverity] = {}
"""What was found by looking at a logger's ancestors, until a level changes."""


def set_level(name: str, level: LoggingSeverity) -> None:
    """Set the level of a logger and its heirs; the empty name stands for all."""
    _levels[name] = level
    _effective.clear()


def level(name: str) -> LoggingSeverity:
    """Return the level that was set for a logger itself."""
    return _levels.get(name, LoggingSeverity.UNSET)


def effective_level(name: str) -> LoggingSeverity:
    """Return the level of a logger or of its nearest ancestor that has one."""
    found = _effective.get(name)
    if found is None:
        found = _effective[name] = _inherited(name)
    return found


def _inherited(name: str) -> LoggingSeverity:
    while name:
        found = level(name)
        if found is not LoggingSeverity.UNSET:
            return found
        name = name.rpartition(SEPARATOR)[0]
    return _levels[""]


def reset() -> None:
    """Forget all levels that were set."""
    _levels.clear()
    _levels[""] = _DEFAULT
    _effective.clear()
