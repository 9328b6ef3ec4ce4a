"""What an observer of the whole stack writes down, and the figures that follow from it.

Times are those at which the writers wrote, by the wall clock (DDS source timestamps): how late the
observer hears of it does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot import topics
from edge_robot.report.metrics import first_uses
from edge_robot.topics import Topic

PERIOD = 0.02
"""Of control, s."""


@dataclass(frozen=True)
class Command:
    """A velocity command: when it was written and stamped, ns, and whether it is zero."""

    wall: int
    stamp: int
    is_zero: bool


@dataclass(frozen=True)
class ModeNote:
    """A mode, when it was written, ns, and why it is that."""

    wall: int
    mode: str
    cause: str


@dataclass
class Trace:
    """All that was seen.

    Attributes:
        heard: When samples of a topic were written, by its name, ns.
        commands: On the topics of commands, by name.
        time_outs: Wall time, ns, and whether the base has stopped for want of commands.
        clock: Wall and simulated time, ns.
        modes: Each that was published.
        runs: Of the control stage: stamp of the command and of the capture it rests on, ns.
        stages: Run times of each stage, s, by name, each with the wall time of its report, ns.
        collisions: The referee's last count.
    """

    heard: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    commands: dict[str, list[Command]] = field(default_factory=lambda: defaultdict(list))
    time_outs: list[tuple[int, bool]] = field(default_factory=list)
    clock: list[tuple[int, int]] = field(default_factory=list)
    modes: list[ModeNote] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    stages: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    collisions: int = 0

    def last(self, topic: Topic, before: int) -> int | None:
        """Return when the last sample of a topic before a wall time was written, ns."""
        return max((wall for wall in self.heard[topic.name] if wall <= before), default=None)

    def zero_since(self, start: int, end: int) -> int | None:
        """Return since when the wheels were told to stand at the end of a span, ns.

        Returns:
            The first of the zeros on /cmd_vel that nothing but zeros followed until the end; the
            start if there was no other command in the span; None if the last was no zero.
        """
        since = None
        for command in self.commands[topics.CMD_VEL.name]:
            if start <= command.wall <= end:
                since = (since or command.wall) if command.is_zero else None
        return since

    def base_stopped_at(self, start: int, end: int) -> int | None:
        """Return when the base stopped its wheels by itself in a span, ns; None if it did not."""
        inside = (wall for wall, timed_out in self.time_outs if start <= wall <= end and timed_out)
        return next(inside, None)

    def expired(self, start: int, end: int) -> int:
        """Return how many commands in a span reached the wheels after their lifespan."""
        made: dict[int, int] = {}
        for topic in (topics.CMD_VEL_NAV, topics.CMD_VEL_TELEOP):
            for command in self.commands[topic.name]:
                made.setdefault(command.stamp, command.wall)
        limit = topics.CMD_VEL.lifespan * 1e9
        return sum(
            command.wall - made.get(command.stamp, command.wall) > limit
            for command in self.commands[topics.CMD_VEL.name]
            if start <= command.wall <= end and not command.is_zero
        )

    def mode_shares(self, start: int, end: int) -> dict[str, float]:
        """Return the share of a span that each mode had, of those it had, 0..1."""
        shares: dict[str, float] = {}
        ends = [note.wall for note in self.modes[1:]] + [end]
        for note, until in zip(self.modes, ends, strict=False):
            inside = min(until, end) - max(note.wall, start)
            if inside > 0:
                shares[note.mode] = shares.get(note.mode, 0.0) + inside / (end - start)
        return {mode: round(share, 3) for mode, share in shares.items()}


def figures(trace: Trace, start: int, end: int) -> dict[str, Any]:
    """Return how the stack kept its times in a span.

    Args:
        trace: What was seen.
        start: Wall time, ns.
        end: The same.
    """
    latencies = camera_to_command(trace, start, end) * 1e3
    wheels = _gaps(trace, topics.CMD_VEL, start, end)
    clock = np.array([row for row in trace.clock if start <= row[0] <= end])
    walls, simulated = (clock[-1] - clock[0]).tolist() if len(clock) > 1 else (0, 0)
    return {
        "seconds": round((end - start) * 1e-9, 1),
        "real_time_factor": round(simulated / walls, 3) if walls else None,
        "camera_to_cmd_ms": {
            "p50": _percentile(latencies, 50),
            "p99": _percentile(latencies, 99),
            "samples": len(latencies),
        },
        "controller_period": _period(_gaps(trace, topics.CMD_VEL_NAV, start, end)),
        "wheels_period": _period(wheels),
        "deadline_misses": int((wheels > topics.CMD_VEL.deadline).sum()),
        "expired_commands": trace.expired(start, end),
        "modes": trace.mode_shares(start, end),
        "stages_ms": {
            name: {"p50": _percentile(runs, 50), "p99": _percentile(runs, 99)}
            for name, rows in trace.stages.items()
            if len(runs := np.array([run for wall, run in rows if start <= wall <= end]) * 1e3)
        },
    }


def camera_to_command(trace: Trace, start: int, end: int) -> NDArray[np.float64]:
    """Return the times from captures to the first commands at the wheels that used them, (n,), s.

    As `edge_robot.report.metrics.camera_to_command` has it: the controller says which capture each
    command rests on, and commands keep their stamp to the wheels.
    """
    if len(trace.clock) < 2:
        return np.zeros(0)
    published = {command.stamp: command.wall for command in trace.commands[topics.CMD_VEL.name]}
    captures, commands = first_uses(trace.runs, published, start, end)
    walls, simulated = np.array(sorted(trace.clock), np.float64).T
    latencies: NDArray[np.float64] = (commands - np.interp(captures, simulated, walls)) * 1e-9
    return latencies


def _gaps(trace: Trace, topic: Topic, start: int, end: int) -> NDArray[np.float64]:
    walls = [c.wall for c in trace.commands[topic.name] if start <= c.wall <= end]
    gaps: NDArray[np.float64] = np.diff(np.array(walls, np.int64)).astype(np.float64) * 1e-9
    return gaps


def _period(gaps: NDArray[np.float64]) -> dict[str, float | None]:
    """Return mean, ms, and jitter in periods: standard deviation and the longest gap."""
    if not len(gaps):
        return {"mean_ms": None, "std_periods": None, "worst_periods": None}
    return {
        "mean_ms": round(float(gaps.mean()) * 1e3, 2),
        "std_periods": round(float(gaps.std()) / PERIOD, 3),
        "worst_periods": round(float(gaps.max()) / PERIOD, 2),
    }


def _percentile(values: NDArray[np.float64], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 2) if len(values) else None
