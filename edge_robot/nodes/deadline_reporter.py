"""Measures a stage's runs and publishes them as `edge_robot/msg/DeadlineStatus`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from builtin_interfaces.msg import Time as TimeMsg
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from edge_robot import topics
from edge_robot.deadlines import StageRecord
from edge_robot.msg import DeadlineStatus, StageRun
from edge_robot.nodes.diagnostics import OK, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.stages import Stage

_MOST_RUNS = 500
"""In one report, as `DeadlineStatus` says: more than come in a second."""


class DeadlineReporter:
    """Collects a stage's run times and tells of them once a second.

    On `/deadlines` every run and the histogram of all, on `/diagnostics` whether the budget is
    kept.

    Args:
        node: The node that runs the stage.
        stage: Its row of the stage table.
    """

    def __init__(self, node: Node, stage: Stage) -> None:
        self._node = node
        self._stage = stage
        self._runs: deque[StageRun] = deque(maxlen=_MOST_RUNS)
        self._record = StageRecord(stage)
        self._publisher = node.create_publisher(
            DeadlineStatus, topics.DEADLINES.name, qos_profile(topics.DEADLINES)
        )
        self._diagnostics = DiagnosticsReporter(node, lambda: [self._status()])
        node.create_timer(1.0, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @contextmanager
    def measure(self, capture_stamp: TimeMsg) -> Iterator[StageRun]:
        """Time the body as one run; the body may set `output_stamp` on the run it is given.

        A body that raises is not a run.
        """
        run = StageRun(capture_stamp=capture_stamp)
        start = steady_seconds()
        yield run
        run.elapsed = steady_seconds() - start
        self.add(run)

    def add(self, run: StageRun) -> None:
        """Note a run measured elsewhere."""
        self._runs.append(run)
        self._record.add(run.elapsed)

    def _publish(self) -> None:
        status = DeadlineStatus(
            stage=self._stage.name,
            budget=self._stage.budget,
            runs=list(self._runs),
            total_runs=self._record.runs,
            total_missed=self._record.missed,
            histogram=self._record.histogram.counts,
            worst=self._record.worst,
        )
        status.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(status)
        self._runs.clear()

    def _status(self) -> Status:
        record, budget = self._record, f"{self._stage.budget * 1e3:.0f} ms"
        missed = f"{record.recently_missed:.0%} of the recent runs took longer than {budget}"
        quantiles = {f"p{share}_ms": record.histogram.quantile(share / 100) for share in (50, 99)}
        return Status(
            f"deadline {self._stage.name}",
            OK if record.is_kept else WARN,
            f"within {budget}" if record.is_kept else missed,
            {
                "runs": record.runs,
                "missed": record.missed,
                **{name: time * 1e3 for name, time in quantiles.items() if time is not None},
                "worst_ms": record.worst * 1e3,
            },
        )
