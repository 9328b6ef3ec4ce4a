"""Which request is computed next, with which others, and which is not computed at all.

The earliest deadline is first, or the newest request where not all deadlines can be met, among the
robots that are within their fair share (`fairness`). Requests for one model are computed together
where that was measured to pay (`batching`). What has expired, was cancelled or can no longer be
done in time, when others can, is dropped before it costs anything.

Everything but the computing itself happens in the event loop that `Scheduler.submit` is called in,
so there are no locks. Computing is done by a few threads of low priority, one for each core: what
is in the making delays neither heartbeats nor a robot on the same machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from edge_robot.fleet.backend.batching import BatchCosts
from edge_robot.fleet.backend.fairness import FairShares, Quota, Quotas
from edge_robot.fleet.backend.models import InvalidRequestError, Model, ServedModel, Tensors
from edge_robot.priority import yield_to_others

DEFAULT_PRIORITY = 2
"""As in Triton, 1 is the highest, and 0 leaves it to the server: that is this one."""

_PATIENCE = 1.0  # s; a request without a deadline is ordered as if it had this one
_GAP_SHARE = 0.2  # of the newest gap between two requests in their running average
_OVERLOAD = 0.5  # s; for which there is too much to do, from the last request that had to expire


class UnknownModelError(Exception):
    """There is no such model, or not in this version; the message names those there are."""


class RefusedError(Exception):
    """There is no room for the request, or its robot's quota is used up; the message says which."""


class ExpiredError(Exception):
    """The request's time ran out before it was computed."""


FATES: dict[type[Exception], str] = {
    UnknownModelError: "invalid",
    InvalidRequestError: "invalid",
    RefusedError: "refused",
    ExpiredError: "expired",
}
"""What a request that was not computed is counted as; other errors are `failed`."""


M = TypeVar("M", bound=ServedModel)


def find_model(models: Iterable[M], name: str, version: str = "") -> M:
    """Return one of the models that are served; without a version, the latest.

    Raises:
        UnknownModelError: it is not among them.
    """
    models = list(models)
    found = [m for m in models if m.name == name and version in ("", m.version)]
    if not found:
        served = sorted((m.name, int(m.version)) for m in models)
        names = ", ".join(f"{known!r} version {number}" for known, number in served)
        raise UnknownModelError(
            f"model {name!r} version {version or 'any'} is not served here; "
            f"served: {names or 'none'}"
        )
    return max(found, key=lambda m: int(m.version))


@contextlib.contextmanager
def counted(counts: Counter[str]) -> Iterator[None]:
    """Count what becomes of a request, `computed` or one of `FATES`, while the body sees to it."""
    try:
        yield
    except asyncio.CancelledError:
        counts["cancelled"] += 1
        raise
    except Exception as error:
        counts[FATES.get(type(error), "failed")] += 1
        raise
    counts["computed"] += 1


@dataclass(frozen=True)
class Result:
    """What became of a request.

    Attributes:
        outputs: Of the model, by name.
        model: That computed them; its name, version and hash belong into the answer.
        queue_s: Time from submission to the beginning of the work, s.
        service_s: Time from there to the outputs, s; shared with the others of its batch.
        batch: Requests that were computed together.
    """

    outputs: Tensors
    model: ServedModel
    queue_s: float
    service_s: float
    batch: int


@dataclass(frozen=True)
class Limits:
    """What a scheduler permits.

    Attributes:
        waiting: Requests that may wait for one model.
        batch: Requests of one batch; the model's own limit holds as well. 1: no batches.
        delay: Longest time for which a request waits for others to share a batch, s.
        lead: By how much computing a robot may be ahead of others that wait, s.
        quota: Of every robot that has none of its own.
        quotas: Of some robots, by name.
    """

    waiting: int = 128
    batch: int = 64
    delay: float = 0.002
    lead: float = 0.02
    quota: Quota = field(default_factory=Quota)
    quotas: Mapping[str, Quota] = field(default_factory=dict)


@dataclass(eq=False)
class _Lane:
    """A model and what was learnt of its requests."""

    model: Model
    costs: BatchCosts
    waiting: int = 0
    gap: float = math.inf
    last: float = -math.inf

    def arrived(self, now: float) -> None:
        """Take note of a request: how often they come tells whether another is worth waiting for.

        Args:
            now: s.
        """
        newest = now - self.last
        known = math.isfinite(self.gap)
        self.gap = self.gap + _GAP_SHARE * (newest - self.gap) if known else newest
        self.last = now


@dataclass(eq=False)
class _Job:
    """A request that waits or is computed."""

    number: int
    lane: _Lane
    robot: str
    priority: int
    item: Any
    submitted: float
    expires: float
    future: asyncio.Future[Result]
    alarm: asyncio.TimerHandle | None = None

    @property
    def due(self) -> float:
        """When it is to be answered at the latest, s."""
        return self.expires if math.isfinite(self.expires) else self.submitted + _PATIENCE


class Engine(Protocol):
    """What the faces of the backend ask of whatever computes.

    `Scheduler` does it in this process, `ray_engine.RayScheduler` in others, elsewhere maybe.
    """

    @property
    def models(self) -> Sequence[ServedModel]:
        """See `Scheduler`; so all below."""
        ...

    @property
    def waiting(self) -> int:
        """Requests that are not answered yet."""
        ...

    def find(self, name: str, version: str = "") -> ServedModel:
        """Return a model; without a version, the latest."""
        ...

    async def submit(
        self,
        model_name: str,
        version: str,
        inputs: Tensors,
        *,
        expires: float = math.inf,
        robot: str = "",
        priority: int = 0,
    ) -> Result:
        """Have a request computed."""
        ...

    async def drain(self, grace: float) -> None:
        """Refuse what is new from now on, and wait until all else is answered."""
        ...

    def close(self) -> None:
        """Let go of what computes."""
        ...


class Scheduler:
    """Serves models to whoever submits requests.

    Args:
        models: That are served from the beginning.
        workers: Threads that compute; by default one for each core.
        limits: What is permitted.

    Attributes:
        counts: Requests so far by fate: `computed` (of these `late`: expired meanwhile), `expired`,
            `cancelled`, `refused`, `invalid`, `failed`; and `started`: those that were
            computed, whether or not somebody still waited in the end.
        batches: Batches so far by size.
    """

    def __init__(
        self,
        models: Iterable[Model] = (),
        *,
        workers: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.batches: Counter[int] = Counter()
        self._limits = limits or Limits()
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._waiting: dict[int, _Job] = {}
        self._places: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._quotas = Quotas(self._limits.quota, self._limits.quotas)
        self._shares = FairShares(self._limits.lead)
        self._free = workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(
            self._free, thread_name_prefix="compute", initializer=yield_to_others
        )
        self._running: set[asyncio.Task[None]] = set()
        self._hold: asyncio.TimerHandle | None = None
        self._stopping = False
        self._overloaded_until = -math.inf
        for model in models:
            self.add(model)

    @property
    def models(self) -> list[Model]:
        """The models that are served, by name and version."""
        return [self._lanes[key].model for key in sorted(self._lanes, key=_order)]

    @property
    def waiting(self) -> int:
        """Requests that wait for a worker."""
        return len(self._waiting)

    def add(self, model: Model) -> None:
        """Serve a model from now on, in place of one of the same name and version."""
        largest = min(model.max_batch, self._limits.batch)
        self._lanes[model.name, model.version] = _Lane(model, BatchCosts(largest))

    def find(self, name: str, version: str = "") -> Model:
        """Return a model; without a version, the latest.

        Raises:
            UnknownModelError: it is not served.
        """
        return self._lane(name, version).model

    async def submit(
        self,
        model_name: str,
        version: str,
        inputs: Tensors,
        *,
        expires: float = math.inf,
        robot: str = "",
        priority: int = 0,
    ) -> Result:
        """Have a request computed. Cancelling the awaiting task takes it out of the queue.

        Args:
            model_name: Of the model.
            version: Of the model; empty: the latest.
            inputs: Its tensors.
            expires: When nobody wants the answer any more, s on `time.monotonic`'s clock.
            robot: Who asks; all without a name share one quota.
            priority: 1 is the highest; 0: `DEFAULT_PRIORITY`. It orders requests of robots that
                are within their fair share, and takes nothing from others' shares.

        Raises:
            UnknownModelError: the model is not served.
            InvalidRequestError: the model cannot use these inputs.
            RefusedError: there is no room.
            ExpiredError: time ran out first.
        """
        with counted(self.counts):
            job = self._admit(model_name, version, inputs, expires, robot, priority)
            self._serve()
            try:
                result = await job.future
            finally:
                self._leave(job)
        self.counts["late"] += time.monotonic() > expires
        return result

    async def drain(self, grace: float) -> None:
        """Refuse what is new from now on, and wait until all else is answered.

        Args:
            grace: Time after which what still waits is refused as well, s.
        """
        self._stopping = True
        end = time.monotonic() + grace
        while self._waiting and time.monotonic() < end:
            await asyncio.sleep(0.01)
        for job in list(self._waiting.values()):
            self._fail(job, RefusedError("the server is stopping"))
        if self._running:
            await asyncio.wait(set(self._running))

    def close(self) -> None:
        """Let the workers go when they have finished; to be called after `drain`."""
        self._pool.shutdown(wait=False)

    def _lane(self, name: str, version: str) -> _Lane:
        model = find_model((lane.model for lane in self._lanes.values()), name, version)
        return self._lanes[model.name, model.version]

    def _admit(
        self,
        model_name: str,
        version: str,
        inputs: Tensors,
        expires: float,
        robot: str,
        priority: int,
    ) -> _Job:
        """Check a request and let it wait; see `submit`."""
        now = time.monotonic()
        lane = self._lane(model_name, version)
        if self._stopping:
            raise RefusedError("the server is stopping")
        item = lane.model.read(inputs)
        if now >= expires:
            raise ExpiredError(f"expired {(now - expires) * 1e3:.0f} ms before it came")
        reason = self._quotas.refusal(robot, size_of(inputs), self._places[robot], now)
        if reason:
            raise RefusedError(reason)
        if lane.waiting >= self._limits.waiting:
            self._make_room(lane, robot, now)
        loop = asyncio.get_running_loop()
        job = _Job(
            next(self._numbers),
            lane,
            robot,
            priority or DEFAULT_PRIORITY,
            item,
            now,
            expires,
            loop.create_future(),
        )
        if math.isfinite(expires):
            job.alarm = loop.call_later(expires - now, self._expire, job)
        if not self._places[robot]:
            self._shares.arrive(robot)
        self._waiting[job.number] = job
        self._places[robot] += 1
        lane.waiting += 1
        lane.arrived(now)
        return job

    def _make_room(self, lane: _Lane, robot: str, now: float) -> None:
        """Take its last place from the robot that has most of them, if the one who asks has fewer.

        Raises:
            RefusedError: it has not.
        """
        places = Counter(job.robot for job in self._waiting.values() if job.lane is lane)
        greediest, most = places.most_common(1)[0]
        if places[robot] + 1 >= most:
            raise RefusedError(
                f"{lane.waiting} requests are waiting for model {lane.model.name!r} already"
            )
        theirs = [j for j in self._waiting.values() if j.lane is lane and j.robot == greediest]
        self._fail(
            max(theirs, key=lambda job: self._rank(job, now)),
            RefusedError(f"made room for others: robot {greediest!r} has {most} requests waiting"),
        )

    def _leave(self, job: _Job) -> None:
        """Take a request out of the queue, if it is still there."""
        if self._waiting.pop(job.number, None) is None:
            return
        job.lane.waiting -= 1
        self._places[job.robot] -= 1
        if not self._places[job.robot]:
            del self._places[job.robot]
        if job.alarm is not None:
            job.alarm.cancel()

    def _fail(self, job: _Job, error: Exception) -> None:
        self._leave(job)
        if not job.future.done():
            job.future.set_exception(error)

    def _expire(self, job: _Job, reason: str = "expired before it could be computed") -> None:
        if job.number not in self._waiting:
            return
        now = time.monotonic()
        if job.expires - job.submitted > job.lane.costs.quickest(now):  # there was a chance once
            self._overloaded_until = now + _OVERLOAD
        self._fail(job, ExpiredError(reason))

    def _rank(self, job: _Job, now: float) -> tuple[int, float, int]:
        """Return what is least for the request to serve first, among robots within their share.

        The earliest deadline, while all can be met. Where that is too much, it would serve each
        request at the last moment or a little later, in batches as small as that leaves time for,
        and lose most. Then the newest is first: what is served is fresh, in time and in full
        batches, and what expires would have been lost in any order.
        """
        if now < self._overloaded_until:
            return job.priority, -job.submitted, -job.number
        return job.priority, job.due, job.number

    def _serve(self) -> None:
        """Give work to the workers that are free."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        while self._free and (batch := self._next_batch(time.monotonic())):
            share = batch[0].lane.costs.expected(len(batch)) / len(batch)
            for job in batch:
                self._leave(job)
                self._shares.charge(job.robot, share)
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._compute(batch, share))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _next_batch(self, now: float) -> list[_Job]:
        """Return what to compute next; nothing where nothing waits, or it is worth waiting."""
        within = self._shares.within(self._places)
        ready = sorted(
            (job for job in self._waiting.values() if job.robot in within),
            key=lambda job: self._rank(job, now),
        )
        held: set[_Lane] = set()
        late: list[_Job] = []
        for head in ready:
            lane = head.lane
            if lane in held:
                continue
            if now + lane.costs.quickest(now) > head.expires:
                late.append(head)
                continue
            mates = [job for job in ready if job.lane is lane and job not in late]
            pause = self._pause(lane, mates, now)
            if pause <= 0.0:
                for job in late:
                    self._expire(job, "too late to be computed in time")
                return mates[: self._batch_size(lane, mates, now)]
            held.add(lane)
            if self._hold is None:
                self._hold = asyncio.get_running_loop().call_later(pause, self._serve)
        # A worker with nothing better to do tries what will probably be late: the machine may have
        # been slow for a moment only, and nothing else would tell that it is no more.
        return [max(late, key=lambda job: job.expires)] if late else []

    def _pause(self, lane: _Lane, mates: Sequence[_Job], now: float) -> float:
        """Return how long to wait for more requests of a model, s.

        Only where a larger batch is known to pay, the next request will probably come in time,
        and the most urgent one can wait.
        """
        size = lane.costs.wanted()
        if len(mates) >= size:
            return 0.0
        oldest = min(job.submitted for job in mates)
        urgent = min(job.expires for job in mates) - lane.costs.expected(size)
        pause = min(oldest + self._limits.delay, urgent) - now
        return pause if lane.gap < pause else 0.0

    def _batch_size(self, lane: _Lane, mates: Sequence[_Job], now: float) -> int:
        """Return how many of a model's requests, best first, to compute at once.

        Not so many that the most urgent one would be late for the sake of the others.
        """
        size = lane.costs.best(len(mates), now)
        while size > 1:
            urgent = min(job.expires for job in mates[:size])
            if now + lane.costs.at_worst(size) <= urgent:
                break
            size = max(other for other in lane.costs.sizes if other < size)
        return size

    async def _compute(self, batch: list[_Job], charged: float) -> None:
        begun = time.monotonic()
        outcomes = await asyncio.get_running_loop().run_in_executor(self._pool, _work, batch)
        now = time.monotonic()
        self._free += 1
        share = (now - begun) / len(batch)
        done = 0
        for job, outcome in zip(batch, outcomes, strict=True):
            self._shares.charge(job.robot, share - charged)
            if isinstance(outcome, Result):
                done += 1
                if not job.future.done():
                    job.future.set_result(outcome)
            elif not job.future.done():
                job.future.set_exception(outcome)
        if done:
            self.counts["started"] += done
            self.batches[done] += 1
            batch[0].lane.costs.add(done, now - begun, now)
        self._serve()


def _work(batch: Sequence[_Job]) -> list[Result | Exception]:
    """Compute requests for one model, in a worker."""
    begun = time.monotonic()
    outcomes: dict[_Job, Result | Exception] = {}
    prepared: dict[_Job, Any] = {}
    for job in batch:
        try:
            _check_wanted(job)
            prepared[job] = job.lane.model.prepare(job.item)
        except Exception as error:  # its own answer, whatever it is, and no other's
            outcomes[job] = error
    for job in list(prepared):  # again: preparing took its time
        try:
            _check_wanted(job)
        except ExpiredError as error:
            outcomes[job] = error
            del prepared[job]
    if prepared:
        model = batch[0].lane.model
        answers = _answers(model, list(prepared.values()))
        ended = time.monotonic()
        for job, answer in zip(prepared, answers, strict=True):
            outcomes[job] = (
                answer
                if isinstance(answer, Exception)
                else Result(answer, model, begun - job.submitted, ended - begun, len(prepared))
            )
    return [outcomes[job] for job in batch]


def _answers(model: Model, items: Sequence[Any]) -> Sequence[Tensors | Exception]:
    """Compute prepared requests; where that fails, each by itself, so that one fails alone."""
    try:
        answers = model.compute(items)
        if len(answers) != len(items):
            raise RuntimeError(f"{len(answers)} answers to {len(items)} requests")
        return answers
    except Exception as error:  # a fault of the model: the answer, and told where it is awaited
        if len(items) == 1:
            return [error]
    return [_answers(model, [item])[0] for item in items]


def _check_wanted(job: _Job) -> None:
    if job.future.done():
        raise ExpiredError("cancelled before it could be computed")
    late = time.monotonic() - job.expires
    if late >= 0.0:
        raise ExpiredError(f"expired {late * 1e3:.0f} ms before it could be computed")


def size_of(inputs: Tensors) -> int:
    """Return the bytes of a request's tensors."""
    return sum(
        sum(map(len, array.flat)) if array.dtype == object else array.nbytes
        for array in inputs.values()
    )


def _order(key: tuple[str, str]) -> tuple[str, int]:
    return key[0], int(key[1])
