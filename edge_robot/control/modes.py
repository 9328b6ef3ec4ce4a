"""What the robot permits itself to do: a table of transitions, each change with its cause.

From full ability down to a standstill the modes are rungs of a ladder. A transition that takes
freedom away happens at once; one that gives freedom back waits until its conditions have held for
a while, so that a flickering input cannot make the robot stutter. `diagram` draws the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from edge_robot.settings import setting


class Mode(IntEnum):
    """The modes, numbered as in `edge_robot/msg/RobotMode`."""

    INITIALIZING = 0
    NOMINAL = 1
    REDUCED = 2
    CONTROLLED_STOP = 3
    EMERGENCY_STOP = 4
    TELEOPERATION = 5
    LAST_SAFE_PLAN = 6

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
        operated: An operator holds the wheel.
        goals: Goals received so far.
    """

    missing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: bool = False
    operated: bool = False
    goals: int = 0


@dataclass(frozen=True)
class ModeTimes:
    """How long conditions must hold before a transition that waits."""

    recovery: float = setting(1.0, "how long all must be well before going faster, s")
    plan_recovery: float = setting(
        0.3, "how long plans must be in time again before following them, s"
    )
    last_plan_time: float = setting(0.5, "how long the last safe plan is followed, ever slower, s")


@dataclass(frozen=True)
class _Situation:
    """The conditions, and whether a goal is awaited since an emergency stop."""

    now: Conditions
    awaits_goal: bool


Cause = Callable[[_Situation], str]
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


def _stop_pressed(s: _Situation) -> str:
    return "emergency stop pressed" if s.now.stopped else ""


def _stop_released(s: _Situation) -> str:
    return "" if s.now.stopped else "emergency stop was reset: waiting for a new goal"


def _operated(s: _Situation) -> str:
    return "an operator drives" if s.now.operated else ""


def _let_go(s: _Situation) -> str:
    return "" if s.now.operated else "the operator let go"


def _lost(s: _Situation) -> str:
    if s.awaits_goal:
        return "emergency stop was reset: waiting for a new goal"
    return f"lost {', '.join(s.now.lost)}" if s.now.lost else ""


def _halted(s: _Situation) -> str:
    return _lost(s) or ", ".join(s.now.late)


def _waiting(s: _Situation) -> str:
    return f"waiting for {', '.join(s.now.missing or s.now.lost or s.now.late)}"


def _late(s: _Situation) -> str:
    return f"following the last safe plan: {', '.join(s.now.late)}" if s.now.late else ""


def _used_up(s: _Situation) -> str:
    return f"the last safe plan is used up: {', '.join(s.now.late) or 'plans come and go'}"


def _degraded(s: _Situation) -> str:
    fit = not (s.awaits_goal or s.now.lost or s.now.late)
    return ", ".join(s.now.degraded) if fit else ""


def _well(s: _Situation) -> str:
    fit = not (s.awaits_goal or s.now.lost or s.now.late or s.now.degraded)
    return "; ".join(("all inputs alive", *s.now.notes)) if fit else ""


def _in_time(s: _Situation) -> str:
    fit = not (s.awaits_goal or s.now.lost or s.now.late)
    return "plans are in time again" if fit else ""


def _back(s: _Situation) -> str:
    return _in_time(s) and (_degraded(s) or "not all is well for long enough")


def _all_heard(cause: Cause) -> Cause:
    return lambda s: "" if s.now.missing else cause(s)


def _set(*modes: Mode) -> frozenset[Mode]:
    return frozenset(modes)


_MOVING = (Mode.NOMINAL, Mode.REDUCED, Mode.LAST_SAFE_PLAN)
BY_ITSELF = _set(Mode.INITIALIZING, *_MOVING, Mode.CONTROLLED_STOP)
"""All modes in which no human decides."""

TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        BY_ITSELF | {Mode.TELEOPERATION}, Mode.EMERGENCY_STOP, "stop pressed", _stop_pressed
    ),
    Transition(
        _set(Mode.EMERGENCY_STOP), Mode.CONTROLLED_STOP, "reset by an operator", _stop_released
    ),
    Transition(BY_ITSELF, Mode.TELEOPERATION, "an operator drives", _operated),
    Transition(_set(Mode.TELEOPERATION), Mode.CONTROLLED_STOP, "the operator lets go", _let_go),
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
    Transition(
        _set(Mode.INITIALIZING),
        Mode.REDUCED,
        "all are heard, not all is well",
        _all_heard(_degraded),
    ),
    Transition(_set(Mode.INITIALIZING), Mode.NOMINAL, "all inputs are heard", _all_heard(_well)),
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
    _goals_at_stop: int | None = None

    def update(self, conditions: Conditions, now: float) -> bool:
        """Follow the conditions; return whether mode or cause changed.

        Args:
            conditions: As they are now.
            now: Time, s on a steady clock.
        """
        before = (self.mode, self.cause)
        if conditions.stopped:
            self._goals_at_stop = conditions.goals
        elif self._goals_at_stop is not None and conditions.goals > self._goals_at_stop:
            self._goals_at_stop = None
        situation = _Situation(conditions, self._goals_at_stop is not None)
        due = self._due(situation, now)
        if due is None:
            self.cause = self._explanation(situation)
        else:
            self.mode, self.cause, self.since = due.target, due.cause(situation), now
        return before != (self.mode, self.cause)

    def _due(self, situation: _Situation, now: float) -> Transition | None:
        """Return the first transition whose condition has held for long enough."""
        first = None
        for transition in TRANSITIONS:
            if self.mode not in transition.sources or not transition.cause(situation):
                self._held.pop(transition, None)
                continue
            since = self._held.setdefault(transition, now)
            wait = getattr(self.times, transition.after) if transition.after else 0.0
            if first is None and now - since >= wait:
                first = transition
        return first

    def _explanation(self, situation: _Situation) -> str:
        """Return why the mode is kept."""
        reason = _REASONS[self.mode](situation)
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


def diagram() -> str:
    """Return the table of transitions as a Mermaid state diagram."""

    def name(mode: Mode) -> str:
        return mode.name.lower()

    times = ModeTimes()
    lines = ["stateDiagram-v2", "    [*] --> by_itself", "    state by_itself {"]
    lines.append(f"        [*] --> {name(Mode.INITIALIZING)}")
    outer = []
    for transition in TRANSITIONS:
        text = transition.when
        if transition.after:
            text += f", for {getattr(times, transition.after):g} s"
        sources = [name(mode) for mode in sorted(transition.sources - BY_ITSELF)]
        if transition.sources >= BY_ITSELF:
            sources.append("by_itself")
            inside: list[str] = []
        else:
            inside = [name(mode) for mode in sorted(transition.sources & BY_ITSELF)]
        target = name(transition.target)
        lines += [f"        {source} --> {target}: {text}" for source in inside]
        outer += [f"    {source} --> {target}: {text}" for source in sources]
    return "\n".join([*lines, "    }", *outer])
