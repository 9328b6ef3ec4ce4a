"""Asks a backend again and again, by the engine or by a bare call, and times each.

Arguments, as JSON: `endpoint`, `way` (`engine`, `grpc_aio` or `blocking_stub`) and `batch`. Waits
for a line, prints the times of a batch of calls, s, and what they took of the processor, and so on.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.offload.scene import cleared, decode, detection, encode, frame
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.offload import OffloadEngine, Settings
from edge_robot.fleet.work import NoAnswer


def through_the_engine(endpoint: str, batch: int) -> Callable[[], list[float]]:
    """Return what makes a batch of calls; each ends when its outcome is told."""
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    engine = OffloadEngine([Endpoint("", endpoint)], Settings(), lambda status: None)
    engine.start()
    task, image = detection(deadline=5.0, expiry=10.0), cleared(frame())

    def calls() -> list[float]:
        durations: list[float] = []
        while len(durations) < batch:
            begun = time.perf_counter()
            engine.offer(task, image, None, 0.0, outcomes.put)
            if isinstance(outcomes.get(), NoAnswer):  # not yet connected
                time.sleep(0.01)
                continue
            durations.append(time.perf_counter() - begun)
        return durations

    return calls


def by_grpc_aio(endpoint: str, batch: int) -> Callable[[], list[float]]:
    """Return what makes a batch of bare asynchronous calls."""
    loop, image = asyncio.new_event_loop(), frame()

    async def connect() -> Any:
        return pb_grpc.GRPCInferenceServiceStub(grpc.aio.insecure_channel(endpoint))

    stub = loop.run_until_complete(connect())

    async def calls() -> list[float]:
        durations = []
        for _ in range(batch):
            begun = time.perf_counter()
            decode(await stub.ModelInfer(encode(image)))
            durations.append(time.perf_counter() - begun)
        return durations

    return lambda: loop.run_until_complete(calls())


def by_blocking_stub(endpoint: str, batch: int) -> Callable[[], list[float]]:
    """Return what makes a batch of bare blocking calls."""
    stub, image = pb_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(endpoint)), frame()

    def calls() -> list[float]:
        durations = []
        for _ in range(batch):
            begun = time.perf_counter()
            decode(stub.ModelInfer(encode(image)))
            durations.append(time.perf_counter() - begun)
        return durations

    return calls


WAYS = {
    "engine": through_the_engine,
    "grpc_aio": by_grpc_aio,
    "blocking_stub": by_blocking_stub,
}


def main() -> None:
    """Serve batches until there are no more lines."""
    wanted = json.loads(sys.argv[1])
    calls = WAYS[wanted["way"]](wanted["endpoint"], wanted["batch"])
    for _ in sys.stdin:
        used = time.process_time()
        durations = calls()
        said = {"durations": durations, "cpu": time.process_time() - used}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
