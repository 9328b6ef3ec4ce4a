"""Publishes how a node is, once a second, as `diagnostic_msgs/DiagnosticArray`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from edge_robot import topics
from edge_robot.nodes.qos import qos_profile

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
ERROR, STALE = DiagnosticStatus.ERROR, DiagnosticStatus.STALE


@dataclass(frozen=True)
class Status:
    """How one thing is.

    Attributes:
        subject: What: `camera`, `detector` …; the node's full name is put before it.
        level: OK, WARN (works, look after it), ERROR (does not) or STALE (nothing heard).
        message: Why, in a few words.
        values: Figures by name, units in the names.
        hardware_id: The part it is about, such as a sensor's frame; empty where there is none.
    """

    subject: str
    level: bytes
    message: str
    values: Mapping[str, object] = field(default_factory=dict)
    hardware_id: str = ""


class DiagnosticsReporter:
    """Asks a node once a second how it is, and publishes the answer.

    Args:
        node: The node.
        collect: Returns what there is to say; called in the node's executor.
    """

    def __init__(self, node: Node, collect: Callable[[], Iterable[Status]]) -> None:
        self._node = node
        self._collect = collect
        self._publisher = node.create_publisher(
            DiagnosticArray, topics.DIAGNOSTICS.name, qos_profile(topics.DIAGNOSTICS)
        )
        node.create_timer(1.0, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        message = DiagnosticArray(status=[self._to_message(item) for item in self._collect()])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _to_message(self, status: Status) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=status.level,
            name=f"{self._node.get_fully_qualified_name().strip('/')}: {status.subject}",
            message=status.message,
            hardware_id=status.hardware_id,
            values=[KeyValue(key=key, value=_text(value)) for key, value in status.values.items()],
        )


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
