"""Whether the robot may still do what an operator's input says: how old it is, what came before.

Packets prove nothing: a frozen page's socket acknowledges them, a frozen hand's page goes on
sending them. What counts is a new sample of the input device, and how old that can be at most. For
that the robot sends *ticks*, numbers that nobody can guess, and every input names the newest tick
that its page had heard. The input left after that tick did, so on arrival the sample is at most

    age = (now − tick sent) + (how old the page says that the sample was when it left)

old, by the robot's own steady clock, whatever the network did and without a clock in common.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import hypot, inf, sqrt
from statistics import median

from edge_robot.control.commands import Velocity
from edge_robot.settings import Settings, setting
from edge_robot.teleop.messages import Input

ZERO: Velocity = (0.0, 0.0, 0.0)

_MAX_TICKS = 128
_ROUND_TRIPS = 64  # of which the least tells what an answer takes that nothing held up
_SHOWN = 9  # newest of them, whose median is told: one late frame of a page is no slower link
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
    REPEATED = "not newer than the one before"
    FROZEN = "the input device does not move on"
    OLD = "older than the limit"


class Watchdog:
    """Judges the inputs of one connection. Times are s on a steady clock.

    Args:
        settings: The limits.
        now: The time.
        draw: Draws the numbers of ticks.

    Attributes:
        age: Of recent inputs on arrival, s: the greatest, forgotten gradually.
    """

    def __init__(
        self,
        settings: WatchdogSettings,
        now: float,
        draw: Callable[[], int] = lambda: secrets.randbits(53),
    ) -> None:
        self._settings = settings
        self._draw = draw
        self._ticks: OrderedDict[int, float] = OrderedDict()  # when sent, of those unanswered
        self._answered: tuple[int, float] | None = None
        self._newest_sample = -1
        self._begun = now
        self._void_before = now
        self._was_neutral = False
        self._input: Input | None = None
        self._fresh = now  # when what counted last was heard, or would have been over an even link
        self._round_trips: deque[float] = deque(maxlen=_ROUND_TRIPS)
        self.age = 0.0

    def tick(self, now: float) -> int:
        """Return a new tick, to be sent at once."""
        number = self._draw()
        self._ticks[number] = now
        if len(self._ticks) > _MAX_TICKS:
            self._ticks.popitem(last=False)
        return number

    def judge(self, read: Input, now: float) -> Refusal | None:
        """Take an input; return why it counts for nothing, None if it counts."""
        if not read.held:
            self._input = None  # nobody is too late to let go
        sent = self._sent(read.tick, now)
        if sent is None:
            return Refusal.UNKNOWN_TICK
        if read.n <= self._newest_sample:
            return Refusal.FROZEN if read.n == self._newest_sample else Refusal.REPEATED
        self._newest_sample = read.n
        age = now - sent + read.age
        if age > self._settings.input_max_age:
            return Refusal.OLD
        if self.is_lost(now):
            self.lose(now)
        forgiven = self.age - _FORGIVEN_AGE_RATE * (now - self._fresh)
        self.age = max(age, forgiven)
        self._input = read
        self._fresh = min(now, sent + min(self._round_trips)) - read.age
        if not read.held and now - age >= self._void_before:
            self._was_neutral = True
        return None

    def _sent(self, tick: int, now: float) -> float | None:
        """Return when a tick was sent, None if it is none that may be answered now.

        Answers come in order: with one tick all before it are done with. The one answered last may
        be named again, by inputs between two ticks.
        """
        if self._answered is not None and tick == self._answered[0]:
            return self._answered[1]
        if tick not in self._ticks:
            return None
        number = sent = None
        while number != tick:
            number, sent = self._ticks.popitem(last=False)
        assert number is not None and sent is not None
        self._answered = number, sent
        self._round_trips.append(now - sent)
        return sent

    @property
    def round_trip(self) -> float | None:
        """From a tick to its answer, median of the newest, s; None before the first."""
        newest = list(self._round_trips)[-_SHOWN:]
        return median(newest) if newest else None

    def lateness(self, now: float) -> float:
        """Return how long ago what is heard now can have left the page at most, s.

        It comes after the page's answer to the newest tick that was answered, and that after the
        tick.
        """
        return now - (self._begun if self._answered is None else self._answered[1])

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
