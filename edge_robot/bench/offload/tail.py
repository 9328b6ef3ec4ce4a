"""The slowest answers over a link that delays and loses packets, with replicas and without.

Robots ask the same at the same time over the kernel's own TCP: by bare calls over one connection to
one backend, and by the engine, with one backend and with two, of which it asks the slowest few
twice. Once the requests are crops, two packets each, and once camera frames of forty, which the
engine encodes as its link allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_robot.bench.bad_link import OPERATOR, Quality, bad_link
from edge_robot.bench.runtimes import bench_domain, foremost, programs, standalone
from edge_robot.fleet.offload import Settings
from edge_robot.sim.radio_link import log_normal

QUALITY = Quality(delay=0.02, deviation=0.03 / 2**0.5, loss=0.025)
"""Of each direction: there and back, a packet takes 40 ± 30 ms, log-normal, and 5 % are lost."""
RATES = {"crops": 30.0, "frames": 10.0}
"""Requests a second: three crops of every frame."""
CASES = {
    "crops": ("crops", "cubic"),
    "frames": ("frames", "cubic"),
    "frames_bbr": ("frames", "bbr"),
}
"""What is asked, and the congestion control at both ends."""
ASKERS: dict[str, tuple[int, float | None]] = {
    "bare_calls": (1, None),
    "one_backend": (1, 0.0),
    "two_backends_hedged": (2, Settings().hedge_cap),
}
"""Backends of each, none of them shared: what one cannot get through would fill another's. And the
share of requests asked twice; None: bare calls."""
SERVICE = 0.002
"""Time of an inference, s: little, so that robots do not wait for each other in the backends."""
EXPIRY = 20.0
"""Of a request, s: the slowest are what is looked for."""

_START = 60.0
_DRAWS = 100_000


def measure(count: int, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the tails of all, and how much shorter the hedged one's is.

    Args:
        count: Crops of each; a third as many frames.
        seed: Of what is lost and delayed.
        progress: Is told of each beginning, and why one is left out.

    Raises:
        RuntimeError: a process failed.
    """
    random.seed(seed)
    figures: dict[str, Any] = {"p99_of_the_delays_ms": round(1e3 * _p99_of_the_delays(), 1)}
    for name, (what, congestion_control) in CASES.items():
        requests = max(1, round(count * RATES[what] / RATES["crops"]))
        seconds = requests / RATES[what]
        progress(f"tail: {requests} {what} of each in {seconds:.0f} s ({congestion_control})")
        try:
            figures[name] = _tails(what, congestion_control, requests, seed)
        except OSError as error:
            progress(f"tail: left out: {error}")
            figures[name] = {"left_out": str(error)}
    return figures


def _tails(what: str, congestion_control: str, count: int, seed: int) -> dict[str, Any]:
    runtime = standalone(bench_domain())
    with (
        bad_link(runtime, congestion_control, seed) as link,
        programs(foremost(link.operator)) as start_backend,
        programs(foremost(link.robot)) as start_asker,
    ):
        askers = {}
        for name, (backends, hedge_cap) in ASKERS.items():
            options = {"host": OPERATOR, "port": 0, "service": SERVICE}
            started = [start_backend("offload_backend", **options) for _ in range(backends)]
            askers[name] = start_asker(
                "offload_asker",
                what=what,
                endpoints=[f"{OPERATOR}:{backend.next()['port']}" for backend in started],
                hedge_cap=hedge_cap,
                requests=count,
                rate=RATES[what],
                expiry=EXPIRY,
            )
        link.set(QUALITY, QUALITY)
        for asker in askers.values():
            asker.next(_START)
        for asker in askers.values():
            asker.go_on()
        limit = count / RATES[what] + EXPIRY + _START
        figures = {name: _summary(asker.next(limit)) for name, asker in askers.items()}
    hedged = figures["two_backends_hedged"]["p99_ms"]
    ratios = {
        f"p99_{name}_over_hedged": round(figures[name]["p99_ms"] / hedged, 2)
        for name in ("bare_calls", "one_backend")
    }
    return {"rate_hz": RATES[what], **figures, **ratios}


def _p99_of_the_delays() -> float:
    """Return within how long 99 % are answered where nothing is lost, nor asked twice, s."""
    delay, deviation = QUALITY.delay, QUALITY.deviation
    there_and_back = [
        log_normal(delay, deviation) + SERVICE + log_normal(delay, deviation) for _ in range(_DRAWS)
    ]
    return float(np.quantile(there_and_back, 0.99))


def _summary(said: dict[str, Any]) -> dict[str, Any]:
    """Return the quantiles; what had no answer counts as long as one is waited for."""
    p50, p95, p99 = np.quantile(said["durations"], [0.5, 0.95, 0.99]) * 1e3
    return {
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "p99_ms": round(float(p99), 1),
        "without_answer": said["without_answer"],
        "extra_percent": round(100.0 * said["hedged"] / said["asked"], 2),
        "bytes_per_request": round(said["bytes"] / said["asked"]),
    }
