"""Whether the fleet backend can be reached: a state machine fed with heartbeats.

Pure: it reads no clock and does no input or output. A driver (`edge_robot.fleet.client`) calls
`poll` when it says so, sends the heartbeats it asks for, and reports what came back.

The rule: the link is up while something is answered. It is down as soon as a heartbeat fails, or
when nothing at all (heartbeat or request) has been answered for `LinkTiming.silence`. Heartbeats
do not wait for each other, so the rule holds at any round-trip time: on a slow link answers come
late, but they still come once a period.

While it is down, a new connection is tried every `LinkTiming.probe_pause` without giving up those
before; the first one that is answered is taken ("happy eyeballs", RFC 8305). So a connection that
hangs delays no recovery, and one that needs seconds, over a satellite with TLS, comes about too.
The connection that fell silent is among them for a while: where packets are lost, TCP sends them
again after 200 ms or more, and then all is there at once, with the answers to requests.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from edge_robot.fleet.estimation import RoundTrips

LOSS_WINDOW = 40


@dataclass(frozen=True)
class LinkTiming:
    """When to ask, and when to stop believing. All in s.

    Attributes:
        period: Between two heartbeats while somebody answers.
        silence: Time without any answer after which the link counts as down.
        confirmations: Heartbeats answered in a row before the link counts as up.
        probe_timeout: Time one attempt to connect and be answered may take while down.
        probe_pause: Longest pause between the starts of two attempts; each is drawn from its
            upper half, so that a fleet that lost its backend together does not come back in step.
        refusal_pause: The same while it is known that only a person can mend what is wrong.
        stall: Time for which a connection that fell silent is kept, with the requests on it.
        grace: Time given to unread answers when the driver itself was held up.
    """

    period: float = 0.025
    silence: float = 0.075
    confirmations: int = 3
    probe_timeout: float = 2.0
    probe_pause: float = 0.3
    refusal_pause: float = 5.0
    stall: float = 1.0
    grace: float = 0.010


class LinkPhase(Enum):
    """How much is known about the link."""

    DOWN = "down"
    CONFIRMING = "confirming"
    UP = "up"


@dataclass(frozen=True)
class Beat:
    """A heartbeat to be sent.

    Attributes:
        number: To report it by.
        connection: Number of the connection to send it over; a new one is to be opened.
    """

    number: int
    connection: int


@dataclass(frozen=True)
class _Sent:
    """A heartbeat that is not answered yet.

    Attributes:
        at: When it was sent, s.
        connection: Over which.
        opens: Whether the connection was opened for it.
    """

    at: float
    connection: int
    opens: bool


class LinkMonitor:
    """The state machine of one link.

    Args:
        timing: Its times.
        now: The present time, s, on the clock of all later calls.
        jitter: Draws from [0, 1).

    Attributes:
        phase: What is known now.
        cause: Why the link was last declared up or down.
        since: When it was, s.
        connection: Number of the connection that stands; 0 while none does.
        next_poll: When `poll` wants to be called, s.
        round_trips: Of the last heartbeats.
    """

    def __init__(
        self, timing: LinkTiming, now: float, jitter: Callable[[], float] = random.random
    ) -> None:
        self.timing = timing
        self.phase = LinkPhase.DOWN
        self.cause = "not yet connected"
        self.since = now
        self.connection = 0
        self.next_poll = now
        self._jitter = jitter
        self._was_up = False
        self._refused = False
        self._number = 0
        self._attempt = 0
        self._waiting: dict[int, _Sent] = {}  # by number, oldest first
        self._fell_silent = -math.inf
        self._next_beat = now
        self._last_answer = -math.inf
        self._begun = now
        self._patience = timing.silence
        self._confirmed = 0
        self._excused = False
        self.round_trips = RoundTrips()
        self._kept: deque[bool] = deque(maxlen=LOSS_WINDOW)

    @property
    def up(self) -> bool:
        """Whether work may be sent."""
        return self.phase is LinkPhase.UP

    @property
    def loss(self) -> float:
        """Share of the last heartbeats that were not answered, 0..1."""
        return 1.0 - sum(self._kept) / len(self._kept) if self._kept else 0.0

    @property
    def connections(self) -> set[int]:
        """The connections that may still be answered; others can be closed."""
        return {self.connection} | {beat.connection for beat in self._waiting.values()}

    def poll(self, now: float) -> Beat | None:
        """Let time pass; return a heartbeat to send now, if one is due."""
        return self._probe(now) if self.phase is LinkPhase.DOWN else self._watch(now)

    def answered(self, number: int, now: float) -> None:
        """Report that the backend answered a heartbeat."""
        if number not in self._waiting:
            return  # of a connection already given up
        sent = self._waiting.pop(number)
        elapsed = now - sent.at
        self._kept.append(True)
        self._confirmed += 1
        if self.phase is LinkPhase.DOWN:
            self.phase = LinkPhase.CONFIRMING
            self._take(sent.connection)
            # Answers do not come once a period before the first of the next heartbeats is back. It
            # takes no longer than one for which the connection had to be opened.
            expected = elapsed if sent.opens else self.round_trips.median
            self._patience = self.timing.silence + expected
            self._next_beat = self._begun = now
        elif sent.at >= self._begun:
            self._patience = self.timing.silence
        if not sent.opens:
            self.round_trips.add(elapsed, now)
        self._sign_of_life(now)
        if self.phase is LinkPhase.CONFIRMING and self._confirmed >= self.timing.confirmations:
            self.cause = f"{self._confirmed} heartbeats answered in a row"
            self.phase = LinkPhase.UP
            self.since = now
            self._was_up = True
        self._plan()

    def request_answered(self, now: float) -> None:
        """Report that the backend answered a request, with whatever result."""
        if self.phase is not LinkPhase.DOWN:
            self._sign_of_life(now)
            self._plan()

    def request_lost(self, now: float, cause: str) -> None:
        """Report that the connection broke under a request."""
        if self.phase is not LinkPhase.DOWN:
            self._take(0)
            self._go_down(now, cause)

    def failed(self, number: int, now: float, cause: str) -> None:
        """Report that a heartbeat came back as an error: refused, reset, unavailable."""
        if number not in self._waiting:
            return
        if self.phase is LinkPhase.DOWN:
            self._give_up(number)
            self._explain(cause)
            self._plan()
        else:
            self._take(0)
            self._go_down(now, cause)

    def explained(self, now: float, cause: str, refused: bool) -> None:
        """Report what a closer look at vain attempts has found.

        Args:
            now: The present time, s.
            cause: What keeps the connection from coming about.
            refused: One of both sides does not want the other (certificate, token, protocol): the
                cause stands until that changes, and it is tried more seldom.
        """
        if self.phase is not LinkPhase.DOWN:
            return
        if refused:
            self.cause = cause
            self._next_beat = now + self._pause(self.timing.refusal_pause)
        elif self._refused:
            self.cause = cause
        self._refused = refused
        self._plan()

    def _probe(self, now: float) -> Beat | None:
        for number, sent in list(self._waiting.items()):
            if now >= self._given_up_at(sent):
                self._give_up(number)
                if sent.opens:
                    self._explain(f"no answer within {self.timing.probe_timeout:g} s")
        beat = None
        if now >= self._next_beat:
            self._attempt += 1
            beat = self._send(now, self._attempt, opens=True)
            longest = self.timing.refusal_pause if self._refused else self.timing.probe_pause
            self._next_beat = now + self._pause(longest)
        self._plan()
        return beat

    def _watch(self, now: float) -> Beat | None:
        if self._excused and now < self.next_poll:
            return None
        if self._waiting and now >= self._silent_at():
            # Held up ourselves (a busy machine): answers may lie unread. Look once more first.
            if now - self.next_poll > self.timing.grace and not self._excused:
                self._excused = True
                self.next_poll = now + self.timing.grace
                return None
            age = (now - self._last_answer) * 1e3
            cause = f"no answer for {age:.0f} ms, {len(self._waiting)} heartbeats unanswered"
            self._fell_silent = now
            self._go_down(now, cause)
            return None
        beat = None
        if now >= self._next_beat:
            beat = self._send(now, self.connection, opens=False)
            # In step with the schedule, but without making up for beats missed while held up.
            self._next_beat = max(self._next_beat + self.timing.period, now)
        self._plan()
        return beat

    def _oldest(self) -> float:
        return next(iter(self._waiting.values())).at

    def _given_up_at(self, sent: _Sent) -> float:
        """When an attempt, or a connection that fell silent, is given up."""
        if sent.opens:
            return sent.at + self.timing.probe_timeout
        return self._fell_silent + self.timing.stall

    def _silent_at(self) -> float:
        """When the silence is long enough, and was not just our own not asking."""
        # Answers come once a period only after heartbeats have been under way for a round trip.
        return max(self._last_answer, self._oldest() - self.timing.period) + self._patience

    def _plan(self) -> None:
        alarm = math.inf
        if self._waiting and self.phase is LinkPhase.DOWN:
            alarm = min(self._given_up_at(sent) for sent in self._waiting.values())
        elif self._waiting:
            alarm = self._silent_at()
        self.next_poll = min(self._next_beat, alarm)

    def _send(self, now: float, connection: int, opens: bool) -> Beat:
        self._number += 1
        self._waiting[self._number] = _Sent(now, connection, opens)
        return Beat(self._number, connection)

    def _sign_of_life(self, now: float) -> None:
        self._last_answer = now
        self._excused = False

    def _give_up(self, number: int) -> None:
        del self._waiting[number]
        self._kept.append(False)

    def _take(self, connection: int) -> None:
        """Let go of all connections but one; 0 for all."""
        self.connection = connection
        for number, sent in list(self._waiting.items()):
            if sent.connection != connection:
                self._give_up(number)

    def _explain(self, cause: str) -> None:
        """A vain attempt does not explain why the link was lost, and less than a closer look."""
        if not self._was_up and not self._refused:
            self.cause = cause

    def _go_down(self, now: float, cause: str) -> None:
        self._confirmed = 0
        if self.phase is LinkPhase.UP:
            self.since = now
            self.cause = cause
        else:
            self._explain(cause)
        self.phase = LinkPhase.DOWN
        self.connection = 0
        self._next_beat = now + self._pause(self.timing.probe_pause)
        self._plan()

    def _pause(self, longest: float) -> float:
        return longest * (0.5 + 0.5 * self._jitter())
