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
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import grpc

from edge_robot.fleet import protocol
from edge_robot.fleet.adaptation import CANDIDATES, Encoding
from edge_robot.fleet.admission import Admission, Budgets, Price
from edge_robot.fleet.boundary import Cleared, Withheld
from edge_robot.fleet.client import LinkLostError, RequestError
from edge_robot.fleet.encoding import Encoder
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.hedging import HedgePolicy
from edge_robot.fleet.link import LinkTiming
from edge_robot.fleet.loop import LoopThread
from edge_robot.fleet.onboard import Onboard
from edge_robot.fleet.placement import Candidate, likely, place
from edge_robot.fleet.replica import LinkStatus, Replica
from edge_robot.fleet.work import (
    ONBOARD,
    Answer,
    Clearances,
    Encoded,
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
        robot: Who asks, for the backends' quotas and fair shares; empty: nobody in particular.
    """

    timing: LinkTiming = field(default_factory=LinkTiming)
    budgets: Budgets = field(default_factory=Budgets)
    min_chance: float = 0.9
    hedge_cap: float = 0.05
    explore_after: float = 1.0
    report_rate: float = 5.0
    robot: str = ""


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


class Offered:
    """A piece of work that was offered; the engine makes it."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """Give it up, from any thread: its outcome, if it has none yet, says so."""
        self._cancel()


@dataclass(eq=False)
class _Offer:
    """A piece of work and what has become of it so far; only in the engine's thread.

    Attributes:
        captured: When its input was, s of `time.monotonic`.
        settled: Whether its outcome has been told.
        sent_bytes: Of all its requests.
        first: Who was asked first.
        attempts: Requests under way.
        asked_twice: Whether a second was made.
        second_alarm: Will ask a second time.
        onboard_alarm: Will begin on board.
        onboard: Whether that has begun.
        why: Why it has.
    """

    task: Task[Any, Any]
    clearances: Clearances[Any]
    stamp: Any
    captured: float
    on_outcome: Callable[[Any], None]
    on_late: Callable[[Any], None] | None
    local: Callable[[], Any] | None
    settled: bool = False
    sent_bytes: int = 0
    first: Replica | None = None
    attempts: set[asyncio.Task[None]] = field(default_factory=set)
    asked_twice: bool = False
    second_alarm: asyncio.Handle | None = None
    onboard_alarm: asyncio.Handle | None = None
    onboard: bool = False
    why: str = "no answer yet"

    def no_answer(self, reason: Reason, detail: object) -> NoAnswer:
        """Return the outcome of being given up now."""
        age = time.monotonic() - self.captured
        return NoAnswer(self.stamp, age, reason, str(detail), self.sent_bytes)


@dataclass(slots=True)
class _Place:
    """Where a piece of work goes, how it is encoded, and why."""

    replica: Replica
    encoding: Encoding
    why: str


@dataclass(slots=True)
class _Reply:
    """A valid answer of the fleet, and what is to be learnt from it."""

    answer: Answer[Any]
    size: int
    elapsed: float
    response: Any


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
        self._replicas = [
            Replica(endpoint, settings.timing, self._tell, self._lost) for endpoint in endpoints
        ]
        self._by_endpoint = {replica.endpoint: replica for replica in self._replicas}
        self._admission = Admission(settings.budgets)
        self._encoder = Encoder()
        self._onboard = Onboard()
        self._hedges: dict[str, HedgePolicy] = defaultdict(lambda: HedgePolicy(settings.hedge_cap))
        self._unsettled: dict[_Offer, None] = {}
        self._asking: dict[str, dict[_Offer, None]] = defaultdict(dict)
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
            self._encoder.close()

    def raise_if_failed(self) -> None:
        """Raise what ended the engine's thread, if it ended by an error."""
        self._thread.raise_if_failed()

    def offer(
        self,
        task: Task[In, Out],
        clearances: Clearances[In],
        stamp: Any,
        age: float,
        on_outcome: Callable[[Answer[Out] | NoAnswer], None],
        on_late: Callable[[Answer[Out]], None] | None = None,
        local: Callable[[], Out] | None = None,
    ) -> Offered:
        """Offer one piece of work, from any thread; returns at once.

        Args:
            task: What is to be done.
            clearances: The input of the task, as each tier may have it.
            stamp: Handed back with the outcome.
            age: Time since its capture, s.
            on_outcome: Called exactly once, in the engine's thread.
            on_late: Called at most once, in the engine's thread, with an answer of the fleet that
                comes after the one computed on board; without it the fleet is told to stop.
            local: Computes the value on board, in a worker thread, where the fleet does not in
                time, or hardly will. Without it, there is a result only if the fleet has one.
        """
        offer = _Offer(task, clearances, stamp, time.monotonic() - age, on_outcome, on_late, local)
        self._thread.call_soon(self._decide, offer)
        return Offered(partial(self._thread.call_soon, self._cancel, offer))

    def _status(self) -> Status:
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

    def _decide(self, offer: _Offer) -> None:
        self._offered += 1
        self._unsettled[offer] = None
        task, now = offer.task, time.monotonic()
        refusal = self._make_room(offer, now)
        place = refusal or self._place(offer, self._replicas, task.deadline, now)
        if isinstance(place, NoAnswer):
            self._miss(offer, place)
            return
        offer.first = place.replica
        self._asking[task.name][offer] = None
        self._ask(offer, place)
        if offer.local is not None:
            begin = self._onboard_begins(offer, place, now)
            offer.onboard_alarm = self._thread.call_at(begin, self._compute_onboard, offer, begin)

    def _onboard_begins(self, offer: _Offer, place: _Place, now: float) -> float:
        """Return when to begin on board unless the fleet has answered, s.

        At the last moment that meets the deadline, or before, as soon as hardly an answer comes any
        more: then the result after a lost link stands sooner. The price is that for the share of
        answers that come later still, at most 1 - `ALMOST_SURE`, it is begun in vain.
        """
        task = offer.task
        last = offer.captured + task.deadline - self._onboard.lead(task.name)
        estimate = place.replica.estimate(task)
        within = estimate.almost_surely_within(self._encoder.size(task, place.encoding), now)
        return max(now, min(last, now + self._encoder.time(task) + within))

    def _place(
        self, offer: _Offer, replicas: Sequence[Replica], limit: float, now: float
    ) -> _Place | NoAnswer:
        """Choose an endpoint from which an answer before the age `limit` is likely, s."""
        task, least = offer.task, self._settings.min_chance
        left = offer.captured + limit - now - self._encoder.time(task)
        candidates, encodings = [], {}
        for replica in replicas:
            endpoint, obstacle = replica.endpoint, replica.obstacle(task, now)
            cleared = offer.clearances.get(endpoint.tier, _NOT_CLEARED)
            if isinstance(cleared, Withheld):
                obstacle = Reason.PRIVACY, cleared.reason
            if obstacle is not None:
                candidates.append(Candidate(endpoint, obstacle))
                continue
            encoding: Encoding | None = _PLAIN
            if task.adaptive:
                best_size = self._encoder.best_size(task)
                encoding = replica.encoding(task, best_size, left, least, now)
            sent_as = encodings[endpoint] = encoding or CANDIDATES[-1].encoding
            size = self._encoder.size(task, sent_as)
            lacking = self._admission.lacks(_price(endpoint, size), now)
            estimate = replica.estimate(task)
            chance = estimate.chance_in_time(size, left, now) if encoding else 0.0
            if len(replicas) == 1 and chance >= least and not lacking:  # nothing to compare it with
                return _Place(replica, sent_as, likely(endpoint, chance))
            candidates.append(
                Candidate(
                    endpoint,
                    (Reason.BUDGET, lacking) if lacking else None,
                    chance,
                    estimate.expected(size, now) if len(replicas) > 1 else 0.0,
                    replica.outstanding,
                    replica.stalled(self._hedges[task.name].delay, now),
                    replica.idle(now) >= self._settings.explore_after,
                )
            )
        choice = place(candidates, least)
        if choice.endpoint is None:
            assert choice.reason is not None
            return offer.no_answer(choice.reason, choice.detail)
        return _Place(self._by_endpoint[choice.endpoint], encodings[choice.endpoint], choice.detail)

    def _make_room(self, offer: _Offer, now: float) -> NoAnswer | None:
        """Give up what has missed its deadline where newer work needs its place."""
        task = offer.task
        asking = self._asking[task.name]
        if len(asking) < task.in_flight:
            return None
        oldest = next(iter(asking))
        if now - oldest.captured <= task.deadline:
            return offer.no_answer(Reason.BUSY, f"{len(asking)} in flight")
        self._stop_asking(oldest, Reason.SUPERSEDED)
        if not oldest.settled and oldest.local is None:
            detail = "late, and newer work needs its place"
            self._settle(oldest, oldest.no_answer(Reason.SUPERSEDED, detail))
        return None

    def _ask(self, offer: _Offer, place: _Place) -> None:
        offer.attempts.add(self._thread.spawn(self._attempt(offer, place)))

    def _ask_again(self, offer: _Offer) -> bool:
        """Ask another endpoint too, once, if that may be and makes sense; return whether it is."""
        if offer.asked_twice:
            return False
        others = [replica for replica in self._replicas if replica is not offer.first]
        place = self._place(offer, others, offer.task.expiry, time.monotonic())
        if isinstance(place, NoAnswer) or not self._hedges[offer.task.name].take():
            return False
        offer.asked_twice = True
        self._hedged += 1
        self._ask(offer, replace(place, why=f"asked a second time; {place.why}"))
        return True

    def _ask_again_when_possible(self, offer: _Offer) -> None:
        if not offer.asked_twice and not self._ask_again(offer):
            offer.second_alarm = self._thread.call_at(
                time.monotonic() + _LOOK_AGAIN, self._ask_again_when_possible, offer
            )

    async def _attempt(self, offer: _Offer, place: _Place) -> None:
        """Make one request, and see what comes of it."""
        result = await self._request(offer, place)
        this = asyncio.current_task()
        assert this is not None
        offer.attempts.discard(this)
        if isinstance(result, NoAnswer):
            self._attempt_failed(offer, place.replica, result)
        else:
            self._attempt_succeeded(offer, place.replica, result)

    def _attempt_failed(self, offer: _Offer, replica: Replica, missed: NoAnswer) -> None:
        if not self._ask_again(offer) and not offer.attempts:
            self._stop_asking(offer)
            self._miss(offer, missed)

    def _attempt_succeeded(self, offer: _Offer, replica: Replica, reply: _Reply) -> None:
        self._stop_asking(offer)
        answer = reply.answer
        if not offer.settled:
            self._settle(offer, answer)
        elif offer.on_late is not None:
            answer = replace(answer, late=True)
            offer.on_late(answer)
        self._late += answer.late
        self._answered += not answer.late
        # After: whoever waits for the answer wakes up meanwhile, and may offer the next at once.
        self._learn(offer, replica, reply, answer.late)

    def _learn(self, offer: _Offer, replica: Replica, reply: _Reply, late: bool) -> None:
        if replica is offer.first:
            self._hedges[offer.task.name].answered(reply.elapsed)
        replica.succeeded(offer.task, reply.size, reply.elapsed, reply.response, late)

    async def _request(self, offer: _Offer, place: _Place) -> _Reply | NoAnswer:
        task, replica = offer.task, place.replica
        cleared = offer.clearances[replica.endpoint.tier]
        assert isinstance(cleared, Cleared)
        encoded = await self._encoder.encode(task, cleared, place.encoding)
        request, sent = encoded.request, time.monotonic()
        left = offer.captured + task.expiry - sent
        if left <= 0.0:
            self._encoder.made(task, place.encoding, request.ByteSize())
            return offer.no_answer(Reason.TIMEOUT, "expired before it could be sent")
        self._number += 1
        number = self._number
        request.id = str(number)
        request.parameters[protocol.TIMEOUT].int64_param = max(1, int(left * 1e6))
        if self._settings.robot:
            request.parameters[protocol.ROBOT].string_param = self._settings.robot
        data = request.SerializeToString()
        size = len(data)
        self._encoder.made(task, place.encoding, size)
        lacking = self._admission.spend(_price(replica.endpoint, size), sent)
        if lacking:
            return offer.no_answer(Reason.BUDGET, lacking)
        offer.sent_bytes += size
        if replica is offer.first:
            self._first_sent(offer, sent)
        replica.began(number, task, sent)
        try:
            response = await replica.client.infer(data, left)
            if response.id != request.id:
                raise InvalidAnswerError(f"answer to request {response.id!r}, not {request.id!r}")
            replica.check_model(task, request, response)
            value = _read(encoded, response)
        except (LinkLostError, InvalidAnswerError, OldModelError, RequestError) as error:
            missed = offer.no_answer(_reason(error), f"{replica.endpoint.name}: {error}")
            elapsed = time.monotonic() - sent
            replica.failed(task, size, elapsed, missed.reason, str(error))
            if replica is offer.first and missed.reason is Reason.TIMEOUT:
                self._hedges[task.name].given_up(elapsed)
            return missed
        except asyncio.CancelledError:
            now = time.monotonic()
            slow = now - sent > self._hedges[task.name].delay
            overdue = slow or now - offer.captured > task.deadline
            if replica is offer.first:
                self._hedges[task.name].given_up(now - sent)
            replica.abandoned(number, task, size, now - sent if overdue else 0.0)
            raise
        finally:
            replica.ended(number)
        now = time.monotonic()
        age = now - offer.captured
        answer = Answer(
            value,
            offer.stamp,
            age,
            age > task.deadline,
            computed_by=replica.endpoint.address,
            model=f"{response.model_name}@{response.model_version}",
            model_sha256=response.parameters[protocol.MODEL_SHA256].string_param,
            reason=place.why,
            sent_bytes=offer.sent_bytes,
        )
        return _Reply(answer, size, now - sent, response)

    def _first_sent(self, offer: _Offer, now: float) -> None:
        self._sent += 1
        hedge = self._hedges[offer.task.name]
        hedge.sent()
        if len(self._replicas) > 1 and hedge.delay < math.inf:
            offer.second_alarm = self._thread.call_at(
                now + hedge.delay, self._ask_again_when_possible, offer
            )

    def _miss(self, offer: _Offer, missed: NoAnswer) -> None:
        """Report that the fleet does not answer: on board, then, where that is possible."""
        self._missed[missed.reason] += 1
        if offer.settled:
            return
        if offer.local is None:
            self._settle(offer, missed)
            return
        offer.why = f"{missed.reason.value}: {missed.detail}"
        self._compute_onboard(offer, time.monotonic())

    def _compute_onboard(self, offer: _Offer, planned: float) -> None:
        if not offer.settled and not offer.onboard:
            offer.onboard = True
            self._thread.spawn(self._see_onboard(offer, planned))

    async def _see_onboard(self, offer: _Offer, planned: float) -> None:
        assert offer.local is not None
        value = await self._onboard.compute(offer.task.name, offer.local, planned)
        if offer.settled:
            return
        self._computed_onboard += 1
        age = time.monotonic() - offer.captured
        late, sent = age > offer.task.deadline, offer.sent_bytes
        self._settle(offer, Answer(value, offer.stamp, age, late, ONBOARD, "", "", offer.why, sent))
        if offer.on_late is None:
            self._stop_asking(offer, Reason.TIMEOUT)

    def _settle(self, offer: _Offer, outcome: Answer[Any] | NoAnswer) -> None:
        offer.settled = True
        del self._unsettled[offer]
        if offer.onboard_alarm is not None:
            offer.onboard_alarm.cancel()
        offer.on_outcome(outcome)

    def _cancel(self, offer: _Offer) -> None:
        self._stop_asking(offer, Reason.CANCELLED)
        if not offer.settled:
            self._settle(offer, offer.no_answer(Reason.CANCELLED, "by whom it was offered"))

    def _stop_asking(self, offer: _Offer, reason: Reason | None = None) -> None:
        """Cancel what is under way; count why, where nothing has ended it."""
        asking = self._asking[offer.task.name]
        if offer not in asking:
            return
        del asking[offer]
        if offer.second_alarm is not None:
            offer.second_alarm.cancel()
        for attempt in offer.attempts:
            attempt.cancel()
        offer.attempts.clear()
        if reason is not None:
            self._missed[reason] += 1

    def _give_everything_up(self) -> None:
        for offer in list(self._unsettled):
            self._settle(offer, offer.no_answer(Reason.CANCELLED, "the engine was closed"))

    def _lost(self, replica: Replica) -> None:
        """Help those whose answer is on its way over a link that is down, and may never come."""
        for asking in self._asking.values():
            for offer in [offer for offer in asking if offer.first is replica]:
                if not self._ask_again(offer) and offer.local is not None:
                    offer.why = f"{Reason.LINK_DOWN.value}: {replica.client.link.cause}"
                    self._compute_onboard(offer, time.monotonic())

    def _tell(self) -> None:
        self._on_status(self._status())

    def _report(self) -> None:
        self._tell()
        self._thread.call_at(time.monotonic() + 1.0 / self._settings.report_rate, self._report)


_LOOK_AGAIN = 0.02
"""Time after which a slow request that could not be asked a second time may be, s."""
_PLAIN = Encoding()
_NOT_CLEARED = Withheld("nothing was cleared for this tier")


def _price(endpoint: Endpoint, size: float) -> Price:
    return Price(size, size * endpoint.energy_per_byte, endpoint.cost)


def _reason(error: Exception) -> Reason:
    if isinstance(error, LinkLostError):
        return Reason.LINK_DOWN
    if isinstance(error, RequestError):
        return _REASONS.get(error.code, Reason.ERROR)
    return Reason.OLD_MODEL if isinstance(error, OldModelError) else Reason.INVALID


def _read(encoded: Encoded[Out], response: Any) -> Out:
    """Return what an answer says; one that its reader fails at must not be the engine's end.

    Raises:
        InvalidAnswerError: it does not hold what the protocol promises.
    """
    try:
        return encoded.decode(response)
    except InvalidAnswerError:
        raise
    except Exception as error:
        raise InvalidAnswerError(f"cannot be read: {error!r}") from error


_REASONS = {
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.TIMEOUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.REFUSED,
    grpc.StatusCode.INVALID_ARGUMENT: Reason.REFUSED,
    grpc.StatusCode.NOT_FOUND: Reason.REFUSED,
}
