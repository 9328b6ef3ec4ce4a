"""The slowest answers over links that delay and lose, with replicas and without.

Three engines offer the same small requests at the same time, each over links of its own: one knows
one backend, two know two, of which one asks the slowest few twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import numpy as np

from edge_robot.bench.runtimes import bench_domain, programs, standalone
from edge_robot.fleet.offload import Settings
from edge_robot.sim.radio_link import RETRANSMISSION_TIMEOUT, LinkQuality, RadioLink

QUALITY = LinkQuality(delay=0.02, deviation=0.03 / 2**0.5, loss=0.025)
"""Of each direction: there and back, a packet takes 40 ± 30 ms, log-normal, and 5 % are lost."""
RATE = 30.0
"""Requests a second: three crops of every frame."""
SERVICE = 0.01
"""Time of an inference, s."""
EXPIRY = 20.0
"""Of a request, s: the slowest are what is looked for."""

_START = 60.0


def measure(count: int, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the tails of the three, and how much shorter the hedged one's is.

    Args:
        count: Requests of each.
        seed: Of the links.
        progress: Is told of the beginning.

    Raises:
        RuntimeError: a process failed.
    """
    random.seed(seed)
    fleets = {
        "one_backend": (1, 0.0),
        "two_backends": (2, 0.0),
        "two_backends_hedged": (2, Settings().hedge_cap),
    }
    with programs(standalone(bench_domain())) as start, ExitStack() as stack:
        started = [
            start("offload_backend", host="127.0.0.1", port=0, service=SERVICE) for _ in range(2)
        ]
        ports = [backend.next()["port"] for backend in started]
        askers = {}
        for name, (backends, hedge_cap) in fleets.items():
            links = [RadioLink("127.0.0.1", 0, "127.0.0.1", p, QUALITY) for p in ports[:backends]]
            for link in links:
                stack.callback(link.close)
            askers[name] = start(
                "offload_asker",
                endpoints=[f"127.0.0.1:{link.port}" for link in links],
                hedge_cap=hedge_cap,
                requests=count,
                rate=RATE,
                expiry=EXPIRY,
            )
        for asker in askers.values():
            asker.next(_START)
        progress(f"tail: {count} requests of each in {count / RATE:.0f} s")
        for asker in askers.values():
            asker.go_on()
        figures: dict[str, Any] = {
            name: _summary(asker.next(count / RATE + EXPIRY + _START), count)
            for name, asker in askers.items()
        }
    one, hedged = figures["one_backend"]["p99_ms"], figures["two_backends_hedged"]["p99_ms"]
    return {
        "each_direction": {**asdict(QUALITY), "retransmission_timeout": RETRANSMISSION_TIMEOUT},
        "rate_hz": RATE,
        **figures,
        "p99_one_backend_over_hedged": round(one / hedged, 2),
        "p99_one_backend_over_oracle": round(one / oracle(Settings().hedge_cap), 2),
    }


def oracle(cap: float, draws: int = 20_000) -> float:
    """Return the p99 that nobody can better, ms.

    The slowest requests, as many as may be asked twice, are known in advance and asked twice at
    once; none ever waits behind another, in the backend or on the way.

    Args:
        cap: Share of requests that may be asked twice, 0..1.
        draws: Requests.
    """
    first, second = (
        np.sort([QUALITY.draw() + SERVICE + QUALITY.draw() for _ in range(draws)]) for _ in range(2)
    )
    slowest = draws - int(cap * draws)
    np.random.default_rng(0).shuffle(second)
    first[slowest:] = np.minimum(first[slowest:], second[slowest:])
    return float(np.quantile(first, 0.99)) * 1e3


def _summary(said: dict[str, Any], count: int) -> dict[str, Any]:
    p50, p95, p99 = np.quantile(said["durations"], [0.5, 0.95, 0.99]) * 1e3
    return {
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "p99_ms": round(float(p99), 1),
        "without_answer": count - len(said["durations"]),
        "extra_percent": round(100.0 * said["hedged"] / said["sent"], 2),
    }
