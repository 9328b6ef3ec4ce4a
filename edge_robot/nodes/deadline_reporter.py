"""Measures a stage's runs and publishes them as `edge_robot/msg/DeadlineStatus`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from builtin_interfaces.msg import Time as TimeMsg
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from edge_robot import topics
from edge_robot.msg import DeadlineStatus, StageRun
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.stages import Stage


class DeadlineReporter:
    """Collects a stage's run times and publishes them once a second.

    Args:
        node: The node that runs the stage.
        stage: Its row of the stage table.
    """

    def __init__(self, node: Node, stage: Stage) -> None:
        self._node = node
        self._stage = stage
        self._runs: list[StageRun] = []
        self._total_runs = 0
        self._total_missed = 0
        self._publisher = node.create_publisher(
            DeadlineStatus, topics.DEADLINES.name, qos_profile(topics.DEADLINES)
        )
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
        self._runs.append(run)
        self._total_runs += 1
        self._total_missed += run.elapsed > self._stage.budget

    def _publish(self) -> None:
        status = DeadlineStatus(
            stage=self._stage.name,
            budget=self._stage.budget,
            runs=self._runs,
            total_runs=self._total_runs,
            total_missed=self._total_missed,
        )
        status.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(status)
        self._runs = []
