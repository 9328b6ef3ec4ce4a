"""Whether the fleet backend can be reached: a state machine fed with heartbeats.

Pure: it reads no clock and does no input or output. A driver (`edge_robot.fleet.client`) calls
`poll` when it says so, sends the heartbeats it asks for, and reports what came back.

The rule: the link is up while something is answered. It is down as soon as a heartbeat fails, or
when nothing at all (heartbeat or request) has been answered for `LinkTiming.silence`. Heartbeats
do not wait for each other, so the rule holds at any round-trip time: on a slow link answers come
late, but they still come once a period.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

RTT_WINDOW = 200
LOSS_WINDOW = 40


@dataclass(frozen=True)
class LinkTiming:
    """When to ask, and when to stop believing. All in s.

    Attributes:
        period: Between two heartbeats while somebody answers.
        silence: Time without any answer after which the link counts as down.
        confirmations: Heartbeats answered in a row before the link counts as up.
        probe_timeout: Time one attempt to connect and be answered may take while down.
        probe_pause: Longest pause between two attempts; each is drawn from its upper half, so
            that a fleet that lost its backend together does not come back in step.
        grace: Time given to unread answers when the driver itself was held up.
    """

    period: float = 0.025
    silence: float = 0.075
    confirmations: int = 3
    probe_timeout: float = 0.3
    probe_pause: float = 0.3
    grace: float = 0.010


class LinkPhase(Enum):
    """How much is known about the link."""

    DOWN = "down"
    CONFIRMING = "confirming"
    UP = "up"


class LinkMonitor:
    """The state machine of one link.

    Args:
        timing: Its times.
        now: The present time, s, on the clock of all later calls.
        jitter: Draws from [0, 1).

    Attributes:
        phase: What is known now.
        cause: Why the link was last declared up or down.
        connection: Number of the connection to use; the driver opens a new one when it changes,
            so that no stalled connection, and no back-off of the transport, delays a recovery.
        next_poll: When `poll` wants to be called, s.
    """

    def __init__(
        self, timing: LinkTiming, now: float, jitter: Callable[[], float] = random.random
    ) -> None:
        self.timing = timing
        self.phase = LinkPhase.DOWN
        self.cause = "not yet connected"
        self.connection = 0
        self.next_poll = now
        self._jitter = jitter
        self._was_up = False
        self._number = 0
        self._waiting: dict[int, float] = {}  # heartbeat number -> when it was sent, oldest first
        self._next_beat = now
        self._last_answer = -math.inf
        self._confirmed = 0
        self._excused = False
        self._round_trips: deque[float] = deque(maxlen=RTT_WINDOW)
        self._kept: deque[bool] = deque(maxlen=LOSS_WINDOW)

    @property
    def up(self) -> bool:
        """Whether work may be sent."""
        return self.phase is LinkPhase.UP

    @property
    def loss(self) -> float:
        """Share of the last heartbeats that were not answered, 0..1."""
        return 1.0 - sum(self._kept) / len(self._kept) if self._kept else 0.0

    def round_trip(self, quantile: float) -> float:
        """Return a quantile of the last round trips, s; NaN before the first."""
        return float(np.quantile(self._round_trips, quantile)) if self._round_trips else math.nan

    def poll(self, now: float) -> int | None:
        """Let time pass; return the number of a heartbeat to send now, if one is due."""
        return self._probe(now) if self.phase is LinkPhase.DOWN else self._watch(now)

    def answered(self, number: int, now: float) -> None:
        """Report that the backend answered a heartbeat."""
        sent = self._waiting.pop(number, None)
        if sent is None:
            return  # of a connection already given up
        self._round_trips.append(now - sent)
        self._kept.append(True)
        self._sign_of_life(now)
        self._confirmed += 1
        if self.phase is LinkPhase.DOWN:
            self.phase = LinkPhase.CONFIRMING
            self._next_beat = now
        if self.phase is LinkPhase.CONFIRMING and self._confirmed >= self.timing.confirmations:
            self.cause = f"{self._confirmed} heartbeats answered in a row"
            self.phase = LinkPhase.UP
            self._was_up = True
        self._plan()

    def request_answered(self, now: float) -> None:
        """Report that the backend answered a request, with whatever result."""
        if self.phase is not LinkPhase.DOWN:
            self._sign_of_life(now)
            self._plan()

    def failed(self, number: int, now: float, cause: str) -> None:
        """Report that a heartbeat came back as an error: refused, reset, unavailable."""
        if number in self._waiting:
            self._go_down(now, cause)

    def _probe(self, now: float) -> int | None:
        if self._waiting and now < self.next_poll:
            return None
        if self._waiting:
            self._go_down(now, f"no answer within {self.timing.probe_timeout * 1e3:.0f} ms")
            return None
        if now < self._next_beat:
            return None
        self.connection += 1
        self.next_poll = now + self.timing.probe_timeout
        return self._send(now)

    def _watch(self, now: float) -> int | None:
        if self._excused and now < self.next_poll:
            return None
        if self._waiting and now >= self._silent_at():
            # Held up ourselves (a busy machine): answers may lie unread. Look once more first.
            if now - self.next_poll > self.timing.grace and not self._excused:
                self._excused = True
                self.next_poll = now + self.timing.grace
                return None
            age = (now - self._last_answer) * 1e3
            self._go_down(
                now, f"no answer for {age:.0f} ms, {len(self._waiting)} heartbeats unanswered"
            )
            return None
        beat = None
        if now >= self._next_beat:
            beat = self._send(now)
            # In step with the schedule, but without making up for beats missed while held up.
            self._next_beat = max(self._next_beat + self.timing.period, now)
        self._plan()
        return beat

    def _silent_at(self) -> float:
        """When the silence is long enough, and was not just our own not asking."""
        asked = next(iter(self._waiting.values()))
        # Answers come once a period only after heartbeats have been under way for a round trip.
        allowed = self.timing.silence if self.up else self.timing.probe_timeout
        return max(self._last_answer + allowed, asked + allowed - self.timing.period)

    def _plan(self) -> None:
        if self.phase is not LinkPhase.DOWN:
            silent_at = self._silent_at() if self._waiting else math.inf
            self.next_poll = min(self._next_beat, silent_at)

    def _send(self, now: float) -> int:
        self._number += 1
        self._waiting[self._number] = now
        return self._number

    def _sign_of_life(self, now: float) -> None:
        self._last_answer = now
        self._excused = False

    def _go_down(self, now: float, cause: str) -> None:
        self._kept.extend([False] * len(self._waiting))
        self._waiting.clear()
        self._confirmed = 0
        if self.phase is LinkPhase.UP or not self._was_up:
            self.cause = cause  # a vain attempt does not explain why the link was lost
        pause = self.timing.probe_pause * (0.5 + 0.5 * self._jitter())
        self.phase = LinkPhase.DOWN
        self._next_beat = self.next_poll = now + pause
