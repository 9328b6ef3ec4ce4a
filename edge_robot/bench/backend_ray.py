"""The backend with Ray Serve beside the embedded one, and what a killed replica costs.

Both are the command `edge-robot backend`, asked by the same clients in the same run, in turns.
Clients, faces and replicas share the machine's cores: only the ratio means something.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import grpc
import yaml
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as pb_grpc

from edge_robot.bench.figures import percentiles
from edge_robot.errors import UserError
from edge_robot.fleet import protocol
from edge_robot.perception.catalogue import trial_image

MODEL = "warehouse_fleet"
REPLICAS = 2
_ROBOTS, _OUTSTANDING = 8, 2
_EXPIRY = 30.0  # s; so long that a request fails for what is asked here, not for a slow machine
_START = 120.0  # s
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(seconds: float, turns: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the figures.

    Args:
        seconds: Of one run; that in which a replica is killed takes three times as long.
        turns: Of each of the two backends.
        progress: Is told of each part.

    Raises:
        UserError: a backend does not start; Ray is missing, for one.
    """
    options = {"num_replicas": REPLICAS, "ray_actor_options": {"num_cpus": 0.5}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ray.yaml"
        file.write_text(yaml.safe_dump(options))
        progress(f"starting both backends, {REPLICAS} replicas under Ray")
        with (
            _backend("--workers", str(REPLICAS)) as embedded,
            _backend("--engine", "ray", "--ray-options", str(file)) as ray,
        ):
            runs: dict[str, list[_Run]] = {"embedded": [], "ray": []}
            for turn in range(turns):
                for name, server in (("embedded", embedded), ("ray", ray)):
                    progress(f"{name}: turn {turn + 1} of {turns}, {seconds:g} s")
                    runs[name].append(_ask(server, seconds))
            progress(f"ray: a replica is killed, {3 * seconds:g} s")
            killed = _ask(ray, 3 * seconds, kill_after=seconds)
    figures = {name: _sum_up(each) for name, each in runs.items()}
    ratio = figures["ray"]["answers_per_s"] / figures["embedded"]["answers_per_s"]
    return {
        "replicas": REPLICAS,
        "clients": {"robots": _ROBOTS, "outstanding_each": _OUTSTANDING},
        **figures,
        "ray_over_embedded": round(ratio, 3),
        "replica_killed": {
            # Not its CPU time: that of the dead replica is lost.
            **{k: v for k, v in _sum_up([killed]).items() if k != "backend_cpu_ms_each"},
            "longest_ms": round(1e3 * max(killed.latencies), 1),
            "replicas_back_after_s": killed.back_after,
        },
    }


@dataclass(frozen=True)
class _Server:
    """A backend: its process and its port."""

    process: int
    port: int


@dataclass
class _Run:
    """What clients saw.

    Attributes:
        seconds: It took.
        latencies: Of answers, s.
        failures: Of requests, by status.
        cpu: Of the backend with all its processes, s.
        back_after: Time from a replica's death until there were as many again, s.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0
    back_after: float | None = None


@contextmanager
def _backend(*options: str) -> Iterator[_Server]:
    command = [sys.executable, "-m", "edge_robot", "backend", "--model", MODEL, "--port", "0"]
    process = subprocess.Popen(
        [*command, "--http-port", "-1", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"gRPC on port (\d+)", line)
        if found is None:
            raise UserError(f"the backend did not start ({' '.join(options)}): {line.strip()}")
        yield _Server(process.pid, int(found[1]))
    finally:
        process.terminate()
        process.wait(_START)


def _ask(server: _Server, seconds: float, kill_after: float | None = None) -> _Run:
    """Have robots ask without pause; kill a replica meanwhile, if wanted."""
    before, begun = _cpu(server.process), time.monotonic()
    run = asyncio.run(_robots(server, seconds, kill_after))
    run.seconds = time.monotonic() - begun
    run.cpu = _cpu(server.process) - before
    return run


async def _robots(server: _Server, seconds: float, kill_after: float | None) -> _Run:
    run, end = _Run(), time.monotonic() + seconds
    image = cv2.resize(cv2.imread(str(trial_image())), (640, 480))
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()

    async def ask(stub: Any, robot: str) -> None:
        request = pb.ModelInferRequest(model_name=MODEL)
        tensor = protocol.JPEG
        request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        request.raw_input_contents.append(protocol.pack_bytes([jpeg]))
        request.parameters[protocol.ROBOT].string_param = robot
        while time.monotonic() < end:
            begun = time.monotonic()
            try:
                await stub.ModelInfer(request, timeout=_EXPIRY)
            except grpc.aio.AioRpcError as error:
                run.failures[f"{error.code().name}: {error.details()}"] += 1
                await asyncio.sleep(0.01)  # a refusal is no reason to spin
            else:
                run.latencies.append(time.monotonic() - begun)

    async def kill() -> None:
        if kill_after is None:
            return
        await asyncio.sleep(kill_after)
        victim, *_ = there = _replicas(server.process)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        while time.monotonic() < end:
            now = _replicas(server.process)
            if victim not in now and len(now) >= len(there):
                run.back_after = round(time.monotonic() - killed, 2)
                return
            await asyncio.sleep(0.05)

    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") for _ in range(_ROBOTS)]
    stubs = [pb_grpc.GRPCInferenceServiceStub(channel) for channel in channels]
    await asyncio.gather(
        kill(),
        *(
            ask(stub, f"robot{number}")
            for number, stub in enumerate(stubs)
            for _ in range(_OUTSTANDING)
        ),
    )
    await asyncio.gather(*(channel.close() for channel in channels))
    return run


def _sum_up(runs: list[_Run]) -> dict[str, Any]:
    latencies = [latency for run in runs for latency in run.latencies]
    failures: Counter[str] = Counter()
    for run in runs:
        failures.update(run.failures)
    seconds = sum(run.seconds for run in runs)
    return {
        "answers_per_s": round(len(latencies) / seconds, 1),
        "latency": percentiles(latencies),
        "backend_cpu_ms_each": round(1e3 * sum(run.cpu for run in runs) / len(latencies), 2),
        "failed": sum(failures.values()),
        "failures": dict(failures),
    }


def _family(process: int) -> dict[int, list[str]]:
    """Return the words of `/proc/PID/stat` after the name, of a process and its descendants."""
    stats = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stats[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
    family = {process}
    while more := {pid for pid, words in stats.items() if int(words[1]) in family} - family:
        family |= more
    return {pid: stats[pid] for pid in family if pid in stats}


def _cpu(process: int) -> float:
    """Return the CPU time of a process, its descendants and those that have ended, s."""
    return sum(sum(map(int, words[11:15])) for words in _family(process).values()) / _TICKS


def _replicas(process: int) -> list[int]:
    """Return the replicas' processes."""
    found = []
    for pid in _family(process):
        try:
            title = (Path("/proc") / str(pid) / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::ServeReplica:"):
            found.append(pid)
    return sorted(found)
