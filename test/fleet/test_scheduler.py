"""The scheduler, with a model that a test holds up and looks into."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from edge_robot.fleet.backend.models import InvalidRequestError, Tensors, TensorSpec, check_inputs
from edge_robot.fleet.backend.scheduler import (
    ExpiredError,
    RefusedError,
    Result,
    Scheduler,
    UnknownModelError,
)


class Doubler:
    """Doubles numbers; waits in `prepare` and `compute` where a test says so."""

    name, version, sha256, platform, max_batch = "doubler", "1", "cd" * 32, "python", 1
    inputs = (TensorSpec("x", "FP32", (1,)),)
    outputs = (TensorSpec("y", "FP32", (1,)),)

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.prepare_s = 0.0
        self.computed: list[float] = []

    def read(self, inputs: Tensors) -> float:
        check_inputs(inputs, self.inputs)
        return float(inputs["x"][0])

    def prepare(self, item: float) -> float:
        time.sleep(self.prepare_s)
        if item < 0.0:
            raise InvalidRequestError("x is negative")
        return item

    def compute(self, items: Sequence[float]) -> list[Tensors]:
        self.computed += items
        assert self.free.wait(10.0)
        return [{"y": np.array([2.0 * item], np.float32)} for item in items]


def ask(scheduler: Scheduler, x: float, **options: object) -> asyncio.Task[Result]:
    inputs = {"x": np.array([x], np.float32)}
    return asyncio.ensure_future(scheduler.submit("doubler", "", inputs, **options))  # type: ignore[arg-type]


async def until(condition: object) -> None:
    for _ in range(2000):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.002)
    raise AssertionError("waited in vain")


def test_an_answer_says_what_computed_it() -> None:
    async def scene() -> None:
        model = Doubler()
        result = await ask(Scheduler([model], workers=1), 2.0)
        assert result.outputs["y"].tolist() == [4.0]
        assert result.model is model
        assert 0.0 <= result.queue_s < 1.0 and 0.0 <= result.service_s < 1.0

    asyncio.run(scene())


def test_the_earliest_deadline_is_first_and_what_is_cancelled_or_expired_is_not_computed() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=1)
        model.free.clear()
        first = ask(scheduler, 0.0)
        await until(lambda: model.computed)
        now = time.monotonic()
        late, soon, never = (ask(scheduler, x, expires=now + 10.0 - x) for x in (1.0, 2.0, 3.0))
        expired = ask(scheduler, 4.0, expires=now + 0.05)
        await asyncio.sleep(0.1)
        never.cancel()
        model.free.set()
        await asyncio.gather(first, late, soon)
        with pytest.raises(ExpiredError):
            await expired
        assert model.computed == [0.0, 2.0, 1.0]
        assert scheduler.counts == {"computed": 3, "expired": 1, "cancelled": 1}

    asyncio.run(scene())


def test_what_expires_while_it_is_decoded_is_not_computed() -> None:
    async def scene() -> None:
        model = Doubler()
        model.prepare_s = 0.1
        with pytest.raises(ExpiredError):
            await ask(Scheduler([model], workers=1), 1.0, expires=time.monotonic() + 0.05)
        assert model.computed == []

    asyncio.run(scene())


def test_refusals_have_a_type_and_a_reason() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=1, max_waiting=1)
        with pytest.raises(UnknownModelError, match="'doubler' version 1"):
            await scheduler.submit("another", "", {})
        with pytest.raises(UnknownModelError):
            await scheduler.submit("doubler", "2", {})
        with pytest.raises(InvalidRequestError, match="'x' is missing"):
            await scheduler.submit("doubler", "", {})
        with pytest.raises(InvalidRequestError, match="negative"):
            await ask(scheduler, -1.0)
        with pytest.raises(InvalidRequestError, match="FP64"):
            await scheduler.submit("doubler", "", {"x": np.zeros(1)})
        model.free.clear()
        running = ask(scheduler, 0.0)
        await until(lambda: model.computed)
        waiting = ask(scheduler, 1.0)
        await until(lambda: scheduler.waiting == 1)
        with pytest.raises(RefusedError, match="1 requests are waiting"):
            await ask(scheduler, 2.0)
        model.free.set()
        await asyncio.gather(running, waiting)

    asyncio.run(scene())
