"""When the spool may send, and how much: so little and so seldom that nobody notices.

Pure: it reads no clock. What is spooled has waited already and can wait on; what the robot asks the
fleet for now cannot. So the spool stands back while the link is down, while its round trips have
grown, and, for some seconds, while requests are outstanding on it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from edge_robot.errors import UserError
from edge_robot.fleet.spool.records import CHUNK_BYTES
from edge_robot.settings import Settings, setting

BATCH_TIME = 0.25
"""What a batch takes at the permitted rate, s: the longest that the link is busy at a stretch."""
MAX_BATCH = 8 * CHUNK_BYTES

_LEAST_RATE = 1_000.0  # bytes/s, over a link however slow: one measured as dead is down, or unknown
_STALE = 2.0  # s; the bridge tells of the link five times a second
_FLOOR_WINDOW = 60.0  # s
_SPARE = 0.005  # s that a round trip may grow without that meaning a queue


@dataclass(frozen=True)
class PaceSettings(Settings):
    """How the spool stands back."""

    rate: float = setting(100_000.0, "most that is sent, bytes/s", ge=1.0, live=True)
    share: float = setting(
        0.2,
        "most that is sent, share of the link's measured bandwidth",
        ge=0.001,
        le=1.0,
        live=True,
    )
    rise: float = setting(
        1.5,
        "growth of the link's round trip at which sending pauses, ratio",
        ge=1.001,
        le=1000.0,
        live=True,
    )
    patience: float = setting(
        5.0, "longest pause for requests outstanding on the link, s", ge=0.0, le=3600.0, live=True
    )
    retry_min: float = setting(
        0.5,
        "pause after the first failed attempt, s; then ever longer",
        ge=0.001,
        le=3600.0,
        live=True,
    )
    retry_max: float = setting(
        30.0, "longest pause between two attempts, s", ge=0.001, le=86400.0, live=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retry_min > self.retry_max:
            raise UserError(f"retry_min is {self.retry_min:g}; give a time up to retry_max")


@dataclass(frozen=True)
class LinkFigures:
    """The link to the fleet as the bridge tells it.

    Attributes:
        up: Whether it stands.
        round_trip: Typical time of a heartbeat, s; NaN where not known.
        bandwidth: Measured, bytes/s; NaN where not known.
        outstanding: Requests sent less those settled; what it never falls below is taken for
            requests given up.
    """

    up: bool
    round_trip: float
    bandwidth: float
    outstanding: int


class Wait(Enum):
    """What is waited for."""

    NOTHING = "sending"
    RETRY = "waiting after a failed attempt"
    LINK = "the link is down"
    ROUND_TRIP = "the link's round trip has risen"
    REQUESTS = "requests are outstanding on the link"
    RATE = "within the rate"


class _Floor:
    """The least value of late: of the present window and the one before."""

    def __init__(self) -> None:
        self._least = [math.inf, math.inf]
        self._end = -math.inf

    def add(self, value: float, now: float) -> None:
        if now >= self._end:
            self._least = [self._least[1], math.inf]
            self._end = now + _FLOOR_WINDOW
        self._least[1] = min(self._least[1], value)

    @property
    def value(self) -> float:
        return min(self._least)


class Pace:
    """Says when to send and how much. Times are s on one steady clock.

    Where nobody tells of the link, nobody else uses it, and the rate alone holds.

    Args:
        settings: How to stand back.
        jitter: Draws from [0, 1).

    Attributes:
        settings: As given; may be replaced.
    """

    def __init__(self, settings: PaceSettings, jitter: Callable[[], float] = random.random) -> None:
        self.settings = settings
        self._jitter = jitter
        self._link: LinkFigures | None = None
        self._heard = -math.inf
        self._least_round_trip = _Floor()
        self._least_outstanding = _Floor()
        self._next = -math.inf  # when the rate permits the next batch
        self._last_sent = -math.inf
        self._busy_since: float | None = None
        self._failures = 0
        self._retry = -math.inf

    def heard(self, link: LinkFigures, now: float) -> None:
        """Take in news of the link."""
        self._link, self._heard = link, now
        if math.isfinite(link.round_trip):
            self._least_round_trip.add(link.round_trip, now)
        self._least_outstanding.add(link.outstanding, now)
        if link.outstanding <= self._least_outstanding.value:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now

    def wait(self, now: float) -> tuple[float, Wait]:
        """Return how long to wait before asking again, and what for; 0: send now."""
        if now < self._retry:
            return self._retry - now, Wait.RETRY
        if now < self._next:
            return self._next - now, Wait.RATE
        link = self._known(now)
        if link is not None:
            if not link.up:
                return BATCH_TIME, Wait.LINK
            least = self._least_round_trip.value
            if link.round_trip > self.settings.rise * least + _SPARE:
                return BATCH_TIME, Wait.ROUND_TRIP
            if self._busy_since is not None:
                # Never for ever: a bridge that always asks must not fill the disk.
                left = max(self._busy_since, self._last_sent) + self.settings.patience - now
                if left > 0.0:
                    return min(left, BATCH_TIME), Wait.REQUESTS
        return 0.0, Wait.NOTHING

    def rate(self, now: float) -> float:
        """Return what may be sent now, bytes/s."""
        link = self._known(now)
        if link is None or not math.isfinite(link.bandwidth):
            return self.settings.rate
        share = max(self.settings.share * link.bandwidth, _LEAST_RATE)
        return min(self.settings.rate, share)

    def batch_bytes(self, now: float) -> int:
        """Return the size the next batch should have, bytes."""
        return int(min(self.rate(now) * BATCH_TIME, MAX_BATCH))

    def sent(self, size: int, now: float) -> None:
        """Report a batch on its way, bytes: the rate is kept by waiting after it."""
        self._next = now + size / self.rate(now)
        self._last_sent = now

    def succeeded(self) -> None:
        """Report that the archive took something."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """Report an attempt in vain: the next one waits, each time twice as long."""
        pause = min(self.settings.retry_min * 2.0**self._failures, self.settings.retry_max)
        self._failures = min(self._failures + 1, 16)
        # From its upper half, so that a fleet that lost its archive together does not come in step.
        self._retry = now + pause * (0.5 + 0.5 * self._jitter())

    def _known(self, now: float) -> LinkFigures | None:
        return self._link if now - self._heard <= _STALE else None
