"""Who drives: the emergency stop over everybody, and of the others the one of highest priority.

Every source holds the wheel by a lease that each of its commands renews; a source that falls silent
loses it. The emergency stop is latched: releasing it gives the wheel to nobody until somebody asks
anew. Whoever drives by hand takes the wheel from autonomy until it is handed back or a new goal is
given: a robot whose operator is gone stays where it is.

Stamps are judged on arrival: a command that is late, of the future, or not newer than the one
before it renews nothing and is never forwarded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from math import inf

from edge_robot.control.commands import CLOCK_TOLERANCE, Refusal, refusal
from edge_robot.errors import UserError
from edge_robot.settings import Settings, setting

EMERGENCY_STOP = "emergency_stop"
NOBODY = "nobody"
WAITING = "waiting"
"""Who holds the wheel where no source does; WAITING: autonomy may not before a human says so."""

OPERATOR = "teleoperation"
"""The source that the dashboard drives by."""


class Outcome(Enum):
    """What becomes of a command."""

    FORWARD = "forward"
    ZERO = "zero"  # its source holds the wheel, and it is no velocity
    IGNORE = "ignore"


@dataclass(frozen=True)
class SourceSettings(Settings):
    """One source of commands."""

    topic: str = setting("cmd_vel/joystick", "where its commands come from (TwistStamped)")
    priority: int = setting(50, "the greater wins", ge=0, le=1000)
    lease: float = setting(0.2, "how long a command holds the wheel, s", ge=0.01, le=60.0)
    autonomous: bool = setting(
        False,
        "after a stop, or a human at the wheel, it needs a new goal; false: its user lets go first",
    )


DEFAULT_SOURCES = {
    "autonomy": SourceSettings("cmd_vel/nav", priority=10, lease=0.1, autonomous=True),
    OPERATOR: SourceSettings("cmd_vel/teleop", priority=100, lease=0.2),
}


class Arbiter:
    """Decides whose command counts. Times are s on a steady clock, stamps ns on the commands' own.

    Args:
        sources: By name.
        lifespan: How old a command may be on arrival, s.

    Attributes:
        stopped: Whether the emergency stop is latched.
        refused: Commands not obeyed, by source and reason.

    Raises:
        UserError: two sources have one priority.
    """

    def __init__(
        self, sources: Mapping[str, SourceSettings] | None = None, lifespan: float = 0.1
    ) -> None:
        self._sources = dict(DEFAULT_SOURCES if sources is None else sources)
        self._lifespan = lifespan
        self._autonomous = {name for name, source in self._sources.items() if source.autonomous}
        self._order = sorted(self._sources, key=lambda name: -self._sources[name].priority)
        self._before_autonomy = list(
            takewhile(lambda name: name not in self._autonomous, self._order)
        )
        for first, second in zip(self._order, self._order[1:], strict=False):
            if self._sources[first].priority == self._sources[second].priority:
                raise UserError(
                    f"sources {first!r} and {second!r} have the same priority: nobody could say "
                    "which of them drives"
                )
        self.stopped = False
        self.refused: Counter[tuple[str, Refusal]] = Counter()
        self._heard: dict[str, float] = {}
        self._stamps: dict[str, int] = {}
        self._locked: set[str] = set()

    def command(
        self, name: str, values: Iterable[float], stamp: int, now: int, steady: float
    ) -> Outcome:
        """Take a source's command and return what to do with it.

        Args:
            name: Of the source.
            values: All numbers of the commanded velocity.
            stamp: When it was made, ns.
            now: The time, ns on the same clock.
            steady: The time, s on a steady clock.
        """
        last = self._stamps.get(name)
        if last is not None and last > now + CLOCK_TOLERANCE * 1e9:
            last = None  # the clock was set back: a recording begins anew
        values = tuple(values)
        why = refusal(stamp, now, values, self._lifespan)
        if last is not None and stamp <= last and why is not Refusal.LATE:
            why = Refusal.REPEATED
        if why is not None:
            self.refused[name, why] += 1
            if why is not Refusal.NO_VELOCITY:
                return Outcome.IGNORE
        self._stamps[name] = stamp
        by_hand = name not in self._autonomous
        let_go = not self._holds(name, steady) or not any(values)
        if by_hand and let_go and not self.stopped:
            # Who let go, by silence or by an explicit zero, and takes hold again means it.
            self._locked.discard(name)
        self._heard[name] = steady
        obeyed = self.holder(steady) == name
        if by_hand and (obeyed or name in self._before_autonomy):
            # Also who is not obeyed, for they held on since before: they believe that they drive.
            self._locked |= self._autonomous
        if not obeyed:
            return Outcome.IGNORE
        return Outcome.FORWARD if why is None else Outcome.ZERO

    def holder(self, steady: float) -> str:
        """Return who holds the wheel: a source, EMERGENCY_STOP, WAITING or NOBODY."""
        if self.stopped:
            return EMERGENCY_STOP
        for name in self._order:
            if self._holds(name, steady) and name not in self._locked:
                return name
        return WAITING if self._locked & self._autonomous else NOBODY

    def _holds(self, name: str, steady: float) -> bool:
        return steady - self._heard.get(name, -inf) <= self._sources[name].lease

    def stop(self) -> None:
        """Latch the emergency stop, and take the wheel from everybody until they ask anew."""
        self.stopped = True
        self._locked = set(self._sources)

    def reset(self) -> None:
        """Release the emergency stop; nobody holds the wheel yet."""
        self.stopped = False

    def begin(self, steady: float, taken_by_hand: bool) -> None:
        """Start where an arbiter before this one may have been: by hand drives who lets go first.

        Args:
            steady: The time, s on a steady clock.
            taken_by_hand: Whether somebody had taken the wheel from autonomy.
        """
        by_hand = self._sources.keys() - self._autonomous
        self._heard |= dict.fromkeys(by_hand, steady)
        self._locked |= set(self._sources) if taken_by_hand else by_hand

    def new_goal(self, steady: float) -> None:
        """Let autonomy ask for the wheel again.

        A goal given during a stop does not count, nor one given while somebody before autonomy
        still holds on from then: the robot would start when they let go.

        Args:
            steady: The time, s on a steady clock.
        """
        held = any(
            name in self._locked and self._holds(name, steady) for name in self._before_autonomy
        )
        if not self.stopped and not held:
            self._locked -= self._autonomous

    def hand_back(self) -> bool:
        """Let autonomy ask for the wheel again, at once; return whether it may, or is stopped.

        Who drives by hand and goes on takes the wheel anew.
        """
        if self.stopped:
            return False
        self._locked -= self._autonomous
        for name in self._sources.keys() - self._autonomous:
            self._heard.pop(name, None)
        return True
