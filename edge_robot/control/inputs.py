"""Signs of life of one input, as told by its messages and by the events of its QoS contract."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf


class Severity(Enum):
    """What it means for autonomy that an input is overdue or gone."""

    NOTE = "no consequence"
    DEGRADED = "go slower"
    LATE = "follow the last safe plan"
    LOST = "stop"


@dataclass
class Input:
    """One input.

    Attributes:
        name: Its topic.
        overdue: What it means that its deadline has passed; None for nothing at all.
        gone: What it means that it is silent for `timeout`, or that nobody is left who sends it.
        timeout: Silence after which it is gone, s.
        needed: Whether it must be heard before autonomy begins.
        pauses: Whether it may have nothing to say: then silence counts only as overdue, and only
            until `timeout`.
    """

    name: str
    overdue: Severity | None
    gone: Severity
    timeout: float
    needed: bool = True
    pauses: bool = False
    _heard: float = -inf
    _age_when_heard: float = 0.0
    _missed_deadline: bool = False
    _alive: int | None = None
    _refused: str = ""

    @property
    def missing(self) -> bool:
        """Whether it has not been heard yet."""
        return self._heard == -inf

    @property
    def waited_for(self) -> str:
        """Its topic, and why it is not heard where that is known."""
        return f"{self.name} (incompatible QoS: {self._refused})" if self._refused else self.name

    def heard(self, now: float, age: float = 0.0) -> None:
        """Note a message that came at `now` with data `age` old, s."""
        self._heard, self._age_when_heard = now, max(age, 0.0)
        self._missed_deadline = False

    def missed(self, now: float, deadline: float) -> None:
        """Note that `deadline`, s, passed without a message; too late if one has come since."""
        self._missed_deadline = now - self._heard > 0.5 * deadline

    def alive(self, count: int) -> None:
        """Note how many of those who send it are alive."""
        self._alive = count

    def refused(self, policy: str) -> None:
        """Note that somebody sends it under a contract that is not ours."""
        self._refused = policy

    def age(self, now: float) -> float:
        """Return how old its newest data are, s."""
        return now - self._heard + self._age_when_heard

    def is_gone(self, now: float) -> bool:
        """Return whether nobody alive sends it, or it has been silent for too long."""
        return self._alive == 0 or now - self._heard > self.timeout

    def verdict(self, now: float) -> tuple[Severity, str] | None:
        """Return what is wrong with it, and why, naming the topic; None if nothing is.

        Args:
            now: Time, s on a steady clock.
        """
        if self.missing:
            return (self.gone, f"{self.waited_for}: never heard") if self.needed else None
        if self._alive == 0:
            return self.gone, f"{self.name} (liveliness lost: nobody alive sends it)"
        if self.is_gone(now):
            silent = f"{self.name} (silent for more than {self.timeout:g} s)"
            return None if self.pauses else (self.gone, silent)
        if self._missed_deadline and self.overdue is not None:
            return self.overdue, f"{self.name} (deadline missed)"
        return None
