"""Messages, services, discovery and start-up between processes, over DDS on this machine.

What is measured are the plain rclpy programs of `programs/`. Where a ROS 2 is sourced, they run on
it too: the two runtimes take turns, so that a machine that slows down does so for both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edge_robot.bench.figures import percentiles
from edge_robot.bench.runtimes import (
    Runtime,
    bench_domain,
    import_time,
    peer,
    programs,
    standalone,
    start_up,
)

RATES = {"image": 20.0, "cloud": 20.0}
"""Messages per second."""

FAN_OUT_RATE = 10.0
"""Images per second to several subscribers."""

SUBSCRIBERS = {"1": (1, 1), "4": (4, 1), "16": (4, 4)}
"""Subscribers to processes, and nodes with one subscription each in every process."""

WARM_UP = 10
CROWD = 20
CROWD_PROCESSES = 4
PASSES = 5
"""Start-ups, imports and discoveries per round."""

Samples = dict[str, list[float]]
"""Durations in s by what was measured."""


def _one_way(
    runtime: Runtime, kind: str, rate: float, count: int, subscribers: str = "1"
) -> Samples:
    """Return ages and publish durations of `count` messages."""
    processes, nodes = SUBSCRIBERS[subscribers]
    total = WARM_UP + count
    with programs(runtime) as start:
        listeners = [
            start("listener", kind=kind, count=total, warm_up=WARM_UP, nodes=nodes)
            for _ in range(processes)
        ]
        talker = start("talker", kind=kind, rate=rate, count=total, subscriptions=processes * nodes)
        published = talker.next()["publish"][WARM_UP:]
        ages = [age for listener in listeners for age in listener.next()["ages"]]
    return {"age": ages, "publish": published, "sent": [1.0] * (len(published) * processes * nodes)}


def _service(runtime: Runtime, count: int) -> Samples:
    with programs(runtime) as start:
        start("server")
        return {"round_trip": start("client", count=count, warm_up=WARM_UP).next()["round_trips"]}


def _start_up(runtime: Runtime, passes: int) -> Samples:
    figures = defaultdict(list)
    with programs(runtime) as start:
        start("ticker", rate=100.0, seconds=0)
        start_up(runtime)  # the first one warms the file cache, and waits for the ticker
        for _ in range(passes):
            for name, value in start_up(runtime).items():
                figures[name].append(value)
    return figures


def _imports(runtime: Runtime, passes: int) -> Samples:
    import_time(runtime)  # the first one fills caches
    return {"import": [import_time(runtime) for _ in range(passes)]}


def _discovery(runtime: Runtime, passes: int) -> Samples:
    names = [f"bench_node_{number}" for number in range(CROWD)]
    with programs(runtime) as start:
        crowd = [
            start("crowd", names=names[one::CROWD_PROCESSES]) for one in range(CROWD_PROCESSES)
        ]
        for process in crowd:
            process.next()
        return {
            "discovery": [start("seeker", names=names).next()["discovery"] for _ in range(passes)]
        }


def _measurements(count: int, passes: int) -> dict[str, Callable[[Runtime], Samples]]:
    """Return what is measured, by name."""
    return {
        "image_640x480": partial(_one_way, kind="image", rate=RATES["image"], count=count),
        "cloud_16x720": partial(_one_way, kind="cloud", rate=RATES["cloud"], count=count),
        **{
            f"subscribers_{number}": partial(
                _one_way, kind="image", rate=FAN_OUT_RATE, count=count // 2, subscribers=number
            )
            for number in SUBSCRIBERS
        },
        "service_1kB": partial(_service, count=count * 3),
        "start_up": partial(_start_up, passes=passes),
        "import": partial(_imports, passes=passes),
        "discovery_20_nodes": partial(_discovery, passes=passes),
    }


def _figures(samples: Samples) -> dict[str, Any]:
    """Return the figures of one measurement, of all rounds together."""
    if "age" in samples:
        published = percentiles(samples["publish"])
        return {
            **percentiles(samples["age"]),
            "publish_ms": published["p50_ms"],
            "publish_p99_ms": published["p99_ms"],
            "lost": len(samples["sent"]) - len(samples["age"]),
        }
    if len(samples) == 1:
        return percentiles(*samples.values())
    return {f"{name}_ms": percentiles(values)["p50_ms"] for name, values in samples.items()}


def _ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return ours divided by theirs for every duration."""
    ratios: dict[str, Any] = {}
    for name, value in ours.items():
        if isinstance(value, dict):
            ratios[name] = _ratios(value, theirs[name])
        elif name.endswith("_ms") and theirs[name]:
            ratios[name.removesuffix("_ms")] = round(value / theirs[name], 3)
    return ratios


def configuration() -> dict[str, Any]:
    """Return the settings of the machine and of the benchmark that matter for the figures."""
    limits = {
        name: int((Path("/proc/sys/net/core") / name).read_text())
        for name in ("rmem_default", "rmem_max")
        if (Path("/proc/sys/net/core") / name).exists()
    }
    return {
        "range": "LOCALHOST, each runtime's own configuration of Cyclone DDS",
        "image_and_cloud_qos": "sensor data: best effort, keep last 5",
        "rates_hz": {**RATES, "subscribers": FAN_OUT_RATE},
        "subscribers": {
            number: f"{processes} processes of {nodes} nodes with one subscription"
            for number, (processes, nodes) in SUBSCRIBERS.items()
        },
        **limits,
    }


def measure(
    count: int = 100,
    rounds: int = 3,
    passes: int = PASSES,
    peer_python: str | None = None,
    only: str = "",
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Return the figures of the standalone runtime, and of its peer where there is one.

    Args:
        count: Messages per round and measurement.
        rounds: Turns of each runtime.
        passes: Start-ups, imports and discoveries per round.
        peer_python: Interpreter that can import ROS 2's rclpy.
        only: Measure only what has this in its name.
        progress: Is told what is being measured.

    Raises:
        UserError: the peer that was asked for cannot be used.
        RuntimeError: a program failed.
    """
    domain = bench_domain()
    theirs = peer(domain, peer_python)
    runtimes = [standalone(domain), *([theirs] if theirs else [])]
    samples: dict[str, dict[str, Samples]] = {runtime.name: {} for runtime in runtimes}
    for name, work in _measurements(count, passes).items():
        if only not in name:
            continue
        for turn in range(rounds):
            for runtime in runtimes:
                progress(f"{name}, round {turn + 1} of {rounds}, {runtime.name}")
                kept = samples[runtime.name].setdefault(name, defaultdict(list))
                for what, values in work(runtime).items():
                    kept[what] += values
    figures = {
        runtime: {name: _figures(kept) for name, kept in of.items()}
        for runtime, of in samples.items()
    }
    result: dict[str, Any] = {"configuration": configuration(), **figures.pop("standalone")}
    if theirs:
        result["peers"] = figures
        result["ratios_to_rclpy"] = _ratios(
            {name: result[name] for name in figures["rclpy"]}, figures["rclpy"]
        )
    return result
