"""Requests in replicas of Ray Serve: with a stand-in for Ray, and with Ray where there is one.

EDGE_ROBOT_RAY_PYTHON names a Python that has this package's requirements and `ray[serve]`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_robot.errors import UserError
from edge_robot.fleet.backend.fairness import Quota
from edge_robot.fleet.backend.models import InvalidRequestError
from edge_robot.fleet.backend.scheduler import (
    ExpiredError,
    Limits,
    RefusedError,
    UnknownModelError,
)

ENGINE = "edge_robot.fleet.backend.ray_engine"
INPUTS = {"x": np.zeros(3, np.float32)}


class ActorDiedError(Exception):
    pass


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, with a stand-in for Ray: what is tested here asks it only for its errors."""
    for name in ("ray", "ray.serve", "ray.exceptions"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["ray"].serve = sys.modules["ray.serve"]
    sys.modules["ray.exceptions"].ActorDiedError = ActorDiedError
    sys.modules["ray.exceptions"].ActorUnavailableError = type("Unavailable", (Exception,), {})
    monkeypatch.delitem(sys.modules, ENGINE, raising=False)
    yield importlib.import_module(ENGINE)
    sys.modules.pop(ENGINE, None)


class Response:
    """What Serve gives for a call."""

    def __init__(self, outcome: Any, delay: float = 0.0) -> None:
        self._outcome, self._delay = outcome, delay
        self.cancelled = False

    def __await__(self) -> Any:
        return self._come().__await__()

    async def _come(self) -> Any:
        await asyncio.sleep(self._delay)
        if isinstance(self._outcome, ActorDiedError):
            raise self._outcome
        return self._outcome

    def cancel(self) -> None:
        self.cancelled = True


class Handle:
    """Replicas that answer as they are told, one call after another."""

    def __init__(self, *responses: Response) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._responses = list(responses)
        self.compute = self

    def remote(self, *call: Any) -> Response:
        self.calls.append(call)
        return self._responses.pop(0)


def scheduler(engine: ModuleType, *responses: Response, limits: Limits | None = None) -> Any:
    models = [
        engine.RemoteModel("net", version, sha, "onnxruntime_onnx", (), (), 1)
        for version, sha in (("2", "cd" * 32), ("1", "ab" * 32), ("10", "ef" * 32))
    ]
    return engine.RayScheduler(Handle(*responses), models, limits or Limits())


def computed(engine: ModuleType) -> Any:
    return engine._Computed({"y": np.ones(1)}, 0.25, 0.5, 3)


def ask(scheduler: Any, left: float = 5.0, **more: Any) -> Any:
    expires = time.monotonic() + left
    return asyncio.run(scheduler.submit("net", "", INPUTS, expires=expires, **more))


def test_an_answer_carries_the_newest_model_and_its_times(engine: ModuleType) -> None:
    replicas = scheduler(engine, Response(computed(engine)))
    result = ask(replicas, robot="r2", priority=1)
    assert (result.model.version, result.model.sha256) == ("10", "ef" * 32)
    assert (result.queue_s, result.service_s, result.batch) == (0.25, 0.5, 3)
    name, version, _, (_, sent, left), robot, priority = replicas._handle.calls[0]
    assert (name, version, robot, priority) == ("net", "10", "r2", 1)
    assert 4.5 < sent + left - (time.monotonic() - 0.5) <= 5.5
    with pytest.raises(UnknownModelError, match="'net' version 3 is not served"):
        replicas.find("net", "3")


def test_a_request_whose_replica_dies_is_given_to_another(engine: ModuleType) -> None:
    dead = Response(ActorDiedError())
    replicas = scheduler(engine, dead, dead, Response(computed(engine)))
    ask(replicas)
    assert len(replicas._handle.calls) == 3
    assert replicas.counts == {"retried": 2, "computed": 1}
    assert replicas.waiting == 0


def test_a_request_that_kills_replicas_is_not_given_to_all_of_them(engine: ModuleType) -> None:
    replicas = scheduler(engine, *[Response(ActorDiedError())] * 9)
    with pytest.raises(RuntimeError, match="3 replicas died with this request"):
        ask(replicas)
    assert len(replicas._handle.calls) == 3
    assert replicas.counts == {"retried": 3, "failed": 1}


def test_it_is_not_given_to_another_when_its_time_is_up(engine: ModuleType) -> None:
    replicas = scheduler(engine, Response(ActorDiedError(), delay=0.05))
    with pytest.raises(ExpiredError):
        ask(replicas, left=0.06)


def test_what_expires_or_is_given_up_is_cancelled_at_the_replica(engine: ModuleType) -> None:
    slow = Response(computed(engine), delay=30.0)
    with pytest.raises(ExpiredError):
        ask(scheduler(engine, slow), left=0.05)
    assert slow.cancelled

    given_up = Response(computed(engine), delay=30.0)
    replicas = scheduler(engine, given_up)

    async def give_up() -> None:
        task = asyncio.ensure_future(replicas.submit("net", "", INPUTS))
        await asyncio.sleep(0.01)
        assert replicas.waiting == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert given_up.cancelled
    assert replicas._handle.calls[0][3][2] == math.inf
    assert replicas.counts == {"cancelled": 1}


def test_a_replica_has_less_time_by_the_way_to_it_and_back(engine: ModuleType) -> None:
    """Its answers take 0.1 s more than it needs for them; that is known from the first on."""
    slow = [Response(engine._Computed({}, 0.0, 0.0, 1), delay=0.1) for _ in range(3)]
    replicas = scheduler(engine, *slow)
    for _ in slow:
        ask(replicas, left=1.0)
    times = [left for *_, (_, _, left), _, _ in replicas._handle.calls]
    assert times[0] > 0.98
    assert 0.85 < times[1] < 0.97
    assert 0.85 < times[2] < times[1]


def test_a_replica_counts_the_way_where_it_has_the_same_clock(engine: ModuleType) -> None:
    seen = []

    class Scheduler:
        async def submit(self, *_: Any, expires: float, **__: Any) -> Any:
            seen.append(expires)
            raise ExpiredError("late")

    replica = engine.Replica.__new__(engine.Replica)
    replica._scheduler = Scheduler()
    sent = time.monotonic() - 2.0
    for clock in (engine._BOOT, "another machine's"):
        call = replica.compute("net", "1", INPUTS, (clock, sent, 5.0), "", 0)
        assert isinstance(asyncio.run(call), ExpiredError)
    assert seen[0] == sent + 5.0
    assert seen[1] == pytest.approx(time.monotonic() + 5.0, abs=1.0)


def test_a_replicas_refusal_is_raised_here(engine: ModuleType) -> None:
    for outcome in (RefusedError("full"), InvalidRequestError("no image"), ExpiredError("late")):
        with pytest.raises(type(outcome), match=str(outcome)):
            ask(scheduler(engine, Response(outcome)))


def test_quotas_hold_for_all_replicas_together(engine: ModuleType) -> None:
    limits = Limits(quota=Quota(requests=1.0, burst=2.0))
    replicas = scheduler(engine, *[Response(computed(engine)) for _ in range(3)], limits=limits)
    ask(replicas, robot="greedy")
    ask(replicas, robot="greedy")
    with pytest.raises(RefusedError, match="'greedy' asks more often"):
        ask(replicas, robot="greedy")
    ask(replicas, robot="modest")


def test_after_draining_nothing_is_let_in(engine: ModuleType) -> None:
    replicas = scheduler(engine)
    asyncio.run(replicas.drain(1.0))
    with pytest.raises(RefusedError, match="stopping"):
        ask(replicas)


def test_more_replicas_than_the_machine_has_cores_for_are_refused(engine: ModuleType) -> None:
    """Serve would wait for ever, and say nothing."""
    engine.ray.cluster_resources = lambda: {"CPU": 2.0}
    with pytest.raises(UserError, match="3 replicas of 1 cores do not fit into the 2"):
        engine._check_room({"num_replicas": 3}, 1)
    with pytest.raises(UserError, match="1 replicas of 4 cores"):
        engine._check_room({}, 4)
    engine._check_room({"num_replicas": 4, "ray_actor_options": {"num_cpus": 0.5}}, 1)
    engine._check_room({"autoscaling_config": {"min_replicas": 1, "max_replicas": 9}}, 1)


def test_without_ray_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, ENGINE, raising=False)
    with pytest.raises(UserError, match=r"pip install 'edge_robot\[ray\]'"):
        importlib.import_module(ENGINE)


def test_no_request_fails_when_a_replica_is_killed(tmp_path: Path) -> None:
    python = os.environ.get("EDGE_ROBOT_RAY_PYTHON")
    if not python:
        pytest.skip("EDGE_ROBOT_RAY_PYTHON names no Python with ray[serve]")
    figures = tmp_path / "figures.json"
    bench = [python, "-m", "edge_robot", "bench", "backend-ray"]
    options = ["--seconds", "2", "--turns", "1", "--json", str(figures)]
    subprocess.run([*bench, *options], check=True, timeout=170)
    killed = json.loads(figures.read_text())["backend_ray"]["replica_killed"]
    assert killed["failures"] == {}
    assert killed["latency"]["runs"] > 50
