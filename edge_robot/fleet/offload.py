"""Offers work to the fleet when the answer will be useful, and never waits for it.

Every piece of work ends in exactly one outcome: an `Answer` (from the fleet or, where the task has
a local fallback, from on board) or a typed `NoAnswer`. A failure is never an empty result.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic

import grpc

from edge_robot.fleet import protocol
from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.admission import Admission, Budgets, Price
from edge_robot.fleet.client import LinkLostError, RequestError
from edge_robot.fleet.endpoints import Endpoint, Level
from edge_robot.fleet.hedging import HedgePolicy
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.loop import LoopThread
from edge_robot.fleet.onboard import Onboard
from edge_robot.fleet.placement import place
from edge_robot.fleet.priority import yield_to_others
from edge_robot.fleet.replica import Estimate, LinkStatus, Replica
from edge_robot.fleet.work import (
    ONBOARD,
    Answer,
    In,
    InvalidAnswerError,
    NoAnswer,
    OldModelError,
    Out,
    Reason,
    Task,
)


@dataclass(frozen=True)
class Settings:
    """How work is offered.

    Attributes:
        timing: Times of the heartbeats.
        budgets: What all work together may spend.
        min_chance: Chance of an answer in time from which work is sent, 0..1.
        hedge_cap: Largest share of requests that are sent a second time, 0..1.
        explore_after: Time without a request to an endpoint after which one is sent against the
            prediction, s.
        report_rate: Reports a second.
    """

    timing: LinkTiming = field(default_factory=LinkTiming)
    budgets: Budgets = field(default_factory=Budgets)
    min_chance: float = 0.9
    hedge_cap: float = 0.05
    explore_after: float = 1.0
    report_rate: float = 5.0


@dataclass(frozen=True)
class Status:
    """The links and the work done over them.

    Attributes:
        links: One per endpoint, in the order they were given.
        offered: Pieces of work.
        sent: Those sent to the fleet.
        hedged: Those sent a second time.
        answered: Those answered by the fleet in time.
        late: Those answered by the fleet after their deadline, or after an answer from on board.
        onboard: Those answered on board.
        missed: Those the fleet did not answer, by reason, whether sent or not.
    """

    links: tuple[LinkStatus, ...]
    offered: int
    sent: int
    hedged: int
    answered: int
    late: int
    onboard: int
    missed: Mapping[Reason, int]


class Offered(Generic[In, Out]):
    """A piece of work that was offered."""

    def __init__(
        self,
        task: Task[In, Out],
        work: In,
        stamp: Any,
        captured: float,
        level: Level,
        on_outcome: Callable[[Answer[Out] | NoAnswer], None],
        on_late: Callable[[Answer[Out]], None] | None,
        on_cancel: Callable[[Offered[Any, Any]], None],
    ) -> None:
        self.task = task
        self.work = work
        self.stamp = stamp
        self.captured = captured
        self.level = level
        self.on_outcome = on_outcome
        self.on_late = on_late
        self.on_cancel = on_cancel
        self.settled = False
        self.asking: asyncio.Task[None] | None = None
        self.alarm: asyncio.Handle | None = None
        self.onboard = False  # whether the computation on board has begun
        self.why = "no answer yet"  # why it has

    def cancel(self) -> None:
        """Give it up, from any thread: its outcome, if it has none yet, says so."""
        self.on_cancel(self)

    def no_answer(self, reason: Reason, detail: object) -> NoAnswer:
        """Return the outcome of being given up now."""
        return NoAnswer(self.stamp, time.monotonic() - self.captured, reason, str(detail))


class OffloadEngine:
    """Decides about each piece of work at once, and sees it through in a thread of its own.

    Args:
        endpoints: The backends; among equals, the first is preferred.
        settings: How work is offered.
        on_status: Called when a link or a breaker changes, at once, and `report_rate` times a
            second, in the engine's thread.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        settings: Settings,
        on_status: Callable[[Status], None],
    ) -> None:
        self._settings = settings
        self._on_status = on_status
        self._thread = LoopThread("fleet", self._give_everything_up)
        self._replicas = [Replica(endpoint, settings.timing, self._tell) for endpoint in endpoints]
        self._by_endpoint = {replica.endpoint: replica for replica in self._replicas}
        self._admission = Admission(settings.budgets)
        self._encoder = ThreadPoolExecutor(
            1, thread_name_prefix="fleet-encode", initializer=yield_to_others
        )
        self._onboard = Onboard()
        self._hedges: dict[str, HedgePolicy] = defaultdict(lambda: HedgePolicy(settings.hedge_cap))
        self._encoding_time: dict[str, Estimate] = defaultdict(Estimate)
        self._size: dict[str, Estimate] = defaultdict(Estimate)
        self._unsettled: dict[Offered[Any, Any], None] = {}
        self._asking: dict[str, dict[Offered[Any, Any], None]] = defaultdict(dict)
        self._number = 0
        self._offered = self._sent = self._hedged = self._answered = self._late = 0
        self._computed_onboard = 0
        self._missed: Counter[Reason] = Counter()

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()
        for replica in self._replicas:
            self._thread.call_soon(self._run, replica)
        self._thread.call_soon(self._report)

    def close(self) -> None:
        """Give up everything outstanding, each with its outcome, and end the threads."""
        try:
            self._thread.close()
        finally:
            self._onboard.close()
            self._encoder.shutdown()

    def raise_if_failed(self) -> None:
        """Raise what ended the engine's thread, if it ended by an error."""
        self._thread.raise_if_failed()

    def offer(
        self,
        task: Task[In, Out],
        work: In,
        stamp: Any,
        age: float,
        on_outcome: Callable[[Answer[Out] | NoAnswer], None],
        on_late: Callable[[Answer[Out]], None] | None = None,
        level: Level = Level.RAW_FRAMES,
    ) -> Offered[In, Out]:
        """Offer one piece of work, from any thread; returns at once.

        Args:
            task: What is to be done.
            work: The input of the task.
            stamp: Handed back with the outcome.
            age: Time since its capture, s.
            on_outcome: Called exactly once, in the engine's thread.
            on_late: Called at most once, in the engine's thread, with an answer of the fleet that
                comes after the one computed on board; without it the fleet is told to stop.
            level: How much the work reveals.
        """
        offered = Offered(
            task,
            work,
            stamp,
            time.monotonic() - age,
            level,
            on_outcome,
            on_late,
            lambda given_up: self._thread.call_soon(self._cancel, given_up),
        )
        self._thread.call_soon(self._decide, offered)
        return offered

    def status(self) -> Status:
        """Return the state of the links and of the work; only in the engine's thread."""
        return Status(
            links=tuple(replica.status() for replica in self._replicas),
            offered=self._offered,
            sent=self._sent,
            hedged=self._hedged,
            answered=self._answered,
            late=self._late,
            onboard=self._computed_onboard,
            missed=dict(self._missed),
        )

    def _run(self, replica: Replica) -> None:
        self._thread.spawn(replica.client.run())

    def _decide(self, offered: Offered[Any, Any]) -> None:
        self._offered += 1
        self._unsettled[offered] = None
        task, now = offered.task, time.monotonic()
        refusal = self._make_room(task, now)
        replica = None
        if refusal is None:
            replica, refusal = self._place(offered, self._replicas, task.deadline, now)
        if replica is None:
            self._miss(offered, offered.no_answer(*refusal))
            return
        self._asking[task.name][offered] = None
        offered.asking = self._thread.spawn(self._see_through(offered, replica, refusal[1]))
        if task.local is not None:
            begin = offered.captured + task.deadline - self._onboard.lead(task)
            if begin > now:
                offered.alarm = self._thread.call_at(begin, self._compute_onboard, offered)
            else:
                self._compute_onboard(offered)

    def _make_room(self, task: Task[Any, Any], now: float) -> tuple[Reason, str] | None:
        """Give up what has missed its deadline where newer work needs its place."""
        asking = self._asking[task.name]
        if len(asking) < task.in_flight:
            return None
        oldest = next(iter(asking))
        if now - oldest.captured <= task.deadline:
            return Reason.BUSY, f"{len(asking)} in flight"
        self._stop_asking(oldest, Reason.SUPERSEDED)
        if not oldest.settled and task.local is None:
            detail = "late, and newer work needs its place"
            self._settle(oldest, oldest.no_answer(Reason.SUPERSEDED, detail))
        return None

    def _place(
        self, offered: Offered[Any, Any], replicas: Sequence[Replica], deadline: float, now: float
    ) -> tuple[Replica | None, tuple[Reason, str]]:
        task = offered.task
        size = self._size[task.name].mean
        left = offered.captured + deadline - now - self._encoding_time[task.name].mean
        slow = self._hedges[task.name].delay()
        candidates = []
        for replica in replicas:
            candidate = replica.candidate(task, size, left, slow, self._settings.explore_after, now)
            lacking = self._admission.lacks(_price(replica.endpoint, size), now)
            if lacking and candidate.obstacle is None:
                candidate = replace(candidate, obstacle=(Reason.BUDGET, lacking))
            candidates.append(candidate)
        choice = place(candidates, offered.level, self._settings.min_chance)
        if choice.endpoint is None:
            assert choice.reason is not None
            return None, (choice.reason, choice.detail)
        return self._by_endpoint[choice.endpoint], (Reason.BUSY, choice.detail)

    async def _see_through(self, offered: Offered[Any, Any], replica: Replica, why: str) -> None:
        try:
            outcome = await self._ask(offered, replica, why)
        finally:
            offered.asking = None
            self._asking[offered.task.name].pop(offered, None)
        if isinstance(outcome, NoAnswer):
            self._miss(offered, outcome)
        elif not offered.settled:
            self._count(outcome.late)
            self._settle(offered, outcome)
        elif offered.on_late is not None:
            self._count(late=True)
            offered.on_late(replace(outcome, late=True))

    async def _ask(
        self, offered: Offered[Any, Any], replica: Replica, why: str
    ) -> Answer[Any] | NoAnswer:
        """Ask one endpoint, and another if the first is slow or fails."""
        request = await self._encode(offered)
        refusal = self._admission.spend(
            _price(replica.endpoint, request.ByteSize()), time.monotonic()
        )
        if refusal:
            return offered.no_answer(Reason.BUDGET, refusal)
        hedge = self._hedges[offered.task.name]
        hedge.sent()
        self._sent += 1
        begun = time.monotonic()
        first = self._thread.spawn(self._attempt(offered, replica, request, why))
        pending, asked_twice = {first}, False
        try:
            while True:
                patience = None if asked_twice else hedge.delay() - (time.monotonic() - begun)
                done, pending = await asyncio.wait(
                    pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in done:
                    outcome = attempt.result()
                    if isinstance(outcome, Answer):
                        hedge.answered(time.monotonic() - begun if attempt is first else math.inf)
                        return outcome
                if not asked_twice:
                    asked_twice = True
                    second = self._second(offered, replica, request, hedge)
                    if second is not None:
                        reason = f"{replica.endpoint.name} {'failed' if done else 'was slow'}"
                        pending.add(
                            self._thread.spawn(self._attempt(offered, second, request, reason))
                        )
                if not pending:
                    return outcome
        finally:
            for attempt in pending:
                attempt.cancel()

    def _second(
        self, offered: Offered[Any, Any], first: Replica, request: Any, hedge: HedgePolicy
    ) -> Replica | None:
        """Return where to ask a second time, if that is permitted and makes sense."""
        others = [replica for replica in self._replicas if replica is not first]
        now = time.monotonic()
        second, _ = self._place(offered, others, offered.task.expiry, now)
        if second is None or not hedge.take():
            return None
        if self._admission.spend(_price(second.endpoint, request.ByteSize()), now):
            return None
        self._hedged += 1
        return second

    async def _encode(self, offered: Offered[Any, Any]) -> Any:
        begun, task = time.monotonic(), offered.task
        request = await asyncio.get_running_loop().run_in_executor(
            self._encoder, task.encode, offered.work, Encoding()
        )
        self._encoding_time[task.name].add(time.monotonic() - begun)
        self._size[task.name].add(request.ByteSize())
        return request

    async def _attempt(
        self, offered: Offered[Any, Any], replica: Replica, template: Any, why: str
    ) -> Answer[Any] | NoAnswer:
        task, sent = offered.task, time.monotonic()
        left = offered.captured + task.expiry - sent
        if left <= 0.0:
            return offered.no_answer(Reason.TIMEOUT, "expired before it could be sent")
        self._number += 1
        number = self._number
        request = type(template)()
        request.CopyFrom(template)
        request.id = str(number)
        request.parameters[protocol.TIMEOUT].int64_param = max(1, int(left * 1e6))
        replica.began(number, sent)
        try:
            response = await replica.client.infer(request, left)
            if response.id != request.id:
                raise InvalidAnswerError(f"answer to request {response.id!r}, not {request.id!r}")
            replica.check_model(task, response)
            value = task.decode(response)
        except (LinkLostError, InvalidAnswerError, OldModelError, RequestError) as error:
            missed = offered.no_answer(_reason(error), f"{replica.endpoint.name}: {error}")
            replica.failed(missed.reason, str(error))
            return missed
        except asyncio.CancelledError:
            replica.abandoned()
            raise
        finally:
            replica.ended(number)
        now = time.monotonic()
        age = now - offered.captured
        late = age > task.deadline
        replica.succeeded(task, request.ByteSize(), now - sent, response, late)
        return Answer(
            value,
            offered.stamp,
            age,
            late,
            computed_by=replica.endpoint.address,
            model=f"{response.model_name}@{response.model_version}",
            model_sha256=response.parameters[protocol.MODEL_SHA256].string_param,
            reason=why,
        )

    def _count(self, late: bool) -> None:
        self._late += late
        self._answered += not late

    def _miss(self, offered: Offered[Any, Any], missed: NoAnswer) -> None:
        """Report that the fleet does not answer: on board, then, where that is possible."""
        self._missed[missed.reason] += 1
        if offered.settled:
            return
        if offered.task.local is None:
            self._settle(offered, missed)
            return
        offered.why = f"{missed.reason.value}: {missed.detail}"
        self._compute_onboard(offered)

    def _compute_onboard(self, offered: Offered[Any, Any]) -> None:
        if not offered.settled and not offered.onboard:
            offered.onboard = True
            self._thread.spawn(self._see_onboard(offered))

    async def _see_onboard(self, offered: Offered[Any, Any]) -> None:
        value = await self._onboard.compute(offered.task, offered.work)
        if offered.settled:
            return
        self._computed_onboard += 1
        age = time.monotonic() - offered.captured
        late = age > offered.task.deadline
        self._settle(offered, Answer(value, offered.stamp, age, late, ONBOARD, "", "", offered.why))
        if offered.on_late is None:
            self._stop_asking(offered, Reason.TIMEOUT)

    def _settle(self, offered: Offered[Any, Any], outcome: Answer[Any] | NoAnswer) -> None:
        offered.settled = True
        del self._unsettled[offered]
        if offered.alarm is not None:
            offered.alarm.cancel()
        offered.on_outcome(outcome)

    def _cancel(self, offered: Offered[Any, Any]) -> None:
        self._stop_asking(offered, Reason.CANCELLED)
        if not offered.settled:
            self._settle(offered, offered.no_answer(Reason.CANCELLED, "by whom it was offered"))

    def _stop_asking(self, offered: Offered[Any, Any], reason: Reason) -> None:
        if offered.asking is not None:
            offered.asking.cancel()
            offered.asking = None
            self._asking[offered.task.name].pop(offered)
            self._missed[reason] += 1

    def _give_everything_up(self) -> None:
        for offered in list(self._unsettled):
            self._settle(offered, offered.no_answer(Reason.CANCELLED, "the engine was closed"))

    def _tell(self) -> None:
        self._on_status(self.status())

    def _report(self) -> None:
        self._tell()
        self._thread.call_at(time.monotonic() + 1.0 / self._settings.report_rate, self._report)


def _price(endpoint: Endpoint, size: float) -> Price:
    return Price(size, size * endpoint.energy_per_byte, endpoint.cost)


def _reason(error: Exception) -> Reason:
    if isinstance(error, LinkLostError):
        return Reason.LINK_DOWN
    if isinstance(error, RequestError):
        return _REASONS.get(error.code, Reason.ERROR)
    return Reason.OLD_MODEL if isinstance(error, OldModelError) else Reason.INVALID


_REASONS = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.TIMEOUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.REFUSED,
    grpc.StatusCode.INVALID_ARGUMENT: Reason.REFUSED,
    grpc.StatusCode.NOT_FOUND: Reason.REFUSED,
}
