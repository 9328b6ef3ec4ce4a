"""Offers work to the fleet backend when the answer will be useful, and never waits for it.

Every piece of work ends in exactly one outcome: an `Answer` (from the backend or, where the task
has a local fallback, from on board) or a typed `NoAnswer`. A failure is never an empty result.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

import grpc

from edge_robot.fleet import protocol
from edge_robot.fleet.breaker import BreakerState, CircuitBreaker
from edge_robot.fleet.client import FleetClient, LinkLostError, RequestError
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.priority import yield_to_others

In = TypeVar("In")
Out = TypeVar("Out")

ONBOARD = "onboard"


class InvalidAnswerError(Exception):
    """The backend's answer does not hold what the protocol promises; the message says what."""


class Reason(Enum):
    """Why a piece of work has no answer from the backend."""

    LINK_DOWN = "link down"
    BREAKER_OPEN = "breaker open"
    RATE = "rate limit"
    BUSY = "others in flight"
    TOO_LATE = "answer predicted to come too late"
    TIMEOUT = "time-out"
    REFUSED = "refused by the backend"
    ERROR = "error of the backend"
    INVALID = "invalid answer"


@dataclass(frozen=True)
class Task(Generic[In, Out]):
    """What is offloaded.

    Attributes:
        encode: Makes a `ModelInferRequest` of the input; the engine adds id and timeout.
        decode: Makes the value of a `ModelInferResponse`; raises `InvalidAnswerError`.
        deadline: Age of the input by which the answer is wanted, s.
        expiry: Age of the input after which the answer is of no use at all, s.
        local: Computes the value on board when the backend does not; None where the onboard
            result exists anyway.
    """

    encode: Callable[[In], Any]
    decode: Callable[[Any], Out]
    deadline: float
    expiry: float
    local: Callable[[In], Out] | None = None


@dataclass(frozen=True)
class Answer(Generic[Out]):
    """A result, with where it comes from.

    Attributes:
        value: The result.
        stamp: Stamp of the input, as offered.
        age: From capture to answer, s.
        late: The answer came after its deadline.
        computed_by: Endpoint of the backend, or `ONBOARD`.
        model: Name and version of the model; empty for onboard.
        model_sha256: Hash of the model file; empty where the backend does not tell.
        reason: Why it was computed where it was.
    """

    value: Out
    stamp: Any
    age: float
    late: bool
    computed_by: str
    model: str
    model_sha256: str
    reason: str


@dataclass(frozen=True)
class NoAnswer:
    """Work without a result.

    Attributes:
        stamp: Stamp of the input, as offered.
        age: From capture until it was given up, s.
        reason: Why.
        detail: The same, for people.
    """

    stamp: Any
    age: float
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Limits:
    """How much is offered.

    Attributes:
        rate: Pieces of work a second, on average.
        in_flight: Pieces of work at one time.
        explore_after: Time without an offer after which one is made against the prediction, s:
            only an answer can correct a prediction that is too dark.
    """

    rate: float = 4.0
    in_flight: int = 1
    explore_after: float = 1.0


@dataclass(frozen=True)
class Status:
    """The link and the work done over it; times in s, bandwidth in bytes/s."""

    up: bool
    breaker: BreakerState
    endpoint: str
    cause: str
    rtt_p50: float
    rtt_p95: float
    loss: float
    bandwidth: float
    offered: int
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


class OffloadEngine(Generic[In, Out]):
    """Decides about each piece of work at once, and sees it through in the client's thread.

    Args:
        endpoint: `host:port` of the backend.
        task: What is offloaded.
        limits: How much of it.
        timing: Times of the heartbeats.
        on_outcome: Called once per piece of work, in the client's thread or (local fallback)
            in the worker's.
        on_status: Called when link or breaker change, at once, and `report_rate` times a second,
            in the client's thread.
        report_rate: Reports a second.
    """

    def __init__(
        self,
        endpoint: str,
        task: Task[In, Out],
        limits: Limits,
        timing: LinkTiming,
        on_outcome: Callable[[Answer[Out] | NoAnswer], None],
        on_status: Callable[[Status], None],
        report_rate: float = 5.0,
    ) -> None:
        self._task = task
        self._limits = limits
        self._on_outcome = on_outcome
        self._on_status = on_status
        self._report_period = 1.0 / report_rate
        self._client = FleetClient(endpoint, timing, self._link_changed)
        self._breaker = CircuitBreaker()
        self._worker = ThreadPoolExecutor(
            1, thread_name_prefix="fleet-encode", initializer=yield_to_others
        )
        self._in_flight = 0
        self._next_offer = 0.0
        self._last_offer = -math.inf
        self._number = 0
        self._encoding, self._service = Estimate(), Estimate()
        self._seconds_per_byte, self._size = Estimate(), Estimate()
        self._offered = self._answered = self._late = self._failed = 0

    def start(self) -> None:
        """Begin to connect."""
        self._client.start()
        self._client.call_soon(self._report)

    def close(self) -> None:
        """Give up everything outstanding, each with its outcome, and end the threads."""
        self._client.close()
        self._worker.shutdown()

    def raise_if_failed(self) -> None:
        """Raise what ended the engine's thread, if it ended by an error."""
        self._client.raise_if_failed()

    def offer(self, work: In, stamp: Any, age: float) -> None:
        """Offer one piece of work, from any thread; returns at once.

        Args:
            work: The input of the task.
            stamp: Handed back with the outcome.
            age: Time since its capture, s.
        """
        self._client.call_soon(self._decide, work, stamp, time.monotonic() - age)

    def predicted_age(self, age: float) -> float:
        """Return the age by which work of this age would very likely be answered, s.

        The parts vary independently: their deviations add as squares, not each at its worst.
        """
        link, size = self._client.link, self._size.mean
        typical = link.round_trip(0.5)
        mean = typical + self._encoding.mean + self._service.mean
        mean += size * self._seconds_per_byte.mean
        spread = math.hypot(
            link.round_trip(0.95) - typical,
            2.0 * self._encoding.deviation,
            2.0 * self._service.deviation,
            2.0 * size * self._seconds_per_byte.deviation,
        )
        return age + mean + spread

    def _decide(self, work: In, stamp: Any, captured: float) -> None:
        now = time.monotonic()
        refusal = self._refusal(now, now - captured)
        if refusal is not None:
            self._conclude(work, NoAnswer(stamp, now - captured, *refusal))
            return
        self._in_flight += 1
        self._offered += 1
        self._last_offer = now
        # Half a period may be made up for, so that the average keeps to the rate though frames
        # come when they come.
        period = 1.0 / self._limits.rate
        self._next_offer = max(self._next_offer, now - 0.5 * period) + period
        self._breaker.started()
        self._client.spawn(self._see_through(work, stamp, captured))

    def _refusal(self, now: float, age: float) -> tuple[Reason, str] | None:
        if not self._client.link.up:
            return Reason.LINK_DOWN, self._client.link.cause
        state = self._breaker.state
        allowed = self._breaker.allows(now)
        self._report_if_changed(state)
        if not allowed:
            return Reason.BREAKER_OPEN, self._breaker.cause
        if self._in_flight >= self._limits.in_flight:
            return Reason.BUSY, f"{self._in_flight} in flight"
        if now < self._next_offer:
            return Reason.RATE, f"{self._limits.rate:g} a second"
        predicted = self.predicted_age(age)
        exploring = now - self._last_offer >= self._limits.explore_after
        if predicted > self._task.deadline and not exploring:
            return Reason.TOO_LATE, f"predicted {predicted * 1e3:.0f} ms after capture"
        return None

    async def _see_through(self, work: In, stamp: Any, captured: float) -> None:
        try:
            outcome = await self._attempt(work, stamp, captured)
        finally:
            self._in_flight -= 1
        state, now = self._breaker.state, time.monotonic()
        if isinstance(outcome, Answer):
            self._answered += not outcome.late
            self._late += outcome.late
            self._breaker.succeeded()
        else:
            self._failed += 1
            if outcome.reason is not Reason.LINK_DOWN:
                self._breaker.failed(now, outcome.detail)
        self._report_if_changed(state)
        self._conclude(work, outcome)

    async def _attempt(self, work: In, stamp: Any, captured: float) -> Answer[Out] | NoAnswer:
        def no_answer(reason: Reason, detail: object) -> NoAnswer:
            return NoAnswer(stamp, time.monotonic() - captured, reason, str(detail))

        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        request = await loop.run_in_executor(self._worker, self._task.encode, work)
        sent = time.monotonic()
        self._encoding.add(sent - begun)
        left = captured + self._task.expiry - sent
        if left <= 0.0:
            return no_answer(Reason.TIMEOUT, "expired while it was being encoded")
        self._number += 1
        request.id = str(self._number)
        request.parameters[protocol.TIMEOUT].int64_param = max(1, int(left * 1e6))
        try:
            response = await self._client.infer(request, left)
            if response.id != request.id:
                raise InvalidAnswerError(f"answer to request {response.id!r}, not {request.id!r}")
            value = self._task.decode(response)
        except LinkLostError as error:
            return no_answer(Reason.LINK_DOWN, error)
        except InvalidAnswerError as error:
            return no_answer(Reason.INVALID, error)
        except RequestError as error:
            return no_answer(_REASONS.get(error.code, Reason.ERROR), error)
        answered = time.monotonic()
        self._measure(request.ByteSize(), answered - sent, response)
        age = answered - captured
        return Answer(
            value,
            stamp,
            age,
            late=age > self._task.deadline,
            computed_by=self._client.endpoint,
            model=f"{response.model_name}@{response.model_version}",
            model_sha256=response.parameters[protocol.MODEL_SHA256].string_param,
            reason="answered by the backend",
        )

    def _measure(self, size: int, elapsed: float, response: Any) -> None:
        service = response.parameters[protocol.SERVICE_TIME].int64_param * 1e-6
        transfer = elapsed - service - self._client.link.round_trip(0.0)
        self._service.add(service)
        self._size.add(size)
        if transfer > 0.0:  # else too fast to be told from the round trip
            self._seconds_per_byte.add(transfer / size)

    def _conclude(self, work: In, outcome: Answer[Out] | NoAnswer) -> None:
        if isinstance(outcome, NoAnswer) and self._task.local is not None:
            self._worker.submit(self._compute_locally, work, outcome, self._task.local)
        else:
            self._on_outcome(outcome)

    def _compute_locally(self, work: In, missed: NoAnswer, local: Callable[[In], Out]) -> None:
        begun = time.monotonic()
        value = local(work)
        age = missed.age + time.monotonic() - begun
        reason = f"{missed.reason.value}: {missed.detail}"
        late = age > self._task.deadline
        self._on_outcome(Answer(value, missed.stamp, age, late, ONBOARD, "", "", reason))

    def _link_changed(self) -> None:
        if self._client.link.up:
            self._breaker.link_found(time.monotonic())
        else:
            self._breaker.link_lost()
        self._on_status(self.status())

    def _report_if_changed(self, before: BreakerState) -> None:
        if self._breaker.state is not before:
            self._on_status(self.status())

    def _report(self) -> None:
        self._on_status(self.status())
        asyncio.get_running_loop().call_later(self._report_period, self._report)

    def status(self) -> Status:
        """Return the state of the link and of the work; only in the client's thread."""
        link = self._client.link
        return Status(
            up=link.up,
            breaker=self._breaker.state,
            endpoint=self._client.endpoint,
            cause=self._breaker.cause or link.cause,
            rtt_p50=link.round_trip(0.5),
            rtt_p95=link.round_trip(0.95),
            loss=link.loss,
            bandwidth=1.0 / (self._seconds_per_byte.mean or math.nan),
            offered=self._offered,
            answered=self._answered,
            late=self._late,
            failed=self._failed,
        )


_REASONS = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.TIMEOUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.REFUSED,
    grpc.StatusCode.INVALID_ARGUMENT: Reason.REFUSED,
    grpc.StatusCode.NOT_FOUND: Reason.REFUSED,
}
