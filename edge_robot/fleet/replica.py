"""One endpoint as the engine sees it: its connection, its breaker, and what it did so far."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_robot.fleet import protocol
from edge_robot.fleet.breaker import BreakerState, CircuitBreaker
from edge_robot.fleet.client import FleetClient
from edge_robot.fleet.endpoints import Endpoint, Level, Tier
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.placement import Candidate
from edge_robot.fleet.work import InvalidAnswerError, OldModelError, Reason, Task


@dataclass(frozen=True)
class LinkStatus:
    """The link to one endpoint and the work done over it; times in s, bandwidth in bytes/s.

    Attributes:
        name: Of the endpoint.
        endpoint: Its address.
        tier: How far away it is.
        may_see: The most revealing data that may be sent there.
        up: Whether it can be reached.
        breaker: Whether work is offered to it.
        cause: Why link or breaker are as they are.
        rtt_p50: Half of the last heartbeats came back within this; NaN before the first.
        rtt_p95: Most of them did.
        loss: Share of the last heartbeats that were not answered, 0..1.
        bandwidth: As measured on requests; NaN before the first.
        outstanding: Requests not yet answered.
        sent: Requests sent, second ones included.
        answered: Those with a valid answer before the deadline.
        late: Those with one after it.
        failed: Errors, refusals, invalid answers, time-outs.
    """

    name: str
    endpoint: str
    tier: Tier
    may_see: Level
    up: bool
    breaker: BreakerState
    cause: str
    rtt_p50: float
    rtt_p95: float
    loss: float
    bandwidth: float
    outstanding: int
    sent: int
    answered: int
    late: int
    failed: int


class Estimate:
    """Running mean of a quantity and of its deviation (RFC 6298's gains).

    Attributes:
        mean: 0 before the first measurement: it allows one.
        deviation: Mean absolute deviation.
    """

    def __init__(self) -> None:
        self.mean = 0.0
        self.deviation = 0.0
        self._empty = True

    def add(self, value: float) -> None:
        """Take a measurement into account."""
        if self._empty:
            self.mean, self.deviation, self._empty = value, value / 2.0, False
            return
        self.deviation += 0.25 * (abs(value - self.mean) - self.deviation)
        self.mean += 0.125 * (value - self.mean)


class Replica:
    """One endpoint; everything in the engine's thread.

    Args:
        endpoint: Which.
        timing: Times of the heartbeats.
        on_change: Called when link or breaker change, at once.
    """

    def __init__(
        self, endpoint: Endpoint, timing: LinkTiming, on_change: Callable[[], None]
    ) -> None:
        self.endpoint = endpoint
        self.client = FleetClient(endpoint, timing, self._link_changed)
        self._breaker = CircuitBreaker()
        self._on_change = on_change
        self._begun: dict[int, float] = {}  # outstanding: number -> when sent, oldest first
        self._last_sent = -math.inf
        self._service: dict[str, Estimate] = defaultdict(Estimate)
        self._seconds_per_byte = Estimate()
        self._newest: dict[str, int] = {}
        self._sent = self._answered = self._late = self._failed = 0

    def obstacle(self, now: float) -> tuple[Reason, str] | None:
        """Return why nothing can be sent now; None if it can."""
        if not self.client.link.up:
            return Reason.LINK_DOWN, self.client.link.cause
        state = self._breaker.state
        allowed = self._breaker.allows(now)
        self._tell_if_changed(state)
        if not allowed:
            return Reason.BREAKER_OPEN, self._breaker.cause or "one request is its trial"
        return None

    def candidate(
        self,
        task: Task[Any, Any],
        size: float,
        left: float,
        slow: float,
        explore_after: float,
        now: float,
    ) -> Candidate:
        """Return how it stands for a request.

        Args:
            task: What is asked.
            size: Of the request, bytes.
            left: Time from sending in which the answer is wanted, s.
            slow: Time that only the slowest few answers take, s.
            explore_after: Time without a request after which one is made against the
                prediction, s.
            now: s.
        """
        oldest = next(iter(self._begun.values()), now)
        return Candidate(
            self.endpoint,
            self.obstacle(now),
            self._chance(task, size, left),
            self.expected(task, size),
            len(self._begun),
            stalled=now - oldest > slow,
            explore=now - self._last_sent >= explore_after,
        )

    def expected(self, task: Task[Any, Any], size: float) -> float:
        """Return the time a request typically takes to be answered, s."""
        rtt = self.client.link.round_trip(0.5)
        return (
            (0.0 if math.isnan(rtt) else rtt)
            + self._service[task.name].mean
            + size * self._seconds_per_byte.mean
        )

    def _chance(self, task: Task[Any, Any], size: float, left: float) -> float:
        link, service = self.client.link, self._service[task.name]
        if not link.up:
            return 0.0
        # The parts vary independently: their deviations add as squares, not each at its worst.
        spread = math.hypot(
            (link.round_trip(0.95) - link.round_trip(0.5)) / 1.64,
            1.25 * service.deviation,
            1.25 * size * self._seconds_per_byte.deviation,
        )
        ahead = left - self.expected(task, size)
        return 0.5 * (1.0 + math.erf(ahead / (math.sqrt(2.0) * max(spread, 1e-6))))

    def began(self, number: int, now: float) -> None:
        """Report that a request is sent."""
        self._sent += 1
        self._begun[number] = self._last_sent = now
        self._breaker.started()

    def ended(self, number: int) -> None:
        """Report that a request is no longer outstanding, whatever became of it."""
        del self._begun[number]

    def abandoned(self) -> None:
        """Report that a request was cancelled: it tells nothing of the backend."""
        self._breaker.abandoned()

    def succeeded(
        self, task: Task[Any, Any], size: int, elapsed: float, response: Any, late: bool
    ) -> None:
        """Report a valid answer, and learn from it.

        Args:
            task: What was asked.
            size: Of the request, bytes.
            elapsed: From sending to answer, s.
            response: The answer.
            late: It came after its deadline.
        """
        self._late += late
        self._answered += not late
        claimed = response.parameters[protocol.SERVICE_TIME].int64_param * 1e-6
        service = min(max(claimed, 0.0), elapsed)  # a backend may say anything
        transfer = elapsed - service - self.client.link.round_trip(0.0)
        self._service[task.name].add(service)
        if transfer > 0.0:  # else too fast to be told from the round trip
            self._seconds_per_byte.add(transfer / size)
        state = self._breaker.state
        self._breaker.succeeded()
        self._tell_if_changed(state)

    def failed(self, reason: Reason, detail: str) -> None:
        """Report that a request failed."""
        self._failed += 1
        if reason is not Reason.LINK_DOWN:  # the link's own state says so
            state = self._breaker.state
            self._breaker.failed(time.monotonic(), detail)
            self._tell_if_changed(state)

    def check_model(self, task: Task[Any, Any], response: Any) -> None:
        """Remember which model answers.

        Raises:
            OldModelError: it is none that the task accepts, or older than the one before.
            InvalidAnswerError: the task asks for a lowest version, and the answer has none.
        """
        sha256 = response.parameters[protocol.MODEL_SHA256].string_param
        if task.models and sha256 not in task.models:
            raise OldModelError(f"model file {sha256[:12] or 'without a hash'} is not accepted")
        if not response.model_version.isdigit():
            if task.min_version:
                raise InvalidAnswerError(f"model version {response.model_version!r} is no number")
            return
        version, newest = int(response.model_version), self._newest.get(response.model_name, 0)
        if version < (task.min_version or newest):
            raise OldModelError(
                f"{response.model_name} version {version} is older than "
                f"{task.min_version or newest}"
            )
        self._newest[response.model_name] = max(version, newest)

    def status(self) -> LinkStatus:
        """Return the state of the link and of the work."""
        link = self.client.link
        return LinkStatus(
            name=self.endpoint.name,
            endpoint=self.endpoint.address,
            tier=self.endpoint.tier,
            may_see=self.endpoint.may_see,
            up=link.up,
            breaker=self._breaker.state,
            cause=self._breaker.cause or link.cause,
            rtt_p50=link.round_trip(0.5),
            rtt_p95=link.round_trip(0.95),
            loss=link.loss,
            bandwidth=1.0 / (self._seconds_per_byte.mean or math.nan),
            outstanding=len(self._begun),
            sent=self._sent,
            answered=self._answered,
            late=self._late,
            failed=self._failed,
        )

    def _link_changed(self) -> None:
        if self.client.link.up:
            self._breaker.link_found(time.monotonic())
        else:
            self._breaker.link_lost()
        self._on_change()

    def _tell_if_changed(self, before: BreakerState) -> None:
        if self._breaker.state is not before:
            self._on_change()
