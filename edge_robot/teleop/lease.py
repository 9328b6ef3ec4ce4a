"""Who has the wheel: one page, until it hands back, is superseded or falls silent."""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.teleop.access import Identity, Role

_LOST = 1.0  # s; a page that is silent for so long is hardly there
_ASKED_FOR = 30.0  # s; how long the holder is told that somebody asked


class RefusedError(Exception):
    """What was asked for is not granted; the text says why, fit for an operator."""


@dataclass(frozen=True)
class Holder:
    """Who has the wheel.

    Attributes:
        who: The person.
        seat: Number of that person's page.
        since: When it was taken, s.
    """

    who: Identity
    seat: int
    since: float


class Lease:
    """The wheel of one robot. Times are s on a steady clock.

    Args:
        lifetime: After so long without a sign of life of its holder's page the wheel is free, s.

    Attributes:
        holder: Who has it; None if nobody.
        generation: Grows whenever the holder changes, to somebody or to nobody.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._heard = 0.0
        self._left = False
        self._asked: tuple[str, float] | None = None
        self.holder: Holder | None = None
        self.generation = 0

    def held_by(self, seat: int) -> bool:
        """Return whether a page has the wheel."""
        return self.holder is not None and self.holder.seat == seat

    def take(self, who: Identity, seat: int, now: float, force: bool = False) -> None:
        """Give somebody the wheel.

        Somebody's own other page gives way: a page that was loaded anew must not wait for the old.

        Raises:
            RefusedError: that person may not have it, or not now.
        """
        if who.role < Role.DRIVE:
            raise RefusedError("you may look only: driving needs the role drive")
        holder = self.holder
        if holder is not None and holder.who.session != who.session:
            if not force:
                raise RefusedError(self._occupied(holder, now))
            if who.role < Role.ADMIN:
                raise RefusedError(
                    f"{holder.who.name} has the wheel: only an admin may take it from somebody"
                )
        self._pass_to(Holder(who, seat, now))
        self._heard = now

    def _occupied(self, holder: Holder, now: float) -> str:
        silent = now - self._heard
        if self._left or silent > _LOST:
            left = max(0.0, self._lifetime - silent)
            return f"the link of {holder.who.name} is lost: the wheel is free in {left:.0f} s"
        held = now - holder.since
        text = f"{held / 60:.0f} min" if held >= 60 else f"{held:.0f} s"
        return f"{holder.who.name} has had the wheel for {text}: ask for it"

    def ask(self, who: Identity, now: float) -> str:
        """Let the holder know that somebody would like the wheel; return the holder's name.

        Raises:
            RefusedError: there is nothing to ask for.
        """
        if who.role < Role.DRIVE:
            raise RefusedError("you may look only: driving needs the role drive")
        if self.holder is None:
            raise RefusedError("the wheel is free: take it")
        if self.holder.who.session == who.session:
            raise RefusedError("you have the wheel yourself")
        self._asked = who.name, now
        return self.holder.who.name

    def asked_by(self, now: float) -> str | None:
        """Return who asked for the wheel lately."""
        if self._asked is None or now - self._asked[1] > _ASKED_FOR:
            return None
        return self._asked[0]

    def release(self) -> None:
        """Leave the wheel to nobody."""
        self._pass_to(None)

    def heard(self, seat: int, now: float) -> None:
        """Note a sign of life of a page."""
        if self.held_by(seat):
            self._heard = now

    def left(self, seat: int) -> None:
        """Note that a page is gone; its person may be back in a moment."""
        self._left |= self.held_by(seat)

    def has_expired(self, now: float) -> bool:
        """Return whether the holder has been silent for longer than the wheel is kept."""
        return self.holder is not None and now - self._heard > self._lifetime

    def _pass_to(self, holder: Holder | None) -> None:
        self.holder = holder
        self.generation += 1
        self._asked = None
        self._left = False
