"""What the robot permits itself to do: a small state machine, each change with its cause.

A mode that takes freedom away is entered at once; one that gives freedom back only after its
conditions have held for a while, so that a flickering input cannot make the robot stutter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Mode(IntEnum):
    """The modes, numbered as in `edge_robot/msg/RobotMode`."""

    INITIALIZING = 0
    NOMINAL = 1
    REDUCED = 2
    CONTROLLED_STOP = 3
    EMERGENCY_STOP = 4
    TELEOPERATION = 5


@dataclass(frozen=True)
class Conditions:
    """All that decides the mode.

    Attributes:
        missing: Inputs not heard since the start, of those needed to begin.
        lost: Inputs gone silent without which autonomy cannot be trusted.
        degraded: Reasons to go slower: optional inputs gone silent, stages over budget.
        notes: What an operator should know but the mode does not depend on.
        stopped: The emergency stop is latched.
        operated: An operator holds the wheel.
        goals: Goals received so far.
    """

    missing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: bool = False
    operated: bool = False
    goals: int = 0


class ModeMachine:
    """Holds the mode and its cause.

    Args:
        recovery: How long conditions must be good before freedom is given back, s.

    Attributes:
        mode: The present mode.
        cause: Why, in words.
    """

    def __init__(self, recovery: float = 1.0) -> None:
        self.recovery = recovery
        self.mode = Mode.INITIALIZING
        self.cause = "starting"
        self._better_since: float | None = None
        self._wanted: Mode | None = None
        self._goals_at_stop: int | None = None

    def update(self, conditions: Conditions, now: float) -> bool:
        """Follow the conditions; return whether mode or cause changed.

        Args:
            conditions: As they are now.
            now: Time, s on a steady clock.
        """
        wanted, cause = self._target(conditions)
        if wanted is self.mode:
            self._wanted = None
            changed, self.cause = cause != self.cause, cause
            return changed
        if not self._gives_freedom(wanted):
            return self._enter(wanted, cause)
        if wanted is not self._wanted:
            self._wanted, self._better_since = wanted, now
        assert self._better_since is not None
        if now - self._better_since < self.recovery:
            return False
        return self._enter(wanted, cause)

    def _target(self, conditions: Conditions) -> tuple[Mode, str]:
        """Return the mode that the conditions ask for, and why."""
        if conditions.stopped:
            self._goals_at_stop = conditions.goals
            return Mode.EMERGENCY_STOP, "emergency stop pressed"
        if self._goals_at_stop is not None and conditions.goals > self._goals_at_stop:
            self._goals_at_stop = None
        if conditions.operated:
            return Mode.TELEOPERATION, "an operator drives"
        if self._goals_at_stop is not None:
            return Mode.CONTROLLED_STOP, "emergency stop was reset: waiting for a new goal"
        if self.mode is Mode.INITIALIZING and conditions.missing:
            return Mode.INITIALIZING, f"waiting for {', '.join(conditions.missing)}"
        if conditions.lost:
            return Mode.CONTROLLED_STOP, f"lost {', '.join(conditions.lost)}"
        if conditions.degraded:
            return Mode.REDUCED, ", ".join(conditions.degraded)
        return Mode.NOMINAL, "; ".join(("all inputs alive", *conditions.notes))

    def _gives_freedom(self, wanted: Mode) -> bool:
        """Return whether `wanted` lets autonomy do more than the present mode does."""
        if self.mode is Mode.INITIALIZING:
            return False
        allowance = {Mode.REDUCED: 1, Mode.NOMINAL: 2}
        return allowance.get(wanted, 0) > allowance.get(self.mode, 0)

    def _enter(self, mode: Mode, cause: str) -> bool:
        self.mode, self.cause = mode, cause
        self._wanted = self._better_since = None
        return True
