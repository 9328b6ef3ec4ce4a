"""Which request is computed next: the earliest deadline first, and never one that has expired.

Everything but the computing itself happens in the event loop that `Scheduler.submit` is called in,
so there are no locks. Computing is done by a few threads of low priority, one for each core: what
is in the making delays neither heartbeats nor a robot on the same machine.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import os
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from edge_robot.fleet.backend.models import InvalidRequestError, Model, Tensors
from edge_robot.fleet.priority import yield_to_others

MAX_WAITING = 256
"""Requests that wait for one model; more are refused."""

DEFAULT_PRIORITY = 0
"""As in Triton: 0 leaves it to the server, 1 is the highest."""


class UnknownModelError(Exception):
    """There is no such model, or not in this version; the message names those there are."""


class RefusedError(Exception):
    """There is no room for the request now; the message says where it is full."""


class ExpiredError(Exception):
    """The request's time ran out before it was computed."""


@dataclass(frozen=True)
class Result:
    """What became of a request.

    Attributes:
        outputs: Of the model, by name.
        model: That computed them; its name, version and hash belong into the answer.
        queue_s: Time from submission to the beginning of the work, s.
        service_s: Time from there to the outputs, s; shared with the others of its batch.
    """

    outputs: Tensors
    model: Model
    queue_s: float
    service_s: float


@dataclass(order=True)
class _Job:
    """A request on its way; ordered by what is served first."""

    expires: float
    number: int
    model: Model = field(compare=False)
    item: Any = field(compare=False)
    submitted: float = field(compare=False)
    future: asyncio.Future[Result] = field(compare=False)


class Scheduler:
    """Serves models to whoever submits requests.

    Args:
        models: That are served from the beginning.
        workers: Threads that compute; by default one for each core.
        max_waiting: Requests that may wait for one model.

    Attributes:
        counts: Requests so far by fate: `computed`, `expired`, `cancelled`, `refused`, `invalid`,
            `failed`.
    """

    def __init__(
        self,
        models: Iterable[Model] = (),
        *,
        workers: int | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._models: dict[tuple[str, str], Model] = {}
        self._queue: list[_Job] = []
        self._numbers = itertools.count()
        self._max_waiting = max_waiting
        self._free = workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(
            self._free, thread_name_prefix="compute", initializer=yield_to_others
        )
        self._running: set[asyncio.Task[None]] = set()
        for model in models:
            self.add(model)

    @property
    def models(self) -> list[Model]:
        """The models that are served, by name and version."""
        return [self._models[key] for key in sorted(self._models, key=_order)]

    @property
    def waiting(self) -> int:
        """Requests that wait for a worker."""
        return len(self._queue)

    def add(self, model: Model) -> None:
        """Serve a model from now on, in place of one of the same name and version."""
        self._models[model.name, model.version] = model

    def find(self, name: str, version: str = "") -> Model:
        """Return a model; without a version, the latest.

        Raises:
            UnknownModelError: it is not served.
        """
        versions = sorted((key for key in self._models if key[0] == name), key=_order)
        if version == "" and versions:
            return self._models[versions[-1]]
        if (name, version) in self._models:
            return self._models[name, version]
        served = ", ".join(f"{n!r} version {v}" for n, v in sorted(self._models, key=_order))
        raise UnknownModelError(
            f"model {name!r} version {version or 'any'} is not served here; "
            f"served: {served or 'none'}"
        )

    async def submit(
        self,
        model_name: str,
        version: str,
        inputs: Tensors,
        *,
        expires: float = math.inf,
        robot: str = "",
        priority: int = DEFAULT_PRIORITY,
    ) -> Result:
        """Have a request computed. Cancelling the awaiting task takes it out of the queue.

        Args:
            model_name: Of the model.
            version: Of the model; empty: the latest.
            inputs: Its tensors.
            expires: When nobody wants the answer any more, s on `time.monotonic`'s clock.
            robot: Who asks; all without a name share one place.
            priority: 1 is the highest; 0: the server's default.

        Raises:
            UnknownModelError: the model is not served.
            InvalidRequestError: the model cannot use these inputs.
            RefusedError: there is no room.
            ExpiredError: time ran out first.
        """
        now = time.monotonic()
        try:
            model = self.find(model_name, version)
            item = model.read(inputs)
            if now >= expires:
                raise ExpiredError(f"expired {(now - expires) * 1e3:.0f} ms before it came")
            if len(self._queue) >= self._max_waiting:
                raise RefusedError(f"{len(self._queue)} requests are waiting already")
            job = _Job(
                expires,
                next(self._numbers),
                model,
                item,
                now,
                asyncio.get_running_loop().create_future(),
            )
            heapq.heappush(self._queue, job)
            self._serve()
            result = await job.future
        except (UnknownModelError, InvalidRequestError):
            self.counts["invalid"] += 1
            raise
        except RefusedError:
            self.counts["refused"] += 1
            raise
        except ExpiredError:
            self.counts["expired"] += 1
            raise
        except asyncio.CancelledError:
            self.counts["cancelled"] += 1
            raise
        except Exception:
            self.counts["failed"] += 1
            raise
        self.counts["computed"] += 1
        return result

    async def drain(self) -> None:
        """Wait until nothing is waiting or being computed."""
        while self._running:
            await asyncio.wait(set(self._running))

    def close(self) -> None:
        """Let go of what waits, as expired, and of the workers when they have finished."""
        while self._queue:
            _fail(heapq.heappop(self._queue), ExpiredError("the server is stopping"))
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _serve(self) -> None:
        """Give work to the workers that are free."""
        while self._free and self._queue:
            job = heapq.heappop(self._queue)
            if job.future.done():  # cancelled
                continue
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._compute(job))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _compute(self, job: _Job) -> None:
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._pool, _work, job)
        except Exception as error:  # whatever it is, it is this request's answer
            _fail(job, error)
        else:
            if not job.future.done():
                job.future.set_result(result)
        finally:
            self._free += 1
            self._serve()


def _work(job: _Job) -> Result:
    """Compute one request, in a worker."""
    begun = time.monotonic()
    _check_wanted(job, begun)
    prepared = job.model.prepare(job.item)
    _check_wanted(job, time.monotonic())
    (outputs,) = job.model.compute([prepared])
    if isinstance(outputs, InvalidRequestError):
        raise outputs
    return Result(outputs, job.model, begun - job.submitted, time.monotonic() - begun)


def _check_wanted(job: _Job, now: float) -> None:
    if job.future.done():
        raise ExpiredError("cancelled before it could be computed")
    if now >= job.expires:
        late = (now - job.expires) * 1e3
        raise ExpiredError(f"expired {late:.0f} ms before it could be computed")


def _fail(job: _Job, error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)


def _order(key: tuple[str, str]) -> tuple[str, int]:
    return key[0], int(key[1])
