"""Decides what the robot permits itself: the life of inputs, `DEADLINES`, `ESTOP` → `MODE`."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Bool

from edge_robot import topics
from edge_robot.control.modes import Conditions, Mode, ModeMachine
from edge_robot.introspection.interfaces import interface_class
from edge_robot.msg import DeadlineStatus, LinkState, RobotMode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds

_PERIOD = 0.02  # s


class ModeManager(Node):
    """Listens for signs of life and publishes the mode on every change and once a second."""

    def __init__(self) -> None:
        super().__init__("mode_manager")
        self._vital = {
            topics.TRACKS: self._silence("tracks_timeout", 0.5),
            topics.SCAN: self._silence("scan_timeout", 0.3),
            topics.ODOM: self._silence("odom_timeout", 0.3),
            topics.ESTOP: self._silence("estop_timeout", 2.5),
        }
        self._helpful = {
            topics.CAMERA_DETECTIONS: self._silence("camera_timeout", 0.6),
            topics.LIDAR_DETECTIONS: self._silence("lidar_timeout", 0.6),
        }
        nominal = self._parameter("nominal_speed", 1.4, "speed permitted when all is well, m/s")
        reduced = self._parameter("reduced_speed", 0.6, "speed permitted when degraded, m/s")
        self._speed = {Mode.NOMINAL: nominal, Mode.REDUCED: reduced}
        self._operator_lease = self._parameter(
            "operator_lease", 0.25, "how long a command of an operator shows that one drives, s"
        )
        self._late_share = self._parameter(
            "late_share", 0.5, "share of a stage's runs over budget from which it counts, 0..1"
        )
        self._machine = ModeMachine(
            self._parameter("recovery", 1.0, "how long all must be well before going faster, s")
        )
        self._heard: dict[str, float] = {}
        self._late: dict[str, float] = {}
        self._link: LinkState | None = None
        self._stopped = False
        self._goals = 0
        self._since = self.get_clock().now().to_msg()

        for topic in (*self._vital, *self._helpful, topics.CMD_VEL_TELEOP):
            if topic is not topics.ESTOP:
                self._listen(topic, self._on_sign_of_life(topic), raw=True)
        self._listen(topics.ESTOP, self._on_estop)
        self._listen(topics.DEADLINES, self._on_deadlines)
        self._listen(topics.LINK, self._on_link)
        self._listen(topics.GOAL, self._on_goal)
        self._publisher = self.create_publisher(
            RobotMode, topics.MODE.name, qos_profile(topics.MODE)
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_PERIOD, self._update, clock=steady)
        self.create_timer(1.0, self._publish, clock=steady)

    def _parameter(self, name: str, default: float, about: str) -> float:
        descriptor = ParameterDescriptor(description=about)
        return float(self.declare_parameter(name, default, descriptor).value)

    def _silence(self, name: str, default: float) -> float:
        return self._parameter(name, default, "silence after which this input counts as lost, s")

    def _listen(self, topic: topics.Topic, callback: Any, raw: bool = False) -> None:
        kind = interface_class(topic.type)
        self.create_subscription(kind, topic.name, callback, qos_profile(topic), raw=raw)

    def _on_sign_of_life(self, topic: topics.Topic) -> Any:
        def note(_message: bytes) -> None:
            self._heard[topic.name] = steady_seconds()

        return note

    def _on_estop(self, message: Bool) -> None:
        self._heard[topics.ESTOP.name] = steady_seconds()
        self._stopped = message.data
        self._update()

    def _on_deadlines(self, status: DeadlineStatus) -> None:
        missed = sum(run.elapsed > status.budget for run in status.runs)
        share = missed / len(status.runs) if status.runs else 0.0
        # Two reports: one slow second in a loaded machine is no degradation.
        self._late[status.stage] = 0.5 * (self._late.get(status.stage, 0.0) + share)

    def _on_link(self, link: LinkState) -> None:
        self._link = link

    def _on_goal(self, _goal: PoseStamped) -> None:
        self._goals += 1
        self._update()

    def _update(self) -> None:
        now, before = steady_seconds(), self._machine.mode
        if self._machine.update(self._conditions(now), now):
            if self._machine.mode is not before:
                self._since = self.get_clock().now().to_msg()
            self.get_logger().info(f"{self._machine.mode.name}: {self._machine.cause}")
            self._publish()

    def _conditions(self, now: float) -> Conditions:
        inputs = {**self._vital, **self._helpful}
        missing = tuple(topic.name for topic in inputs if topic.name not in self._heard)
        silent = [t for t, limit in inputs.items() if now - self._heard.get(t.name, 0.0) > limit]
        slow = [stage for stage, share in self._late.items() if share > self._late_share]
        operator = self._heard.get(topics.CMD_VEL_TELEOP.name)
        link_down = self._link is not None and not self._link.up
        return Conditions(
            missing=missing,
            lost=tuple(topic.name for topic in silent if topic in self._vital),
            degraded=(
                *(f"lost {topic.name}" for topic in silent if topic in self._helpful),
                *(f"{stage} misses its budget" for stage in slow),
            ),
            notes=("no fleet link: onboard perception alone",) if link_down else (),
            stopped=self._stopped,
            operated=operator is not None and now - operator < self._operator_lease,
            goals=self._goals,
        )

    def _publish(self) -> None:
        message = RobotMode(
            mode=int(self._machine.mode),
            cause=self._machine.cause,
            since=self._since,
            max_speed=self._speed.get(self._machine.mode, 0.0),
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(message)


def main() -> None:
    """Run the node."""
    run(ModeManager)


if __name__ == "__main__":
    main()
