"""The last stage before the wheels: `CMD_VEL_MUX` and raw `SCAN` → `CMD_VEL`."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Twist, TwistStamped
from numpy.typing import NDArray
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer

from edge_robot import topics
from edge_robot.control.collision_monitor import Action, MonitorConfig, check
from edge_robot.nodes.conversions import nanoseconds
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.sensing import Mounts, scan_points
from edge_robot.nodes.steady import steady_seconds
from edge_robot.planning.robot import Footprint

_LONGEST_SILENCE = 0.045  # s; leaves some delay until the deadline
assert topics.CMD_VEL.qos.lifespan is not None
_LIFESPAN = round(topics.CMD_VEL.qos.lifespan * 1e9)  # ns


class CollisionMonitor(Node):
    """Passes, slows or stops each command on arrival; zero without commands or without eyes."""

    def __init__(self) -> None:
        super().__init__("collision_monitor")
        self._scan_timeout = self.declare_parameter(
            "scan_timeout",
            0.25,
            ParameterDescriptor(description="silence of the scan above which the robot stops, s"),
        ).value
        self._stamped = self.declare_parameter(
            "stamped", True, ParameterDescriptor(description="TwistStamped; false: Twist")
        ).value
        self._footprint = declare_settings(self, Footprint())
        self._config = declare_settings(self, MonitorConfig())
        self._points: NDArray[np.float64] = np.empty((0, 2))
        self._scan_heard = -np.inf
        self._scan_stamp = 0
        self._action = Action.PASS
        self._buffer = Buffer()
        self._mounts = Mounts(self._buffer)
        # Where the scanner is mounted never changes: the moving transforms are not needed.
        self.create_subscription(
            TFMessage, topics.TF_STATIC.name, self._on_mounts, qos_profile(topics.TF_STATIC)
        )
        newest = qos_profile(topics.SCAN)
        newest.depth = 1
        self.create_subscription(LaserScan, topics.SCAN.name, self._on_scan, newest)
        self.create_subscription(
            TwistStamped,
            topics.CMD_VEL_MUX.name,
            self._on_command,
            qos_profile(topics.CMD_VEL_MUX),
        )
        self._silence = self.create_timer(
            _LONGEST_SILENCE, self._publish_zero, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._publisher = self.create_publisher(
            TwistStamped if self._stamped else Twist,
            topics.CMD_VEL.name,
            qos_profile(topics.CMD_VEL),
        )
        self._publish_zero()

    def _on_mounts(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._buffer.set_transform_static(transform, self.get_name())

    def _on_scan(self, scan: LaserScan) -> None:
        mount = self._mounts.base_from(scan.header.frame_id)
        stamp = nanoseconds(scan.header.stamp)
        # A driver that repeats its last scan is as blind as a silent one.
        if mount is None or stamp == self._scan_stamp:
            return
        self._points, self._scan_stamp = scan_points(scan, mount), stamp
        self._scan_heard = steady_seconds()

    def _on_command(self, command: TwistStamped) -> None:
        if self.get_clock().now().nanoseconds - nanoseconds(command.header.stamp) > _LIFESPAN:
            return  # as good as none: if nothing better comes, the silence is filled
        v, w = command.twist.linear.x, command.twist.angular.z
        if (
            steady_seconds() - self._scan_heard > self._scan_timeout
            or not np.isfinite((v, w)).all()
        ):
            command.twist = Twist()
            self._note(Action.STOP, "no scan" if np.isfinite((v, w)).all() else "not a number")
        else:
            verdict = check(v, w, self._points, self._footprint, self._config)
            command.twist = Twist()
            command.twist.linear.x, command.twist.angular.z = verdict.v, verdict.w
            self._note(verdict.action, f"collision in {verdict.time_to_collision:.2f} s")
        self._publish(command)

    def _note(self, action: Action, why: str) -> None:
        if action is not self._action:
            self._action = action
            reason = "" if action is Action.PASS else f": {why}"
            self.get_logger().info(f"{action.value}{reason}", throttle_duration_sec=1.0)

    def _publish_zero(self) -> None:
        command = TwistStamped()
        command.header.stamp = self.get_clock().now().to_msg()
        command.header.frame_id = "base_link"
        self._publish(command)

    def _publish(self, command: TwistStamped) -> None:
        self._publisher.publish(command if self._stamped else command.twist)
        self._silence.reset()


def main() -> None:
    """Run the node."""
    run(CollisionMonitor, urgent=True)


if __name__ == "__main__":
    main()
