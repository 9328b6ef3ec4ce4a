"""What a trial showed: when the robot came to a stop, by what, and whether it moved again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Sender(Enum):
    """Who made a command, as its stamp tells."""

    OPERATOR = "operator's channel"
    AUTONOMY = "autonomy"
    MUX = "command_mux"
    MONITOR = "collision_monitor"
    NOBODY = "the base's own time-out"


@dataclass(frozen=True)
class Command:
    """A command as it came to the base.

    Attributes:
        at: When, s on the machine's steady clock.
        moves: Whether it asks for any velocity but zero.
        sender: Who made it.
        age: Since its stamp, s.
    """

    at: float
    moves: bool
    sender: Sender
    age: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a trial showed.

    Attributes:
        moved: Whether the robot was moving when the event came; if not, the trial shows nothing.
        stopped_after: From the event until no velocity but zero was in force, up to the recovery,
            s; 0 if none was from the event on.
        stopped_by: Who sent the zero that ended the motion.
        resumed_after: From the recovery to the first command that moves, s; None: there was none.
        resumed_by: Who sent that.
    """

    moved: bool
    stopped_after: float
    stopped_by: Sender
    resumed_after: float | None = None
    resumed_by: Sender | None = None


def judge(commands: Sequence[Command], event: float, recovery: float, timeout: float) -> Verdict:
    """Judge the commands that a base got in a trial.

    Args:
        commands: In the order of arrival, from well before the event to the end of the trial.
        event: When what should stop the robot happened, s.
        recovery: When the cause was over, or what should stop it long done, s: from here on nothing
            may move.
        timeout: After which the base stops by itself, s.
    """
    moved = False
    stopped, by = event, Sender.NOBODY
    for index, command in enumerate(commands):
        if not command.moves or command.at >= recovery:
            continue
        following = commands[index + 1] if index + 1 < len(commands) else None
        end, ender = command.at + timeout, Sender.NOBODY
        if following is not None and following.at <= end:
            end, ender = following.at, following.sender
        moved = moved or command.at <= event < end
        if end > stopped:
            stopped, by = end, ender
    again = next((c for c in commands if c.at >= recovery and c.moves), None)
    return Verdict(
        moved,
        min(stopped, max(recovery, event)) - event,
        by,
        None if again is None else again.at - recovery,
        None if again is None else again.sender,
    )
