"""Robots that look at a scene at 10 Hz while the way to their backend, and it itself, fail.

The same faults, on the same backends, meet three policies at once: the offload engine, with one
backend and with two, and what Sedna and LeRobot do. Faults of the way meet both backends, those of
a process only the first. Counted is what a robot has of each frame at its deadline.
"""

from __future__ import annotations

import math
import os
import random
import signal
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.figures import percentiles
from edge_robot.bench.offload.chart import fault_chart
from edge_robot.bench.offload.namespaces import Namespaces
from edge_robot.bench.offload.robot import FLEET, Result
from edge_robot.bench.offload.ways import (
    BLACK_HOLE,
    BROWN_OUT,
    LINK_DOWN,
    ONE_WAY_LOSS,
    RESET,
    Loopback,
    Way,
)
from edge_robot.bench.runtimes import Program, Runtime, bench_domain, standalone

STOPPED, KILLED = "stopped server", "killed server"
KINDS = (BLACK_HOLE, RESET, STOPPED, KILLED, LINK_DOWN, BROWN_OUT, ONE_WAY_LOSS)

DEADLINE = 0.05
"""Age of a frame by which its result is wanted, s. At 10 Hz results of answers that come at once
and of such as come at the deadline are then at most 150 ms apart, less what an answer takes."""
EXPIRY = 0.3
"""Age after which the fleet's answer is of no use, s."""
SERVICE = 0.01
"""Time of an inference in the backend, s."""

Moments = NDArray[np.float64]

_POLICIES = {
    "engine": ("ours", 1),
    "engine_two_backends": ("ours", 2),
    "sedna": ("sedna", 1),
    "lerobot": ("lerobot", 1),
}
_LENGTH = (0.5, 2.0)
"""Of a fault, s; a brown-out always has the longer time."""
_CALM = (0.5, 1.5)
"""Between the recovery from a fault and the next, s."""
_SETTLED = 0.5
"""After a fault, s: from then on the way and the backend are well."""
_PATIENCE = 10.0
"""Longest wait for that recovery, s."""
_START = 30.0
"""Longest wait for a process to be there, s."""


@dataclass(frozen=True)
class Fault:
    """One of the faults; times in s of `time.monotonic`."""

    kind: str
    begun: float
    ended: float


@dataclass
class Robot:
    """A robot's process, and all it said so far.

    Attributes:
        results: In the order they came.
        links: When the link to the first backend went up or down, s of `time.monotonic`.
        camera: Start of its camera, s.
        given_up: Frames for which the engine said that there will be no result.
    """

    program: Program
    first: str
    results: list[Result] = field(default_factory=list)
    links: list[tuple[float, bool]] = field(default_factory=list)
    camera: float = 0.0
    given_up: int = 0

    def listen(self) -> None:
        """Take in what it has said since."""
        for line in self.program.waiting():
            if "result" in line:
                self.results.append(Result(**line["result"]))
            elif "link" in line:
                if line["link"]["endpoint"] == self.first:
                    self.links.append((line["link"]["at"], line["link"]["up"]))
            elif "given_up" in line:
                self.given_up += 1
            else:
                self.camera = line["camera"]

    def answered_since(self, when: float) -> bool:
        """Return whether the fleet answered a frame that was captured since."""
        return any(_of_fleet(result, when) for result in self.results[-100:])


def measure(
    count: int,
    rate: float,
    seed: int,
    progress: Callable[[str], None],
    sofar: Callable[[dict[str, Any]], None],
    chart: Path | None = None,
) -> dict[str, Any]:
    """Return what becomes of the results of each policy through many faults.

    Args:
        count: Faults; as many of each kind as possible.
        rate: Frames per second.
        seed: Of their order, lengths and times.
        progress: Is told of every tenth.
        sofar: Is given the figures at every tenth.
        chart: Where to draw the results around the first fault of each kind, as SVG.

    Raises:
        RuntimeError: a process ended by itself.
    """
    choice = random.Random(seed)
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    choice.shuffle(kinds)
    faults: list[Fault] = []
    figures: dict[str, Any] = {}
    with _way(standalone(bench_domain()), choice, progress) as way, ExitStack() as stack:
        site = _Site(way, stack)
        robots = site.robots(rate, seed)
        begun = site.wait_for_answers(robots)
        for number, kind in enumerate(kinds, 1):
            site.listen(robots, choice.uniform(*_CALM))
            length = _LENGTH[1] if kind == BROWN_OUT else choice.uniform(*_LENGTH)
            faults.append(site.fault(robots, kind, length))
            if number % 10 == 0 or number == count:
                site.listen(robots, EXPIRY)
                ended = time.monotonic()
                figures = {
                    "faults": number,
                    "rate_hz": rate,
                    "deadline_ms": DEADLINE * 1e3,
                    "minutes": round((ended - begun) / 60.0, 2),
                    "by_way_of": way.name,
                    **{n: summary(r, faults, rate, begun, ended) for n, r in robots.items()},
                }
                sofar(figures)
                ours = figures["engine"]
                progress(
                    f"fault {number} of {count}: {ours['on_deadline_percent']} % on deadline, "
                    f"largest gap {ours['largest_gap_ms']:.0f} ms"
                )
    if chart is not None:
        drawn = [(fault.kind, fault.begun, fault.ended) for fault in faults]
        streams = {name: robot.results for name, robot in robots.items()}
        chart.write_text(fault_chart(streams, drawn))
    return figures


def in_short(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures for people: by the kind of fault for the engine with one backend alone."""
    short = dict(figures)
    for name in set(_POLICIES) - {"engine"}:
        short[name] = {key: value for key, value in figures[name].items() if key != "by_kind"}
    return short


@contextmanager
def _way(runtime: Runtime, choice: random.Random, progress: Callable[[str], None]) -> Iterator[Way]:
    way: Way
    try:
        way = Namespaces(runtime, choice)
    except OSError as error:
        progress(f"no network namespaces here, a proxy instead: {error}")
        way = Loopback(runtime, choice)
    try:
        yield way
    finally:
        way.close()


class _Site:
    """Backends and robots at the ends of a way, ended with the stack."""

    def __init__(self, way: Way, stack: ExitStack) -> None:
        self._way, self._stack = way, stack
        most = max(backends for _, backends in _POLICIES.values())
        self._backends = [self._start_backend(0) for _ in range(most)]
        self._ports = [backend.next(_START)["port"] for backend in self._backends]
        self._endpoints = way.endpoints(self._ports)

    def robots(self, rate: float, seed: int) -> dict[str, Robot]:
        """Start the robots."""
        return {
            name: self._start_robot(policy, self._endpoints[:backends], rate, seed)
            for name, (policy, backends) in _POLICIES.items()
        }

    def wait_for_answers(self, robots: dict[str, Robot]) -> float:
        """Return when every robot had an answer of the fleet."""
        end = time.monotonic() + _START
        while not all(robot.answered_since(0.0) for robot in robots.values()):
            self.listen(robots, 0.1)
            if time.monotonic() > end:
                raise RuntimeError("a robot had no answer of the fleet")
        return time.monotonic()

    def listen(self, robots: dict[str, Robot], seconds: float) -> None:
        """Take in what the robots say for a time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.02)
            for robot in robots.values():
                robot.listen()
                if robot.program.process.poll() is not None:
                    raise RuntimeError(f"a robot ended: {robot.program.errors()}")

    def fault(self, robots: dict[str, Robot], kind: str, length: float) -> Fault:
        """Let a fault begin and end, and wait until the engine has an answer again."""
        first = self._backends[0]
        begun = time.monotonic()
        if kind == KILLED:
            first.kill()
        elif kind == STOPPED:
            first.process.send_signal(signal.SIGSTOP)
        else:
            self._way.begin(kind)
        if kind != RESET:
            self.listen(robots, length)
        if kind == KILLED:
            self._backends[0] = self._start_backend(self._ports[0])
            self._backends[0].next(_START)
        elif kind == STOPPED:
            first.process.send_signal(signal.SIGCONT)
        elif kind != RESET:
            self._way.end(kind)
        ended = time.monotonic()
        while time.monotonic() < ended + _PATIENCE:
            self.listen(robots, 0.1)
            if robots["engine"].answered_since(ended):
                break
        return Fault(kind, begun, ended)

    def _start_backend(self, port: int) -> Program:
        options = {"host": self._way.host, "port": port, "service": SERVICE}
        return self._run(self._way.backend, "offload_backend", options)

    def _start_robot(self, policy: str, endpoints: list[str], rate: float, seed: int) -> Robot:
        options = {
            "policy": policy,
            "endpoints": endpoints,
            "rate": rate,
            "deadline": DEADLINE,
            "expiry": EXPIRY,
            "seed": seed,
        }
        return Robot(self._run(self._way.robot, "offload_robot", options), endpoints[0])

    def _run(self, runtime: Runtime, name: str, options: dict[str, Any]) -> Program:
        program = Program(runtime, name, **options)
        self._stack.callback(_end, program)
        return program


def _end(program: Program) -> None:
    if program.process.poll() is None:
        os.kill(program.process.pid, signal.SIGCONT)
        program.kill()  # a robot that waits for an answer hears nothing else
    program.stop()


def summary(
    robot: Robot, faults: list[Fault], rate: float, begun: float, ended: float
) -> dict[str, Any]:
    """Return the figures of one robot, of the frames captured in a time.

    Args:
        robot: With its results.
        faults: In their order.
        rate: Frames per second.
        begun: First moment, s.
        ended: Last moment, s; frames of the last `EXPIRY` before it are left out, their results
            may be still to come.
    """
    firsts: dict[int, Result] = {}
    for result in robot.results:
        if result.lamp:  # what does not hold it is no valid result
            firsts.setdefault(result.frame, result)
    # Rounded up to the frame on or after a moment; a hair less for what division leaves over.
    numbers = range(*(math.ceil((t - robot.camera) * rate - 1e-6) for t in (begun, ended - EXPIRY)))
    captured = np.array([robot.camera + number / rate for number in numbers])
    there = np.array(
        [firsts[number].at if number in firsts else np.inf for number in numbers], float
    )
    in_time = there <= captured + DEADLINE
    old = np.array(
        [firsts[n].captured - firsts[n].observed if n in firsts else np.nan for n in numbers]
    )
    ends, gaps = _gaps(np.array([result.at for result in firsts.values()]), begun, ended)
    windows = [fault.begun for fault in faults] + [ended]
    by_kind: dict[str, Any] = {}
    for kind in dict.fromkeys(fault.kind for fault in faults):
        chosen = [number for number, fault in enumerate(faults) if fault.kind == kind]
        spans = [(windows[number], windows[number + 1]) for number in chosen]
        within = np.any([(a <= captured) & (captured < b) for a, b in spans], axis=0)
        by_kind[kind] = {
            "faults": len(chosen),
            "on_deadline_percent": _percent(in_time[within]),
            "largest_gap_ms": _largest(gaps, ends, spans),
            **_reactions(robot, [faults[number] for number in chosen], windows),
        }
    valid = [firsts[number] for number in numbers if number in firsts]
    calm = _captured_when_well(valid, faults, windows)
    return {
        "frames": len(numbers),
        "on_deadline_percent": _percent(in_time),
        "missed": int(np.sum(~in_time)),
        "without_any_result": int(np.sum(np.isinf(there))),
        "given_up": robot.given_up,
        "largest_gap_ms": round(float(gaps.max()), 1),
        "gap_p99_ms": round(float(np.quantile(gaps, 0.99)), 1),
        "by_the_fleet_percent": _percent(np.array([result.by == FLEET for result in valid])),
        "by_the_fleet_when_well_percent": _percent(np.array([r.by == FLEET for r in calm])),
        "on_board_when_well_because": dict(Counter(r.why for r in calm if r.why)),
        "observed_before_p99_ms": round(float(np.nanquantile(old, 0.99)) * 1e3, 1),
        "frame_taken_after_max_ms": round(
            1e3 * max((result.taken - result.captured for result in valid), default=0.0), 1
        ),
        "empty_answers": sum(not result.lamp for result in robot.results),
        "by_kind": by_kind,
    }


def _gaps(there: Moments, begun: float, ended: float) -> tuple[Moments, Moments]:
    """Return when results came, and both ends of the time, and how long after the last, ms."""
    inside = np.sort(there[(there >= begun) & (there <= ended)])
    moments = np.concatenate([[begun], inside, [ended]])
    return moments[1:], np.diff(moments) * 1e3


def _largest(gaps: Moments, ends: Moments, spans: list[tuple[float, float]]) -> float:
    """Return the largest gap that ended within one of the spans, ms."""
    within = np.any([(a <= ends) & (ends <= b) for a, b in spans], axis=0)
    return round(float(gaps[within].max(initial=0.0)), 1)


def _percent(flags: NDArray[np.bool_]) -> float:
    return round(100.0 * float(flags.mean()), 3) if len(flags) else float("nan")


def _captured_when_well(
    results: list[Result], faults: list[Fault], windows: list[float]
) -> list[Result]:
    """Return those of frames that were captured when a fault was over and the next not begun."""
    captured = [result.captured for result in results]
    chosen = []
    for fault, over in zip(faults, windows[1:], strict=True):
        first, last = (bisect_left(captured, when) for when in (fault.ended + _SETTLED, over))
        chosen += results[first:last]
    return chosen


def _reactions(robot: Robot, faults: list[Fault], windows: list[float]) -> dict[str, Any]:
    """Return how soon the loss of the link was known, and how soon the fleet answered again."""
    noticed, recovered = [], []
    times = [result.at for result in robot.results]
    for fault in faults:
        over = windows[windows.index(fault.begun) + 1]
        downs = [at for at, up in robot.links if not up and fault.begun <= at < over]
        if downs:
            noticed.append(downs[0] - fault.begun)
        since = robot.results[bisect_left(times, fault.ended) : bisect_left(times, over)]
        answers = [result.at for result in since if _of_fleet(result, fault.ended)]
        if answers:
            recovered.append(answers[0] - fault.ended)
    figures: dict[str, Any] = {"recovered": len(recovered), "recovery": percentiles(recovered)}
    if robot.links:
        figures |= {"noticed": len(noticed), "notice": percentiles(noticed)}
    return figures


def _of_fleet(result: Result, since: float) -> bool:
    return result.by == FLEET and result.observed >= since
