"""Lets one source drive: `ESTOP` over `CMD_VEL_TELEOP` over `CMD_VEL_NAV` → `CMD_VEL_MUX`."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from edge_robot import topics
from edge_robot.control.arbitration import Arbiter, Source
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds

_LONGEST_SILENCE = 0.040  # s; leaves some delay until the deadline


class CommandMux(Node):
    """Forwards the winner's commands on arrival, and zero when it is silent or nobody drives.

    Home of the emergency stop, which is latched: service `/estop/set`, true to stop and false to
    release.
    """

    def __init__(self) -> None:
        super().__init__("command_mux")
        self._arbiter = Arbiter(
            {
                Source.AUTONOMY: self._lease("autonomy_lease", 0.1),
                Source.TELEOPERATION: self._lease("teleoperation_lease", 0.2),
            }
        )
        self._winner = Source.NONE
        self._estop = self.create_publisher(Bool, topics.ESTOP.name, qos_profile(topics.ESTOP))
        self.create_service(SetBool, "/estop/set", self._on_estop)
        newest_goal = qos_profile(topics.GOAL)
        self.create_subscription(PoseStamped, topics.GOAL.name, self._on_goal, newest_goal)
        for topic, source in (
            (topics.CMD_VEL_NAV, Source.AUTONOMY),
            (topics.CMD_VEL_TELEOP, Source.TELEOPERATION),
        ):
            self.create_subscription(
                TwistStamped,
                topic.name,
                lambda command, source=source: self._on_command(source, command),
                qos_profile(topic),
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._silence = self.create_timer(_LONGEST_SILENCE, self._on_silence, clock=steady)
        self.create_timer(1.0, self._announce, clock=steady)
        self._publisher = self.create_publisher(
            TwistStamped, topics.CMD_VEL_MUX.name, qos_profile(topics.CMD_VEL_MUX)
        )
        self._announce()
        self._publish(None)

    def _lease(self, name: str, default: float) -> float:
        about = "how long a command of this source holds the wheel, s"
        descriptor = ParameterDescriptor(description=about)
        return float(self.declare_parameter(name, default, descriptor).value)

    def _on_command(self, source: Source, command: TwistStamped) -> None:
        if self._arbiter.heard(source, steady_seconds()):
            self._note(source)
            self._publish(command)

    def _on_goal(self, _goal: PoseStamped) -> None:
        self._arbiter.new_goal()

    def _on_estop(self, request: Any, response: Any) -> Any:
        if request.data:
            self._arbiter.stop()
            self._publish(None)
        else:
            self._arbiter.reset()
        self._announce()
        response.success = True
        response.message = "stopped" if request.data else "released: give a new goal to drive on"
        self.get_logger().warning(f"emergency stop: {response.message}")
        return response

    def _announce(self) -> None:
        self._estop.publish(Bool(data=self._arbiter.stopped))

    def _on_silence(self) -> None:
        self._note(self._arbiter.winner(steady_seconds()))
        self._publish(None)

    def _note(self, winner: Source) -> None:
        if winner is not self._winner:
            self._winner = winner
            self.get_logger().info(f"{winner.name.lower().replace('_', ' ')} holds the wheel")

    def _publish(self, command: TwistStamped | None) -> None:
        """Publish a command as it is; zero for None."""
        if command is None:
            command = TwistStamped()
            command.header.stamp = self.get_clock().now().to_msg()
            command.header.frame_id = "base_link"
        self._publisher.publish(command)
        self._silence.reset()


def main() -> None:
    """Run the node."""
    run(CommandMux, urgent=True)


if __name__ == "__main__":
    main()
