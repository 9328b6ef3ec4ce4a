"""Deadlines that travel with the data, and how they were kept.

A deadline belongs to the data, not to whoever works on them: it follows from the capture stamp that
every message of the chain carries on (`TrackedObjectArray.capture_stamp`,
`Trajectory.capture_stamp`, `StageRun.capture_stamp`), so each stage knows what the ones before it
have left. Plain Python; the table of stages is in `edge_robot.stages`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_robot.stages import CAMERA_TO_COMMAND_BUDGET, Stage, reserve_after


@dataclass(frozen=True)
class Budget:
    """What may still be spent on data, until the command that rests on them is due.

    Attributes:
        capture: When the data were captured, s on the clock of header stamps.
        deadline: When the command is due, s on the same clock.
    """

    capture: float
    deadline: float

    @classmethod
    def of(cls, capture: float, total: float = CAMERA_TO_COMMAND_BUDGET) -> Budget:
        """Return the budget of data captured at `capture`, s; `total` from there to the wheels."""
        return cls(capture, capture + total)

    def left(self, now: float) -> float:
        """Return the time until the deadline, s; negative when it has passed."""
        return self.deadline - now

    def for_stage(self, stage: Stage, now: float, least: float = 0.0) -> float:
        """Return what a stage may take now, s.

        Its budget in the table, or what is left when the stages behind it have had theirs; but not
        less than `least`: data that come late are not served by a useless answer.
        """
        return max(least, min(stage.budget, self.left(now) - reserve_after(stage)))


BIN_EDGES: tuple[float, ...] = tuple(1e-4 * 10 ** (i / 20) for i in range(101))
"""Edges of the bins of every histogram of run times: 20 a decade from 0.1 ms to 10 s."""


@dataclass
class Histogram:
    """Run times counted in bins of `BIN_EDGES`.

    Attributes:
        counts: How many runs fell below the first edge, between each two, and from the last on.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BIN_EDGES) + 1))

    def add(self, elapsed: float) -> None:
        """Count a run of `elapsed` seconds."""
        self.counts[bisect_right(BIN_EDGES, elapsed)] += 1

    def quantile(self, share: float) -> float | None:
        """Return the time that `share` (0..1) of the runs kept within, s; None without runs.

        Within a bin it is interpolated, so it is off by at most a bin, 12 %; of times outside the
        edges only the edge is known.
        """
        wanted, seen = share * sum(self.counts), 0
        for index, count in enumerate(self.counts):
            if count and seen + count >= wanted:
                low = BIN_EDGES[max(index - 1, 0)]
                high = BIN_EDGES[min(index, len(BIN_EDGES) - 1)]
                return float(low * (high / low) ** ((wanted - seen) / count))
            seen += count
        return None


class StageRecord:
    """How a stage has kept its budget; its size does not grow with time.

    Args:
        stage: Its row of the table.

    Attributes:
        histogram: Of all runs.
        runs: How many there were.
        missed: How many of them took longer than the budget.
        worst: The longest, s.
    """

    _RECENT = 200
    _TOLERATED = 0.05  # the budgets are 95th percentiles

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.histogram = Histogram()
        self.runs = self.missed = 0
        self.worst = 0.0
        self._recent: deque[bool] = deque(maxlen=self._RECENT)

    def add(self, elapsed: float) -> None:
        """Note a run of `elapsed` seconds."""
        missed = elapsed > self.stage.budget
        self.histogram.add(elapsed)
        self.runs += 1
        self.missed += missed
        self.worst = max(self.worst, elapsed)
        self._recent.append(missed)

    @property
    def recently_missed(self) -> float:
        """Share of the last 200 runs that took longer than the budget, 0..1."""
        return sum(self._recent) / len(self._recent) if self._recent else 0.0

    @property
    def is_kept(self) -> bool:
        """Whether the budget is kept as promised: by 95 % of the recent runs."""
        return self.recently_missed <= self._TOLERATED


class CommandLatency:
    """Joins what the controller says of its commands with when they came out at the wheels.

    The controller tells which capture each command rests on; multiplexer and collision monitor
    keep a command's stamp. The first command of every capture counts. Holds the commands of about
    the last five seconds.
    """

    _KEPT = 256
    _CLOCK_SET_BACK = 1_000_000_000  # ns; more than captures ever come out of order

    def __init__(self) -> None:
        self._heard: dict[int, float] = {}
        self._newest = 0

    def heard(self, stamp: int, now: float) -> None:
        """Note a command at the wheels: its stamp, ns, and when it came, s."""
        self._heard.setdefault(stamp, now)
        if len(self._heard) > self._KEPT:
            del self._heard[next(iter(self._heard))]

    def join(self, runs: Iterable[tuple[int, int]]) -> list[tuple[int, int, float]]:
        """Return the commands that first used a capture.

        Args:
            runs: Of the control stage, oldest first: capture stamp and stamp of the command, ns.

        Returns:
            Capture stamp and stamp of the command, ns, and when it was heard, s.
        """
        found = []
        for capture, stamp in runs:
            if 0 < capture < self._newest - self._CLOCK_SET_BACK:
                self._newest = 0
            if capture > self._newest:
                self._newest = capture
                if stamp in self._heard:
                    found.append((capture, stamp, self._heard[stamp]))
        return found
