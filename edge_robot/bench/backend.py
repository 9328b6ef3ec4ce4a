"""How many robots one backend serves: throughput, deadlines under load, and fair shares.

Backend and robots are processes of their own that speak gRPC; on a small machine they share its
cores, so the figures are those of the two together. Two models: our fleet detector, where one image
fills a core, and a dense network, as a learned policy or an embedding has, whose weights must come
from memory for each run.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import cv2
import grpc
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.figures import percentiles
from edge_robot.bench.runtimes import Start, bench_domain, programs, standalone
from edge_robot.fleet import tensors
from edge_robot.fleet.backend.fairness import jain_index
from edge_robot.perception.catalogue import trial_image

DETECTOR, DENSE = "warehouse_fleet", "dense"
_LAYERS = (512, 4096, 4096, 512)
"""Of the dense network: 21 million weights."""
_ROBOTS = (1, 4, 16, 50)
_LOADED = 16
_LOAD, _OVERLOAD = 0.8, 2.0
"""Shares of the throughput that was measured."""
_FAIRNESS_RUNS = 4
"""Runs' time for one of fairness: each robot has only a fiftieth of the answers."""
_DEADLINE = 0.25  # s; the bridge's
_PATIENCE = 10.0  # s; expiry of requests where throughput alone counts
_GREED = 10
_BATCH = 32
_HEARTBEAT = 0.025  # s; the bridge's


def measure(seconds: float, runtime: str, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the figures.

    Args:
        seconds: Of each of the 20 or so runs.
        runtime: Inference runtime of the detector.
        progress: Is told of each part.
    """
    with programs(standalone(bench_domain())) as start:
        servers = {
            name: _Server(start, batch, runtime, seconds)
            for name, batch in (("without", 1), ("with", _BATCH))
        }
        figures: dict[str, Any] = {"throughput": {}, "load": {}, "fairness": {}}
        for model in (DETECTOR, DENSE):
            progress(f"{model}: throughput with and without batches")
            figures["throughput"][model] = throughput = _throughput(servers, model)
            capacity = throughput[f"{_LOADED}_robots"]["with"]["answers_per_s"]
            progress(f"{model}: {_LOAD:.0%} and {_OVERLOAD:.0%} of {capacity:.0f} requests/s")
            server = servers["with"]
            figures["load"][model] = server.load(model, _LOAD * capacity)
            figures["fairness"][model] = {
                "equal": server.fairness(model, _OVERLOAD * capacity, greed=1),
                "one_greedy": server.fairness(model, _OVERLOAD * capacity, greed=_GREED),
            }
    return {"runtime": runtime, "run_s": seconds, **figures}


def dense_network(layers: tuple[int, ...] = _LAYERS) -> bytes:
    """Return the ONNX file of a dense network of random weights, ReLU after each.

    Args:
        layers: Sizes of its values, from input `x` to output `y`.
    """
    rng = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for layer, (rows, columns) in enumerate(pairwise(layers)):
        matrix = rng.standard_normal((rows, columns), np.float32) / np.float32(math.sqrt(rows))
        weights.append(numpy_helper.from_array(matrix, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [value, f"w{layer}"], [f"m{layer}"]))
        value = "y" if layer == len(layers) - 2 else f"r{layer}"
        nodes.append(helper.make_node("Relu", [f"m{layer}"], [value]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", size))
        for name, size in (("x", layers[0]), ("y", layers[-1]))
    ]
    graph = helper.make_graph(nodes, DENSE, ends[:1], ends[1:], weights)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(model.SerializeToString())


@cache
def _jpeg() -> bytes:
    image = cv2.resize(cv2.imread(str(trial_image())), (640, 480))
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def request_for(model: str) -> Any:
    """Return a `ModelInferRequest`: an image of 640 × 480 as JPEG file, or a row of numbers."""
    request = pb.ModelInferRequest(model_name=model)
    if model == DETECTOR:
        tensors.add_arrays(request, {"jpeg": np.array([_jpeg()], object)})
    else:
        tensors.add_arrays(request, {"x": np.ones((1, _LAYERS[0]), np.float32)})
    return request


def _throughput(servers: dict[str, _Server], model: str) -> dict[str, Any]:
    """Return what each backend answers, by number of robots; the backends take turns."""
    figures: dict[str, Any] = {}
    for robots in _ROBOTS:
        row = {name: server.throughput(model, robots) for name, server in servers.items()}
        without, with_ = row["without"], row["with"]
        figures[f"{robots}_robots"] = row | {
            "ratio": _over(with_["answers_per_s"], without["answers_per_s"]),
            "cpu_ratio": _over(without["cpu_ms_each"], with_["cpu_ms_each"]),
        }
    return figures


class _Server:
    """A backend, what robots get of it, and what it counts itself.

    Args:
        start: Starts programs.
        batch: Largest batch; 1: none.
        runtime: Inference runtime of the detector.
        seconds: Of a run.
    """

    def __init__(self, start: Start, batch: int, runtime: str, seconds: float) -> None:
        self._start, self._seconds = start, seconds
        self._program = start("fleet_server", workers=2, batch=batch, runtime=runtime)
        self._port = self._program.next()["port"]

    def throughput(self, model: str, robots: int) -> dict[str, Any]:
        """Return answers to robots that always wait for two, and CPU time for each."""
        run, counts = self._run(model, [0.0] * robots, self._seconds, _PATIENCE)
        answered = sum(robot["fates"].get("OK", 0) for robot in run)
        return {
            "answers_per_s": round(answered / self._seconds, 1),
            "cpu_ms_each": _over(1e3 * counts["cpu_s"], counts["computed"]),
        }

    def load(self, model: str, rate: float) -> dict[str, Any]:
        """Return latencies and fates where 16 robots ask for less than there is."""
        run, counts = self._run(model, [rate / _LOADED] * _LOADED, 2 * self._seconds, _DEADLINE)
        latencies = [latency for robot in run for latency in robot["latencies"]]
        asked = sum(sum(robot["fates"].values()) for robot in run)
        in_time = sum(latency <= _DEADLINE for latency in latencies)
        return {
            "requests_per_s": round(rate, 1),
            "deadline_ms": _DEADLINE * 1e3,
            "latency": percentiles(latencies),
            "in_time": _over(in_time, asked),
            "heartbeat": self._heartbeat(),
            **audit(run, counts),
        }

    def _heartbeat(self) -> dict[str, Any]:
        answered = [trip for trip in self._trips if math.isfinite(trip)]
        figures: dict[str, Any] = percentiles(answered)
        return {**figures, "refused": len(self._trips) - len(answered)}

    def fairness(self, model: str, rate: float, greed: int) -> dict[str, Any]:
        """Return how evenly 50 robots are served who ask for more than there is.

        The first asks `greed` times as often as each other.
        """
        count = _ROBOTS[-1]
        each = rate / (count - 1 + greed)
        rates = [greed * each, *[each] * (count - 1)]
        run, counts = self._run(model, rates, _FAIRNESS_RUNS * self._seconds, _DEADLINE)
        answered = [robot["fates"].get("OK", 0) for robot in run]
        asked = [sum(robot["fates"].values()) for robot in run]
        others = answered[1:] if greed > 1 else answered
        mean = sum(others) / len(others)
        figures: dict[str, Any] = {
            "requests_per_s": round(rate, 1),
            "robots": count,
            "heartbeat": self._heartbeat(),
            "answered_of_asked": _over(sum(answered), sum(asked)),
            "jain_index": round(jain_index(others), 4),
            "smallest_over_mean": _over(min(others), mean),
        }
        if greed > 1:
            figures["greedy_asks_times"] = greed
            figures["greedy_over_mean"] = _over(answered[0], mean)
        return figures | audit(run, counts)

    def _run(
        self, model: str, rates: list[float], seconds: float, expiry: float
    ) -> tuple[list[dict[str, Any]], Counter[str]]:
        """Return what the robots count, and the backend."""
        before = self._counts()
        robots = self._start(
            "fleet_robots",
            port=self._port,
            model=model,
            rates=rates,
            seconds=seconds,
            expiry=expiry,
        )
        with _heartbeats(self._port) as self._trips:
            run = robots.next()["robots"]
        counts = self._counts()
        counts.subtract(before)
        return run, counts

    def _counts(self) -> Counter[str]:
        self._program.go_on()
        return Counter(self._program.next())


def _over(value: float | None, by: float | None) -> float | None:
    """Return a ratio; None where a machine busy with other things gave no answer at all."""
    return round(value / by, 3) if value is not None and by else None


@contextmanager
def _heartbeats(port: int) -> Iterator[list[float]]:
    """Ask a backend every 25 ms whether it lives, while the body runs.

    Gives the round trips, s; infinite where it refused to answer.
    """
    trips: list[float] = []
    done = threading.Event()

    def beat() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)
            grpc.channel_ready_future(channel).result(_PATIENCE)
            while not done.wait(_HEARTBEAT):
                begun = time.perf_counter()
                try:
                    stub.ServerLive(pb.ServerLiveRequest())
                except grpc.RpcError:
                    trips.append(math.inf)
                else:
                    trips.append(time.perf_counter() - begun)

    with ThreadPoolExecutor(1) as pool:
        beats = pool.submit(beat)
        try:
            yield trips
        finally:
            done.set()
            beats.result()


def audit(run: list[dict[str, Any]], counts: Counter[str]) -> dict[str, Any]:
    """Return the fates of requests, and how much was computed that nobody could use."""
    fates: Counter[str] = Counter()
    for robot in run:
        fates.update(robot["fates"])
    queued = [wait for robot in run for wait in robot["queued"]]
    return {
        "fates": dict(fates),
        "computed_without_answer": counts["started"] - counts["computed"],
        "computed_after_expiry": sum(wait >= _DEADLINE for wait in queued),
    }
