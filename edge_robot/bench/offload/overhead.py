"""What the engine costs over a bare call: the same request of 60 kB, one after the other."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable
from typing import Any

import grpc
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.figures import percentiles
from edge_robot.bench.offload.scene import (
    cleared,
    decode,
    detection,
    encode,
    frame,
    holds_the_lamp,
)
from edge_robot.bench.runtimes import bench_domain, programs, standalone
from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.offload import OffloadEngine, Settings
from edge_robot.fleet.work import Answer, NoAnswer

_WARM_UP = 50


def measure(calls: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return p50 and p99 of each kind of call, and the engine's p50 over the bare ones'.

    The three take turns, call by call, so that what else the machine does meets all alike. Each is
    timed from the frame to its detections. Once the model answers at once, which leaves nothing
    but overhead to see, and once it takes as long as on an accelerator.

    Args:
        calls: Of each kind, to the instantaneous model; a quarter of them to the other.
        progress: Is told of the beginning.
    """
    progress(f"overhead: {calls} calls each of the engine, grpc.aio and the blocking stub")
    figures = {}
    for name, service, count in (
        ("instantaneous_model", 0.0, calls),
        ("model_of_10_ms", 0.01, (calls + 3) // 4),
    ):
        with programs(standalone(bench_domain())) as start:
            backend = start("offload_backend", host="127.0.0.1", port=0, service=service)
            port = backend.next()["port"]
            figures[name] = asyncio.run(_alternate(f"127.0.0.1:{port}", count))
    return figures


async def _alternate(endpoint: str, calls: int) -> dict[str, Any]:
    image = frame()
    outcomes: queue.SimpleQueue[Answer[Any] | NoAnswer] = queue.SimpleQueue()
    task, work = detection(deadline=5.0, expiry=10.0), cleared()
    engine = OffloadEngine([Endpoint("", endpoint)], Settings(), lambda status: None)
    engine.start()
    durations: dict[str, list[float]] = {"engine": [], "grpc_aio": [], "blocking_stub": []}
    with grpc.insecure_channel(endpoint) as blocking:
        async with grpc.aio.insecure_channel(endpoint) as channel:
            stubs = pb_grpc.GRPCInferenceServiceStub(channel)
            stub = pb_grpc.GRPCInferenceServiceStub(blocking)
            while len(durations["engine"]) < _WARM_UP + calls:
                begun = time.perf_counter()
                engine.offer(task, work, None, 0.0, outcomes.put)
                outcome = outcomes.get()
                took = time.perf_counter() - begun
                if isinstance(outcome, NoAnswer):  # not yet connected
                    await asyncio.sleep(0.01)
                    continue
                assert holds_the_lamp(outcome.value)
                durations["engine"].append(took)
                begun = time.perf_counter()
                decode(await stubs.ModelInfer(encode(image)))
                durations["grpc_aio"].append(time.perf_counter() - begun)
                begun = time.perf_counter()
                decode(stub.ModelInfer(encode(image)))
                durations["blocking_stub"].append(time.perf_counter() - begun)
    engine.close()
    figures: dict[str, Any] = {
        name: percentiles(values[_WARM_UP:]) for name, values in durations.items()
    }
    for name in ("grpc_aio", "blocking_stub"):
        ratio = figures["engine"]["p50_ms"] / figures[name]["p50_ms"]
        figures[f"p50_over_{name}"] = round(ratio, 3)
    return figures
