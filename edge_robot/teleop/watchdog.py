"""Whether the robot may still do what an operator's input says: how old it is, what came before.

Packets prove nothing: a frozen page's socket acknowledges them, a frozen hand's page goes on
sending them. What counts is a new sample of the input device, and how old that can be at most. For
that the robot sends *ticks*, numbers that nobody can guess, and every input names the newest tick
that its page had heard. The input left after that tick did, so on arrival the sample is at most

    age = (now − tick sent) + (how old the page says that the sample was when it left)

old, by the robot's own steady clock, whatever the network did and without a clock in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import hypot, inf, sqrt

from edge_robot.control.commands import Velocity
from edge_robot.settings import Settings, setting
from edge_robot.teleop.messages import Input
from edge_robot.teleop.ticks import Ticks

ZERO: Velocity = (0.0, 0.0, 0.0)

_FORGIVEN_AGE_RATE = 0.2  # s/s; how fast an age that was once measured is forgotten


@dataclass(frozen=True)
class WatchdogSettings(Settings):
    """How fresh an operator's input must be."""

    input_max_age: float = setting(
        0.4,
        "an input older than that counts for nothing: round trip and page together, s",
        ge=0.01,
        le=10.0,
    )
    input_silence: float = setting(
        0.12, "without an input that counts for so long the command is zero, s", ge=0.01, le=10.0
    )
    input_loss: float = setting(
        0.4,
        "without one for so long the operator must let go before driving on, s",
        ge=0.01,
        le=10.0,
    )


@dataclass(frozen=True)
class SpeedSettings(Settings):
    """How fast an operator may drive."""

    operator_speed: float = setting(
        1.0, "highest speed of an operator, m/s", ge=0.01, le=20.0, live=True
    )
    operator_yaw_rate: float = setting(
        1.5, "fastest turn of an operator, rad/s", ge=0.01, le=20.0, live=True
    )
    blind_distance: float = setting(
        0.5,
        "farthest the robot may go on what its operator saw before the link failed, m",
        ge=0.01,
        le=10.0,
        live=True,
    )
    operator_decel: float = setting(
        2.0, "deceleration the base surely reaches, m/s²", ge=0.01, le=50.0, live=True
    )


def blind_speed(lag: float, distance: float, decel: float) -> float:
    """Return the speed from which the robot stops within a distance that nobody oversees.

    What an operator does now answers a picture that left the robot one round trip ago; if the link
    fails at this moment, the robot goes on for the silence that the watchdog allows. For both
    together, the lag T, it drives at v without anybody seeing where; then it brakes at d. All that
    has to fit into the distance D:

        v T + v²/(2d) ≤ D,   so   v = d (√(T² + 2D/d) − T)

    Args:
        lag: Age of the input and permitted silence, s.
        distance: m.
        decel: m/s².

    Returns:
        m/s.
    """
    return decel * (sqrt(lag * lag + 2.0 * distance / decel) - lag)


def bounded(wanted: Velocity, speed: float, yaw_rate: float) -> Velocity:
    """Return a velocity within bounds on the same curve: all its parts are scaled alike."""
    vx, vy, wz = wanted
    over = max(hypot(vx, vy) / speed if speed else inf, abs(wz) / yaw_rate if yaw_rate else inf)
    if over <= 1.0 or wanted == ZERO:
        return wanted
    return (vx / over, vy / over, wz / over)


class Refusal(Enum):
    """Why an input counts for nothing."""

    UNKNOWN_TICK = "answers no tick of this connection, or one too long ago"
    REPEATED = "not newer than one that came before, or by another connection"
    FROZEN = "the input device does not move on"
    OLD = "older than the limit"


class Watchdog:
    """Judges the inputs of one page. Times are s on a steady clock.

    Args:
        settings: The limits.
        now: The time.

    Attributes:
        age: Of recent inputs on arrival, s: the greatest, forgotten gradually.
    """

    def __init__(self, settings: WatchdogSettings, now: float) -> None:
        self._settings = settings
        self._newest_sample: tuple[int, Ticks | None] = -1, None
        self._void_before = now
        self._was_neutral = False
        self._input: Input | None = None
        self._fresh = now  # when what counted last was heard, or would have been over an even link
        self.age = 0.0

    def judge(self, read: Input, ticks: Ticks, now: float) -> Refusal | None:
        """Take an input; return why it counts for nothing, None if it counts.

        Args:
            read: The input.
            ticks: Of the connection it came by. A page may have several: what comes first counts.
            now: The time.
        """
        newest, came_by = self._newest_sample
        if not read.held and read.n >= newest:
            self._input = None  # nobody is too late to let go, unless a newer sample came first
        sent = ticks.answer(read.tick, now)
        if sent is None:
            return Refusal.UNKNOWN_TICK
        if read.n <= newest:
            frozen = read.n == newest and ticks is came_by
            return Refusal.FROZEN if frozen else Refusal.REPEATED
        self._newest_sample = read.n, ticks
        age = now - sent + read.age
        if age > self._settings.input_max_age:
            return Refusal.OLD
        if self.is_lost(now):
            self.lose(now)
        forgiven = self.age - _FORGIVEN_AGE_RATE * (now - self._fresh)
        self.age = max(age, forgiven)
        self._input = read
        # It is newer than what came before, though its own connection may tell less of its time.
        self._fresh = max(self._fresh, min(now, sent + ticks.least_round_trip) - read.age)
        if not read.held and now - age >= self._void_before:
            self._was_neutral = True
        return None

    def lose(self, now: float) -> None:
        """Make all void that was sampled before now: the operator must let go first."""
        self._void_before = now
        self._was_neutral = False
        self._input = None

    def is_silent(self, now: float) -> bool:
        """Return whether no input has counted for too long to go on."""
        return now > self.silent_at

    @property
    def silent_at(self) -> float:
        """Until when what was heard last may be obeyed, s.

        What its sample waited, in the page or wherever else it was held up, is part of the
        silence. What every answer takes over the link is not, or a slow link could not be driven
        over at all.
        """
        return self._fresh + self._settings.input_silence

    def is_lost(self, now: float) -> bool:
        """Return whether no input has counted for so long that the operator must let go first."""
        return now - self._fresh > self._settings.input_loss

    @property
    def awaits_neutral(self) -> bool:
        """Whether the operator has yet to let go."""
        return not self._was_neutral

    def demand(self, now: float) -> Velocity:
        """Return what the operator's hands ask for, zero where that may not be obeyed."""
        read = self._input
        if read is None or not read.held or not self._was_neutral or self.is_silent(now):
            return ZERO
        return (read.vx, read.vy, read.wz)
