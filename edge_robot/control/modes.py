"""What the robot permits itself to do: a table of transitions, each change with its cause.

From full ability down to a standstill the modes are rungs of a ladder. A transition that takes
freedom away happens at once; one that gives freedom back waits until its conditions have held for
a while, so that a flickering input cannot make the robot stutter. docs/mode_diagram.py draws it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from edge_robot.settings import Settings, setting


class Mode(IntEnum):
    """The modes, numbered as in `edge_robot/msg/RobotMode`."""

    INITIALIZING = 0
    NOMINAL = 1
    REDUCED = 2
    CONTROLLED_STOP = 3
    EMERGENCY_STOP = 4
    TELEOPERATION = 5
    LAST_SAFE_PLAN = 6
    WAITING = 7

    @property
    def text(self) -> str:
        """Its name for people: "controlled stop"."""
        return self.name.replace("_", " ").lower()


NAMES = {mode.value: mode.text for mode in Mode}
"""By the number in `edge_robot/msg/RobotMode`."""

AUTONOMOUS = frozenset({Mode.NOMINAL, Mode.REDUCED, Mode.LAST_SAFE_PLAN})
"""The modes in which autonomy may move the robot."""


@dataclass(frozen=True)
class Conditions:
    """All that decides the mode.

    Attributes:
        missing: Inputs not heard since the start, of those needed to begin.
        lost: What autonomy cannot be trusted without and that has gone, each with the reason.
        late: What a plan rests on and that is overdue, each with the reason.
        degraded: Reasons to go slower: optional inputs gone, stages over budget.
        notes: What an operator should know but the mode does not depend on.
        stopped: The emergency stop is latched.
        operated: An operator has the wheel.
        waiting: Autonomy may not have the wheel before a human says so.
    """

    missing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: bool = False
    operated: bool = False
    waiting: bool = False


@dataclass(frozen=True)
class ModeTimes(Settings):
    """How long conditions must hold before a transition that waits."""

    recovery: float = setting(
        1.0, "how long all must be well before going faster, s", ge=0.0, le=600.0, live=True
    )
    plan_recovery: float = setting(
        0.3,
        "how long plans must be in time again before following them, s",
        ge=0.0,
        le=600.0,
        live=True,
    )
    last_plan_time: float = setting(
        0.5, "how long the last safe plan is followed, ever slower, s", ge=0.0, le=10.0, live=True
    )


Cause = Callable[[Conditions], str]
"""Returns why a transition is to happen; empty if it is not."""


@dataclass(frozen=True)
class Transition:
    """One row of the table.

    Attributes:
        sources: The modes it leads out of.
        target: The mode it leads to.
        when: Its condition in words.
        cause: Its condition.
        after: Which of `ModeTimes` the condition must have held for; empty for at once.
    """

    sources: frozenset[Mode]
    target: Mode
    when: str
    cause: Cause
    after: str = ""


def _stop_pressed(now: Conditions) -> str:
    return "emergency stop pressed" if now.stopped else ""


def _stop_released(now: Conditions) -> str:
    return "" if now.stopped else "emergency stop was reset: waiting for a new goal"


def _operated(now: Conditions) -> str:
    return "an operator has the wheel" if now.operated else ""


_HAND_BACK = "autonomy waits: hand back or give a goal"


def _let_go(now: Conditions) -> str:
    return "" if now.operated else f"an operator had the wheel; {_HAND_BACK}"


def _withheld(now: Conditions) -> str:
    return _HAND_BACK if now.waiting else ""


def _given(now: Conditions) -> str:
    return "" if now.waiting else "autonomy was given the wheel"


def _lost(now: Conditions) -> str:
    return f"lost {', '.join(now.lost)}" if now.lost else ""


def _halted(now: Conditions) -> str:
    return _lost(now) or (_waiting(now) if now.missing else ", ".join(now.late))


def _waiting(now: Conditions) -> str:
    return f"waiting for {', '.join(now.missing or now.lost or now.late)}"


def _late(now: Conditions) -> str:
    return f"following the last safe plan: {', '.join(now.late)}" if now.late else ""


def _used_up(now: Conditions) -> str:
    return f"the last safe plan is used up: {', '.join(now.late) or 'plans come and go'}"


def _fit(now: Conditions) -> bool:
    return not (now.missing or now.lost or now.late)


def _degraded(now: Conditions) -> str:
    return ", ".join(now.degraded) if _fit(now) else ""


def _well(now: Conditions) -> str:
    fit = _fit(now) and not now.degraded
    return "; ".join(("all inputs alive", *now.notes)) if fit else ""


def _in_time(now: Conditions) -> str:
    return "plans are in time again" if _fit(now) else ""


def _back(now: Conditions) -> str:
    return _in_time(now) and (_degraded(now) or "not all is well for long enough")


def _set(*modes: Mode) -> frozenset[Mode]:
    return frozenset(modes)


_MOVING = (Mode.NOMINAL, Mode.REDUCED, Mode.LAST_SAFE_PLAN)
BY_ITSELF = _set(Mode.INITIALIZING, *_MOVING, Mode.CONTROLLED_STOP)
"""All modes in which autonomy may find its way to moving the robot by itself."""

TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        BY_ITSELF | {Mode.TELEOPERATION, Mode.WAITING},
        Mode.EMERGENCY_STOP,
        "stop pressed",
        _stop_pressed,
    ),
    Transition(_set(Mode.EMERGENCY_STOP), Mode.WAITING, "reset by an operator", _stop_released),
    Transition(
        BY_ITSELF | {Mode.WAITING}, Mode.TELEOPERATION, "an operator takes the wheel", _operated
    ),
    Transition(_set(Mode.TELEOPERATION), Mode.WAITING, "the operator lets go", _let_go),
    Transition(BY_ITSELF, Mode.WAITING, "autonomy must wait", _withheld),
    Transition(_set(Mode.WAITING), Mode.CONTROLLED_STOP, "handed back, or a new goal", _given),
    Transition(_set(*_MOVING), Mode.CONTROLLED_STOP, "a vital input is lost", _lost),
    Transition(
        _set(Mode.LAST_SAFE_PLAN),
        Mode.CONTROLLED_STOP,
        "the plan is used up",
        _used_up,
        "last_plan_time",
    ),
    Transition(
        _set(Mode.NOMINAL, Mode.REDUCED), Mode.LAST_SAFE_PLAN, "tracks or plan are late", _late
    ),
    Transition(
        _set(Mode.LAST_SAFE_PLAN), Mode.REDUCED, "plans are in time", _in_time, "plan_recovery"
    ),
    Transition(_set(Mode.NOMINAL), Mode.REDUCED, "an input or a budget is missed", _degraded),
    Transition(_set(Mode.REDUCED), Mode.NOMINAL, "all is well", _well, "recovery"),
    Transition(_set(Mode.CONTROLLED_STOP), Mode.NOMINAL, "all is well", _well, "recovery"),
    Transition(
        _set(Mode.CONTROLLED_STOP), Mode.REDUCED, "what is vital is back", _back, "recovery"
    ),
    Transition(_set(Mode.INITIALIZING), Mode.REDUCED, "all are heard, not all is well", _degraded),
    Transition(_set(Mode.INITIALIZING), Mode.NOMINAL, "all inputs are heard", _well),
)
"""In order of precedence: of several that are due, the first happens."""


@dataclass
class ModeMachine:
    """Holds the mode and its cause.

    Attributes:
        times: How long conditions must hold.
        mode: The present mode.
        cause: Why, in words.
        since: When it was entered, s on the clock of `update`.
    """

    times: ModeTimes = field(default_factory=ModeTimes)
    mode: Mode = Mode.INITIALIZING
    cause: str = "starting"
    since: float = 0.0
    _held: dict[Transition, float] = field(default_factory=dict)

    def update(self, conditions: Conditions, now: float) -> bool:
        """Follow the conditions; return whether mode or cause changed.

        Args:
            conditions: As they are now.
            now: Time, s on a steady clock.
        """
        before = (self.mode, self.cause)
        due = self._due(conditions, now)
        if due is None:
            self.cause = self._explanation(conditions)
        else:
            self.mode, self.cause, self.since = due.target, due.cause(conditions), now
        return before != (self.mode, self.cause)

    def _due(self, conditions: Conditions, now: float) -> Transition | None:
        """Return the first transition whose condition has held for long enough."""
        first = None
        for transition in TRANSITIONS:
            if self.mode not in transition.sources or not transition.cause(conditions):
                self._held.pop(transition, None)
                continue
            since = self._held.setdefault(transition, now)
            wait = getattr(self.times, transition.after) if transition.after else 0.0
            if first is None and now - since >= wait:
                first = transition
        return first

    def _explanation(self, conditions: Conditions) -> str:
        """Return why the mode is kept."""
        if self.mode is Mode.WAITING:
            return self.cause  # what a human did, whatever happens meanwhile
        reason = _REASONS[self.mode](conditions)
        if reason or self.cause.startswith(_RECOVERING):
            return reason or self.cause
        return f"{_RECOVERING}{self.cause}"


_RECOVERING = "recovering: "
_REASONS: dict[Mode, Cause] = {
    Mode.INITIALIZING: _waiting,
    Mode.NOMINAL: _well,
    Mode.REDUCED: _degraded,
    Mode.LAST_SAFE_PLAN: _late,
    Mode.CONTROLLED_STOP: _halted,
    Mode.EMERGENCY_STOP: _stop_pressed,
    Mode.TELEOPERATION: _operated,
}
"""Why a mode is kept; where that is empty, its time has not come yet for what comes next."""
