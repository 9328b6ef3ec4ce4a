"""What the robot is told by its operators: lease, watchdogs and stop put together, without sockets.

Times are s on a steady clock. Every method is called from one thread, so that between the question
who has the wheel and the command there is nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_robot.control.commands import Velocity
from edge_robot.settings import Settings, setting
from edge_robot.teleop.access import Identity
from edge_robot.teleop.lease import Lease
from edge_robot.teleop.messages import Input
from edge_robot.teleop.ticks import Ticks
from edge_robot.teleop.watchdog import (
    ZERO,
    Refusal,
    SpeedSettings,
    Watchdog,
    WatchdogSettings,
    blind_speed,
    bounded,
)

_REMEMBERED = 64


@dataclass(frozen=True)
class HelmSettings(Settings):
    """How people may drive."""

    watchdog: WatchdogSettings = field(default_factory=WatchdogSettings)
    speed: SpeedSettings = field(default_factory=SpeedSettings)
    wheel_lifetime: float = setting(
        5.0,
        "without a sign of life of the page that has the wheel it is free after that, s",
        ge=0.1,
        le=3600.0,
    )


@dataclass(eq=False)
class Seat:
    """One page of a person who may ask for the wheel, and all its connections.

    Attributes:
        number: Tells seats apart.
        who: The person.
        watchdog: Judges what comes from there.
        speed: What the person bounds the own speed to, m/s.
        refusal: Why the newest input did not count; None if it did, or was only a repeated one.
        notice: How the person lost the wheel; empty if not lately.
        newest: Greatest id of what was asked for from there.
    """

    number: int
    who: Identity
    watchdog: Watchdog
    speed: float
    refusal: Refusal | None = None
    notice: str = ""
    newest: int = 0


class Helm:
    """Knows who drives, and what the robot is to be told now.

    Args:
        settings: How people may drive.

    Attributes:
        settings: As given; may be replaced.
        lease: Who has the wheel.
        stopped: Whether the emergency stop is latched: asked for here, or told by the robot.
        confirmed: Whether the robot itself says so.
        stops: Number of times it was asked for.
    """

    def __init__(self, settings: HelmSettings) -> None:
        self.settings = settings
        self._seats: dict[int, Seat] = {}
        self._next = 0
        self._beaten = 0.0
        self._asked_to_stop = False
        self._breaks = 0
        self._speeds: dict[str, float] = {}  # what people bound their own speed to, by session
        self.lease = Lease(settings.wheel_lifetime)
        self.confirmed = False
        self.stops = 0

    # --- who is there -----------------------------------------------------------------------

    def join(self, who: Identity, now: float) -> Seat:
        """Let somebody in."""
        self._next += 1
        watchdog = Watchdog(self.settings.watchdog, now)
        # A page that was loaded anew must not be faster than its operator had decided.
        speed = self._speeds.get(who.session, self.settings.speed.operator_speed)
        seat = Seat(self._next, who, watchdog, speed)
        self._seats[seat.number] = seat
        return seat

    def leave(self, seat: Seat) -> None:
        """Note that a page is gone; the wheel stays with it for a while, at rest."""
        del self._seats[seat.number]
        self.lease.left(seat.number)

    def bound(self, seat: Seat, speed: float) -> None:
        """Bound somebody's speed to what that person decides, m/s."""
        seat.speed = min(speed, self.settings.speed.operator_speed)
        self._speeds.pop(seat.who.session, None)
        self._speeds[seat.who.session] = seat.speed
        if len(self._speeds) > _REMEMBERED:
            del self._speeds[next(iter(self._speeds))]

    def driver(self) -> Seat | None:
        """Return where the wheel is; None if nowhere, or if that page is gone."""
        holder = self.lease.holder
        return None if holder is None else self._seats.get(holder.seat)

    def take(self, seat: Seat, now: float, force: bool = False) -> None:
        """Give somebody the wheel; who had it is told.

        Raises:
            RefusedError: that person may not have it, or not now.
        """
        before = self.driver()
        self.lease.take(seat.who, seat.number, now, force)
        if before is not None and before is not seat:
            again = before.who.session == seat.who.session
            taker = "you, on another page," if again else seat.who.name
            before.notice = f"{taker} took the wheel"
        seat.notice = ""
        seat.watchdog.lose(now)

    def release(self, notice: str = "") -> None:
        """Leave the wheel to nobody; tell why where that was not asked for."""
        driver = self.driver()
        if driver is not None:
            driver.notice = notice
        self.lease.release()

    # --- what is heard ----------------------------------------------------------------------

    def hear(self, seat: Seat, read: Input, ticks: Ticks, now: float) -> None:
        """Take an input that came by the connection of these ticks."""
        self._notice_pause(now)
        refusal = seat.watchdog.judge(read, ticks, now)
        if refusal is not Refusal.REPEATED:  # which says nothing of the link, nor of the hands
            seat.refusal = refusal
        if refusal is not Refusal.UNKNOWN_TICK:
            self.lease.heard(seat.number, now)

    def beat(self, now: float, stopped: bool, breaks: int) -> None:
        """Note how the robot is; to be called before every command, and at least every 20 ms.

        Args:
            now: The time.
            stopped: Whether the robot says that its emergency stop is latched.
            breaks: How often a process between here and the wheels came or went.
        """
        self._notice_pause(now)
        self._beaten = now
        if breaks != self._breaks:
            self._breaks = breaks
            self._start_over(now)
        if stopped:
            self._asked_to_stop = False  # from here on the latch is the robot's
        if stopped != self.confirmed:
            self.confirmed = stopped
            self._start_over(now)

    def _notice_pause(self, now: float) -> None:
        """Trust nothing from before a long pause of this process: it is like a lost link.

        After a short one too, what waited in buffers is judged by its age.
        """
        if now - self._beaten > self.settings.watchdog.input_loss:
            self._beaten = now
            self._start_over(now)

    def _start_over(self, now: float) -> None:
        for seat in self._seats.values():
            seat.watchdog.lose(now)

    # --- the emergency stop -----------------------------------------------------------------

    @property
    def stopped(self) -> bool:
        """Whether nobody may drive."""
        return self._asked_to_stop or self.confirmed

    def stop(self, now: float) -> None:
        """Command zero from now on, whether or not the robot answers."""
        self._asked_to_stop = True
        self.stops += 1
        self._start_over(now)

    def reset(self, now: float) -> None:
        """Let drive again, who has let go first."""
        self._asked_to_stop = self.confirmed = False
        self._start_over(now)

    # --- what is told -----------------------------------------------------------------------

    def command(self, now: float) -> Velocity | None:
        """Return what the robot is to do; None if there is nothing to say to it.

        While the robot itself says that it is stopped nothing is said: who falls silent has let
        go, for whoever decides between several drivers.
        """
        if self.lease.holder is None or self.confirmed:
            return None
        driver = self.driver()
        if driver is None or self._asked_to_stop:
            return ZERO
        return bounded(driver.watchdog.demand(now), *self.limits(driver))

    def limits(self, seat: Seat) -> tuple[float, float]:
        """Return how fast somebody may drive over the link as it is, m/s, and turn, rad/s."""
        settings = self.settings
        lag = seat.watchdog.age + settings.watchdog.input_silence
        speed = settings.speed
        blind = blind_speed(lag, speed.blind_distance, speed.operator_decel)
        share = min(1.0, blind / speed.operator_speed)
        return min(seat.speed, share * speed.operator_speed), share * speed.operator_yaw_rate

    def reason(self, seat: Seat, now: float) -> str | None:
        """Return why the robot does not do what somebody's hands ask for; None if it does."""
        if not self.lease.held_by(seat.number):
            return seat.notice or None
        if self.stopped:
            return "the emergency stop is pressed: reset it first"
        watchdog = seat.watchdog
        if watchdog.is_silent(now):
            if seat.refusal is Refusal.OLD:
                limit = self.settings.watchdog.input_max_age
                return f"the link is too slow to drive: inputs come more than {limit:g} s late"
            if seat.refusal is Refusal.FROZEN:
                return "your controls or your page do not move on"
            return "nothing fresh is heard from your page"
        if watchdog.awaits_neutral:
            return "let go of the controls first"
        return None
