"""The slowest answers over links that delay and lose, with replicas and without.

Four robots ask the same at the same time, each over links of its own: one by bare calls over one
connection to one backend, the others by the engine, with one backend and with two, the last one
asking the slowest few twice and encoding frames as its links allow. Once the requests are crops, a
packet each, and once camera frames, which are fifteen.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from edge_robot.bench.runtimes import bench_domain, foremost, programs, standalone
from edge_robot.fleet.offload import Settings
from edge_robot.sim.radio_link import LinkQuality, RadioLink

QUALITY = LinkQuality(delay=0.02, deviation=0.03 / 2**0.5, loss=0.025)
"""Of each direction: there and back, a packet takes 40 ± 30 ms, log-normal, and 5 % are lost."""
RATES = {"crops": 30.0, "frames": 10.0}
"""Requests a second: three crops of every frame."""
CASES = {
    "crops": ("crops", QUALITY),
    "crops_tcp_waits_1_s": ("crops", replace(QUALITY, patience=1.0)),
    "frames": ("frames", QUALITY),
}
"""What is asked, and over which links."""
SERVICE = 0.002
"""Time of an inference, s: little, so that robots do not wait for each other in the backends."""
EXPIRY = 20.0
"""Of a request, s: the slowest are what is looked for."""

_START = 60.0


def measure(count: int, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the tails of the four, and how much shorter the hedged one's is.

    Args:
        count: Crops of each; a third as many frames.
        seed: Of the links.
        progress: Is told of each beginning.

    Raises:
        RuntimeError: a process failed.
    """
    random.seed(seed)
    figures: dict[str, Any] = {}
    for name, (what, quality) in CASES.items():
        rate = RATES[what]
        requests = max(1, round(count * rate / RATES["crops"]))
        progress(f"tail: {requests} {what} of each in {requests / rate:.0f} s ({name})")
        figures[name] = _tails(what, quality, requests)
        if what == "crops":
            bare = figures[name]["bare_calls"]["p99_ms"]
            ideal = oracle(quality, Settings().hedge_cap)
            figures[name]["p99_bare_calls_over_oracle"] = round(bare / ideal, 2)
    return figures


def _tails(what: str, quality: LinkQuality, count: int) -> dict[str, Any]:
    rate = RATES[what]
    fleets = {
        "bare_calls": (1, None, False),
        "one_backend": (1, 0.0, False),
        "two_backends": (2, 0.0, False),
        "two_backends_hedged": (2, Settings().hedge_cap, True),
    }
    with programs(foremost(standalone(bench_domain()))) as start, ExitStack() as stack:
        started = [
            start("offload_backend", host="127.0.0.1", port=0, service=SERVICE) for _ in range(2)
        ]
        ports = [backend.next()["port"] for backend in started]
        askers = {}
        for name, (backends, hedge_cap, adaptive) in fleets.items():
            links = [RadioLink("127.0.0.1", 0, "127.0.0.1", p, quality) for p in ports[:backends]]
            for link in links:
                stack.callback(link.close)
            askers[name] = start(
                "offload_asker",
                what=what,
                adaptive=adaptive and what == "frames",
                endpoints=[f"127.0.0.1:{link.port}" for link in links],
                hedge_cap=hedge_cap,
                requests=count,
                rate=rate,
                expiry=EXPIRY,
            )
        for asker in askers.values():
            asker.next(_START)
        for asker in askers.values():
            asker.go_on()
        figures: dict[str, Any] = {
            name: _summary(asker.next(count / rate + EXPIRY + _START))
            for name, asker in askers.items()
        }
    hedged = figures["two_backends_hedged"]["p99_ms"]
    return {
        "each_direction": asdict(quality),
        "rate_hz": rate,
        **figures,
        **{
            f"p99_{name}_over_hedged": round(figures[name]["p99_ms"] / hedged, 2)
            for name in ("bare_calls", "one_backend")
        },
    }


def oracle(quality: LinkQuality, cap: float, draws: int = 20_000) -> float:
    """Return the p99 of crops that nobody can better, ms.

    The slowest requests, as many as may be asked twice, are known in advance and asked twice at
    once; none ever waits behind another, in the backend or on the way.

    Args:
        quality: Of each direction of the links.
        cap: Share of requests that may be asked twice, 0..1.
        draws: Requests.
    """
    twice = int(cap * draws)
    first, second = (
        np.array([quality.draw() + SERVICE + quality.draw() for _ in range(count)])
        for count in (draws, twice)
    )
    first.sort()
    first[draws - twice :] = np.minimum(first[draws - twice :], second)
    return float(np.quantile(first, 0.99)) * 1e3


def _summary(said: dict[str, Any]) -> dict[str, Any]:
    p50, p95, p99 = np.quantile(said["durations"], [0.5, 0.95, 0.99]) * 1e3
    return {
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "p99_ms": round(float(p99), 1),
        "without_answer": said["without_answer"],
        "extra_percent": round(100.0 * said["hedged"] / said["sent"], 2),
    }
