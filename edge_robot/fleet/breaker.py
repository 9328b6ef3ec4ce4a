"""Stops offering work to a backend that is there but fails at it. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum


class BreakerState(Enum):
    """Whether work is offered."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class CircuitBreaker:
    """Opens on a lost link or on failures in a row; closes when a trial request succeeds.

    After failures the pause before the next trial doubles up to a limit; a link that has come back
    is tried at once.

    Args:
        threshold: Failures in a row that open it.
        pause: First pause before a trial, s; each is drawn from the upper half.
        max_pause: Longest pause, s.
        jitter: Draws from [0, 1).

    Attributes:
        state: Whether work is offered.
        cause: The failure that opened it; empty while the requests themselves went well.
    """

    def __init__(
        self,
        threshold: int = 3,
        pause: float = 1.0,
        max_pause: float = 8.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.state = BreakerState.OPEN
        self.cause = ""
        self._threshold = threshold
        self._first_pause = pause
        self._max_pause = max_pause
        self._jitter = jitter
        self._pause = pause
        self._failures = 0
        self._link_up = False
        self._retry_at = 0.0
        self._trial = False

    def allows(self, now: float) -> bool:
        """Return whether a request may be started; an open breaker turns half-open when due."""
        if self.state is BreakerState.OPEN and self._link_up and now >= self._retry_at:
            self.state = BreakerState.HALF_OPEN
            self._trial = False
        if self.state is BreakerState.HALF_OPEN:
            return not self._trial
        return self.state is BreakerState.CLOSED

    def started(self) -> None:
        """Report that a request was started."""
        self._trial = True

    def abandoned(self) -> None:
        """Report that a request was cancelled: if it was the trial, another may be."""
        self._trial = False

    def succeeded(self) -> None:
        """Report that a request was answered with a valid result, even a late one."""
        self._failures = 0
        self._pause = self._first_pause
        self.cause = ""
        if self._link_up:
            self.state = BreakerState.CLOSED

    def failed(self, now: float, cause: str) -> None:
        """Report that a request failed though the link stands."""
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN or self._failures >= self._threshold:
            if self.state is BreakerState.HALF_OPEN:
                self._pause = min(2.0 * self._pause, self._max_pause)
            self.cause = f"{self._failures} requests failed in a row: {cause}"
            self.state = BreakerState.OPEN
            self._retry_at = now + self._pause * (0.5 + 0.5 * self._jitter())

    def link_lost(self) -> None:
        """Report that the link is down."""
        self._link_up = False
        self.cause = ""
        self.state = BreakerState.OPEN

    def link_found(self, now: float) -> None:
        """Report that the link is up: the next request is the trial."""
        self._link_up = True
        self._failures = 0
        self._trial = False
        self._retry_at = now
        self.cause = ""
        self.state = BreakerState.HALF_OPEN
