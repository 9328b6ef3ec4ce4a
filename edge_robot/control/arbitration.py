"""Who drives: the emergency stop over the operator over autonomy.

Every source holds the wheel by a lease that each command renews; a source that falls silent loses
it. The emergency stop is latched: releasing it gives the wheel to nobody until somebody asks anew.
Times are seconds on a steady clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from math import inf


class Source(IntEnum):
    """Sources of commands; the greater wins."""

    NONE = 0
    AUTONOMY = 1
    TELEOPERATION = 2
    EMERGENCY_STOP = 3


@dataclass
class Arbiter:
    """Decides whose command counts.

    Attributes:
        leases: How long each source's last command holds the wheel, s.
        stopped: Whether the emergency stop is latched.
    """

    leases: dict[Source, float] = field(
        default_factory=lambda: {Source.AUTONOMY: 0.1, Source.TELEOPERATION: 0.2}
    )
    stopped: bool = False
    _last: dict[Source, float] = field(default_factory=dict)
    _locked: set[Source] = field(default_factory=set)

    def heard(self, source: Source, now: float) -> bool:
        """Note a command and return whether it is to be forwarded."""
        if (
            source is Source.TELEOPERATION
            and now - self._last.get(source, -inf) > self.leases[source]
        ):
            # An operator who let go and takes hold again does so deliberately.
            self._locked.discard(source)
        self._last[source] = now
        return self.winner(now) is source

    def winner(self, now: float) -> Source:
        """Return the source that holds the wheel."""
        if self.stopped:
            return Source.EMERGENCY_STOP
        for source in (Source.TELEOPERATION, Source.AUTONOMY):
            silent = now - self._last.get(source, -inf) > self.leases[source]
            if not silent and source not in self._locked:
                return source
        return Source.NONE

    def stop(self) -> None:
        """Latch the emergency stop, and take the wheel from everybody until they ask anew."""
        self.stopped = True
        self._locked = {Source.AUTONOMY, Source.TELEOPERATION}

    def reset(self) -> None:
        """Release the emergency stop; nobody holds the wheel yet."""
        self.stopped = False

    def new_goal(self) -> None:
        """Let autonomy ask for the wheel again; a goal given during a stop does not count."""
        if not self.stopped:
            self._locked.discard(Source.AUTONOMY)
