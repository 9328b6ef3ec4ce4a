"""One endpoint as the engine sees it: its connection, its breaker, and what it did so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_robot.fleet import protocol
from edge_robot.fleet.adaptation import Encoding, encoding_for
from edge_robot.fleet.breaker import BreakerState, CircuitBreaker
from edge_robot.fleet.client import FleetClient
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.estimation import LinkEstimate, RoundTrips
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.privacy_policy import Tier
from edge_robot.fleet.work import InvalidAnswerError, OldModelError, Reason, Task


@dataclass(frozen=True)
class LinkStatus:
    """The link to one endpoint and the work done over it; times in s, bandwidth in bytes/s.

    Attributes:
        name: Of the endpoint.
        endpoint: Its address.
        tier: How far away it is.
        up: Whether it can be reached.
        breaker: Whether work is offered to it; of several kinds, the one that is most open.
        cause: Why link or breaker are as they are.
        rtt_p50: Half of the last heartbeats came back within this; NaN before the first.
        rtt_p95: Most of them did.
        loss: Share of the last heartbeats that were not answered, 0..1.
        bandwidth: As measured on requests; NaN before the first.
        outstanding: Requests not yet answered.
        sent: Requests sent, second ones included.
        answered: Those with a valid answer while it was waited for.
        late: Those with one after that: after the deadline, or after what was computed on board.
        failed: Errors, refusals, invalid answers, time-outs.
    """

    name: str
    endpoint: str
    tier: Tier
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


class _Kind:
    """What is known of one kind of work at one endpoint.

    A breaker for each: a backend that fails at plans may still be good at detections.

    Attributes:
        estimate: How long its requests take.
        breaker: Whether it is offered.
        trial: Number of the request that decides whether a half-open breaker closes.
        encoding: In use for it; None while nothing is sent.
    """

    def __init__(self, round_trips: RoundTrips) -> None:
        self.estimate = LinkEstimate(round_trips)
        self.breaker = CircuitBreaker()
        self.trial = 0
        self.encoding: Encoding | None = None


class Replica:
    """One endpoint; everything in the engine's thread.

    Args:
        endpoint: Which.
        timing: Times of the heartbeats.
        on_change: Called when link or a breaker change, at once.
        on_lost: Called when the link has gone down, with this.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        timing: LinkTiming,
        on_change: Callable[[], None],
        on_lost: Callable[[Replica], None],
    ) -> None:
        self.endpoint = endpoint
        self.client = FleetClient(endpoint, timing, self._link_changed)
        self._on_change = on_change
        self._on_lost = on_lost
        self._kinds: dict[str, _Kind] = {}
        self._begun: dict[int, float] = {}  # outstanding: number -> when sent, oldest first
        self._last_sent = -math.inf
        self._latest: LinkEstimate | None = None
        self._newest: dict[str, int] = {}
        self._sent = self._answered = self._late = self._failed = 0

    @property
    def outstanding(self) -> int:
        """Requests not answered yet."""
        return len(self._begun)

    def stalled(self, limit: float, now: float) -> bool:
        """Return whether the oldest request has waited longer than `limit` s."""
        return now - next(iter(self._begun.values()), now) > limit

    def idle(self, now: float) -> float:
        """Return the time since the last request was sent, s."""
        return now - self._last_sent

    def obstacle(self, task: Task[Any, Any], now: float) -> tuple[Reason, str] | None:
        """Return why nothing can be sent now; None if it can."""
        link = self.client.link
        if not link.up:
            return Reason.LINK_DOWN, link.cause
        breaker = self._kind(task).breaker
        before = breaker.state
        allowed = breaker.allows(now)
        self._tell_of_change(breaker, before)
        if not allowed:
            return Reason.BREAKER_OPEN, breaker.cause or "one request is its trial"
        return None

    def encoding(
        self, task: Task[Any, Any], size: int, left: float, least: float, now: float
    ) -> Encoding | None:
        """Return the encoding that promises most over this link; None where none pays.

        Args:
            task: What is asked, adaptive.
            size: Of a request in the best encoding, bytes.
            left: Time from sending in which the answer is wanted, s.
            least: Lowest chance of an answer in time, 0..1.
            now: s.
        """
        kind = self._kind(task)
        kind.encoding = encoding_for(
            kind.estimate, left, now, size, kind.encoding, min_chance=least
        )
        return kind.encoding

    def estimate(self, task: Task[Any, Any]) -> LinkEstimate:
        """Return what is known about how long requests of a task take."""
        return self._kind(task).estimate

    def began(self, number: int, task: Task[Any, Any], now: float) -> None:
        """Report that a request is sent."""
        self._sent += 1
        self._begun[number] = self._last_sent = now
        kind = self._kind(task)
        if kind.breaker.state is BreakerState.HALF_OPEN:
            kind.trial = number
        kind.breaker.started()

    def ended(self, number: int) -> None:
        """Report that a request is no longer outstanding, whatever became of it."""
        del self._begun[number]

    def abandoned(self, number: int, task: Task[Any, Any], size: int, overdue: float) -> None:
        """Report that a request was cancelled.

        Args:
            number: Of the request.
            task: What was asked.
            size: Of the request, bytes.
            overdue: Time it was waited for in vain, s; 0 if it was cancelled before its time.
        """
        kind = self._kind(task)
        if overdue:
            kind.estimate.add_unanswered(size, overdue, time.monotonic())
        if number == kind.trial:
            kind.breaker.abandoned()

    def succeeded(
        self, task: Task[Any, Any], size: int, elapsed: float, response: Any, late: bool
    ) -> None:
        """Report a valid answer, and learn from it.

        Args:
            task: What was asked.
            size: Of the request, bytes.
            elapsed: From sending to answer, s.
            response: The answer.
            late: Nobody waited for it any more.
        """
        self._late += late
        self._answered += not late
        service = response.parameters[protocol.SERVICE_TIME].int64_param * 1e-6
        kind = self._kind(task)
        kind.estimate.add_answer(size, elapsed, service, time.monotonic())
        self._latest = kind.estimate
        before = kind.breaker.state
        kind.breaker.succeeded()
        self._tell_of_change(kind.breaker, before)

    def failed(
        self, task: Task[Any, Any], size: int, elapsed: float, reason: Reason, detail: str
    ) -> None:
        """Report that a request failed."""
        now, kind = time.monotonic(), self._kind(task)
        self._failed += 1
        if reason in (Reason.TIMEOUT, Reason.LINK_DOWN):
            kind.estimate.add_unanswered(size, elapsed, now)
        if reason is not Reason.LINK_DOWN:  # the link's own state says so
            before = kind.breaker.state
            kind.breaker.failed(now, detail)
            self._tell_of_change(kind.breaker, before)

    def check_model(self, task: Task[Any, Any], request: Any, response: Any) -> None:
        """Remember which model answers.

        Raises:
            OldModelError: it is none that the task accepts, or older than the one before.
            InvalidAnswerError: it is not the one that was asked, or the task asks for a lowest
                version and the answer has none.
        """
        if response.model_name != request.model_name:
            raise InvalidAnswerError(
                f"answer of model {response.model_name!r}, not {request.model_name!r}"
            )
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
        link, worst = self.client.link, self._worst_breaker()
        untried = BreakerState.HALF_OPEN if link.up else BreakerState.OPEN
        return LinkStatus(
            name=self.endpoint.name,
            endpoint=self.endpoint.address,
            tier=self.endpoint.tier,
            up=link.up,
            breaker=worst.state if worst else untried,
            cause=(worst.cause if worst else "") or link.cause,
            rtt_p50=link.round_trips.quantile(0.5),
            rtt_p95=link.round_trips.quantile(0.95),
            loss=link.loss,
            bandwidth=self._latest.bandwidth if self._latest else math.nan,
            outstanding=len(self._begun),
            sent=self._sent,
            answered=self._answered,
            late=self._late,
            failed=self._failed,
        )

    def _kind(self, task: Task[Any, Any]) -> _Kind:
        kind = self._kinds.get(task.name)
        if kind is None:
            kind = self._kinds[task.name] = _Kind(self.client.link.round_trips)
            if self.client.link.up:
                kind.breaker.link_found(time.monotonic())
        return kind

    def _worst_breaker(self) -> CircuitBreaker | None:
        breakers = [kind.breaker for kind in self._kinds.values()]
        return max(breakers, key=lambda breaker: _OPENNESS[breaker.state], default=None)

    def _link_changed(self) -> None:
        up = self.client.link.up
        for kind in self._kinds.values():
            if up:
                kind.breaker.link_found(time.monotonic())
            else:
                kind.breaker.link_lost()
        self._on_change()
        if not up:
            self._on_lost(self)

    def _tell_of_change(self, breaker: CircuitBreaker, before: BreakerState) -> None:
        if breaker.state is not before:
            self._on_change()


_OPENNESS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
