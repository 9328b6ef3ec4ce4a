"""The scheduler, with a model that a test holds up and looks into."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from edge_robot.fleet.backend.models import InvalidRequestError, Tensors, TensorSpec, check_inputs
from edge_robot.fleet.backend.scheduler import (
    ExpiredError,
    Limits,
    RefusedError,
    Result,
    Scheduler,
    UnknownModelError,
)


class Doubler:
    """Doubles numbers; waits in `prepare` and `compute` where a test says so."""

    name, version, sha256, platform, max_batch = "doubler", "1", "cd" * 32, "python", 8
    inputs = (TensorSpec("x", "FP32", (1,)),)
    outputs = (TensorSpec("y", "FP32", (1,)),)

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.prepare_s = 0.0
        self.computed: list[float] = []
        self.batches: list[int] = []
        self.run_s = 0.0

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
        self.batches.append(len(items))
        time.sleep(self.run_s)
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


def test_the_earliest_deadline_is_first_and_what_is_cancelled_is_not_computed() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=1)
        model.free.clear()
        first = ask(scheduler, 0.0)
        await until(lambda: model.computed)
        now = time.monotonic()
        soon, late, never = (ask(scheduler, x, expires=now + 5.0 + x) for x in (1.0, 2.0, 0.5))
        await until(lambda: scheduler.waiting == 3)
        never.cancel()
        await until(lambda: scheduler.waiting == 2)
        model.free.set()
        await asyncio.gather(first, late, soon)
        assert model.computed == [0.0, 1.0, 2.0]
        assert scheduler.counts == Counter(started=3, computed=3, cancelled=1)

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
        scheduler = Scheduler([model], workers=1, limits=Limits(waiting=1))
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


def test_requests_are_computed_together_where_that_pays() -> None:
    async def scene() -> None:
        model = Doubler()
        model.run_s = 0.004  # whatever the size: a batch of 8 costs an eighth each
        scheduler = Scheduler([model], workers=1)
        results = await asyncio.gather(*(ask(scheduler, x, robot=str(x % 8)) for x in range(80)))
        assert [float(r.outputs["y"][0]) for r in results] == [2.0 * x for x in range(80)]
        assert model.batches.count(8) >= 5, model.batches
        assert max(result.batch for result in results) == 8
        assert sum(model.batches) == scheduler.counts["started"] == 80

    asyncio.run(scene())


def test_no_batch_makes_its_most_urgent_request_late() -> None:
    async def scene() -> None:
        scheduler = Scheduler([Doubler()], workers=1)
        lane = scheduler._lane("doubler", "")
        for size in lane.costs.sizes:  # a batch costs more, though less per request
            for _ in range(9):
                lane.costs.add(size, 0.02 + 0.004 * size, now=10.0)

        def size_where_the_most_urgent_has(left: float) -> int:
            mates = [SimpleNamespace(expires=10.0 + left + after) for after in range(8)]
            return scheduler._batch_size(lane, mates, now=10.0)  # type: ignore[arg-type]

        assert size_where_the_most_urgent_has(1.0) == 8
        assert size_where_the_most_urgent_has(0.045) == 4
        assert size_where_the_most_urgent_has(0.001) == 1

    asyncio.run(scene())


def test_a_request_that_a_model_fails_at_fails_alone() -> None:
    async def scene() -> None:
        class Broken(Doubler):
            def compute(self, items: Sequence[float]) -> list[Tensors]:
                if 13.0 in items:
                    raise MemoryError("no room")
                return super().compute(items)

        model = Broken()
        scheduler = Scheduler([model], workers=1)
        model.free.clear()
        running = ask(scheduler, 0.0)
        await until(lambda: model.computed)
        together = [ask(scheduler, x) for x in (1.0, 13.0)]
        await asyncio.sleep(0.0)
        model.free.set()
        await running
        good, bad = await asyncio.gather(*together, return_exceptions=True)
        assert isinstance(good, Result) and good.outputs["y"].tolist() == [2.0]
        assert isinstance(bad, MemoryError)
        assert scheduler.counts["failed"] == 1

    asyncio.run(scene())


def test_a_greedy_robot_takes_its_own_places_not_those_of_others() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=1, limits=Limits(waiting=8, batch=1))
        model.free.clear()
        running = ask(scheduler, 0.0, robot="first")
        await until(lambda: model.computed)
        greedy = [ask(scheduler, 1.0, robot="greedy") for _ in range(8)]
        await until(lambda: scheduler.waiting == 8)
        modest = ask(scheduler, 2.0, robot="modest")
        await until(lambda: any(task.done() for task in greedy))
        model.free.set()
        await asyncio.gather(running, modest)
        outcomes = await asyncio.gather(*greedy, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, RefusedError)]
        assert len(refused) == 1 and "made room" in str(refused[0])

    asyncio.run(scene())


def test_draining_answers_what_waits_and_refuses_what_is_new() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=1)
        model.free.clear()
        running = ask(scheduler, 0.0)
        waiting = ask(scheduler, 1.0)
        await until(lambda: model.computed)
        draining = asyncio.ensure_future(scheduler.drain(grace=10.0))
        await asyncio.sleep(0.01)
        with pytest.raises(RefusedError, match="stopping"):
            await ask(scheduler, 2.0)
        model.free.set()
        await draining
        assert (await running).outputs and (await waiting).outputs
        scheduler.close()

    asyncio.run(scene())


def test_what_can_no_longer_be_done_in_time_gives_way_to_what_can() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=1)
        model.free.clear()
        running = ask(scheduler, 0.0)
        await until(lambda: model.computed)
        hopeless = ask(scheduler, 1.0, expires=time.monotonic() + 10.0)
        await until(lambda: scheduler.waiting == 1)
        scheduler._lane("doubler", "").costs.add(1, 20.0, time.monotonic())
        (tried,) = scheduler._next_batch(time.monotonic())
        assert tried.item == 1.0, "an idle worker has nothing better to do"
        good = ask(scheduler, 2.0, expires=time.monotonic() + 60.0)
        await until(lambda: scheduler.waiting == 2)
        (chosen,) = scheduler._next_batch(time.monotonic())
        assert chosen.item == 2.0
        with pytest.raises(ExpiredError, match="too late"):
            await hopeless
        model.free.set()
        await asyncio.gather(running, good)

    asyncio.run(scene())


def test_a_robot_ahead_of_its_share_waits_whatever_its_deadlines() -> None:
    async def scene() -> None:
        model = Doubler()
        model.run_s = 0.03  # more than one robot may be ahead of another
        scheduler = Scheduler([model], workers=1, limits=Limits(batch=1))
        model.free.clear()
        running = ask(scheduler, 0.0, robot="first")
        await until(lambda: model.computed)
        now = time.monotonic()
        greedy = [ask(scheduler, x, robot="greedy", expires=now + 5.0 + x) for x in (1, 2, 3, 4)]
        modest = [ask(scheduler, x, robot="modest", expires=now + 9.0 + x) for x in (11, 12)]
        await asyncio.sleep(0.0)
        model.free.set()
        await asyncio.gather(running, *greedy, *modest)
        assert model.computed[1] == 1.0 and sorted(model.computed[2:5]) == [2.0, 11.0, 12.0]

    asyncio.run(scene())


def test_requests_that_come_thick_wait_for_each_other_where_a_batch_pays() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=2, limits=Limits(delay=1.0))
        lane = scheduler._lane("doubler", "")
        for size in lane.costs.sizes:
            for _ in range(5):
                lane.costs.add(size, 0.004, time.monotonic())
        await asyncio.gather(*(ask(scheduler, x, robot=str(x)) for x in range(9)))
        assert sorted(model.batches) == [1, 8], "nothing is known of the first one's followers"

    asyncio.run(scene())


def test_where_not_all_can_be_served_the_newest_is() -> None:
    async def scene() -> None:
        model = Doubler()
        scheduler = Scheduler([model], workers=1, limits=Limits(batch=1))
        model.free.clear()
        running = ask(scheduler, 0.0)
        await until(lambda: model.computed)
        with pytest.raises(ExpiredError):  # told at once, though no worker is free
            await ask(scheduler, 1.0, expires=time.monotonic() + 0.02)
        assert scheduler.waiting == 0 and scheduler.counts["expired"] == 1
        older = ask(scheduler, 2.0, expires=time.monotonic() + 5.0)
        await until(lambda: scheduler.waiting == 1)
        newer = ask(scheduler, 3.0, expires=time.monotonic() + 9.0)
        await until(lambda: scheduler.waiting == 2)
        model.free.set()
        await asyncio.gather(running, older, newer)
        assert model.computed == [0.0, 3.0, 2.0]

    asyncio.run(scene())


def test_whatever_happens_each_request_has_one_fate_and_its_place_is_given_back() -> None:
    async def scene() -> None:
        rng = random.Random(7)
        model = Doubler()
        scheduler = Scheduler([model], workers=2, limits=Limits(waiting=20))
        tasks = []
        for number in range(300):
            model.run_s = rng.choice([0.0, 0.0, 0.002])
            left = rng.choice([0.0, 0.004, 0.02, 20.0])
            tasks.append(
                ask(
                    scheduler,
                    rng.choice([-1.0, float(number)]),
                    robot=str(rng.randrange(4)),
                    priority=rng.randrange(4),
                    expires=time.monotonic() + left,
                )
            )
            if rng.random() < 0.2:
                rng.choice(tasks[-10:]).cancel()
            if rng.random() < 0.1:
                await asyncio.sleep(0.001)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await scheduler.drain(grace=1.0)
        fates = scheduler.counts - Counter(started=10**6, late=10**6)
        # A task that is cancelled before it begins never comes to the scheduler.
        assert 250 < sum(fates.values()) <= 300, fates
        assert {"computed", "expired", "cancelled", "refused", "invalid"} == set(fates), fates
        answered = [outcome for outcome in outcomes if isinstance(outcome, Result)]
        assert fates["computed"] == len(answered)
        assert len(set(model.computed)) == len(model.computed), "one was computed twice"
        assert {float(r.outputs["y"][0]) / 2.0 for r in answered} <= set(model.computed)
        assert scheduler.waiting == 0 and not scheduler._places
        assert scheduler._lane("doubler", "").waiting == 0 and scheduler._free == 2

    asyncio.run(scene())
