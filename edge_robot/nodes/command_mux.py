"""Lets one source drive: `ESTOP` over `CMD_VEL_TELEOP` over `CMD_VEL_NAV` → `CMD_VEL_MUX`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.clock import Clock, ClockType
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from edge_robot import topics
from edge_robot.control.arbitration import (
    DEFAULT_SOURCES,
    NOBODY,
    Arbiter,
    Outcome,
    SourceSettings,
)
from edge_robot.msg import RobotMode
from edge_robot.nodes.conversions import nanoseconds, twist_values
from edge_robot.nodes.diagnostics import OK, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import check_pace, steady_seconds
from edge_robot.nodes.urgency import Urgency

_LONGEST_SILENCE = 0.040  # s; leaves some delay until the deadline
_LIFESPAN = topics.CMD_VEL.lifespan


class CommandMux(ManagedNode):
    """Forwards the holder's commands on arrival, and zero when it is silent or nobody drives.

    Home of the emergency stop, which is latched: service `estop/set`, true to stop and false to
    release; and of autonomy's lock while and after somebody drives by hand: `cmd_vel/hand_back`
    or a new goal opens it. Both outlive this process: one that starts anew forwards nothing until
    `MODE` has told how it was, or for a second where nobody tells.
    """

    def __init__(self) -> None:
        super().__init__("command_mux")
        self._sources = self.named_settings(
            "sources",
            "who may drive; see SOURCE.topic, SOURCE.priority and SOURCE.lease",
            DEFAULT_SOURCES,
            SourceSettings(),
        )
        self._stopped = False  # what the arbiter of an earlier configuration left

    def configure(self) -> None:
        """Begin anew with arbitration, but for a stop that is latched.

        Raises:
            UserError: two sources have one priority, or the clock is slowed in a real world.
        """
        check_pace(self)
        self._arbiter = Arbiter(self._sources.value, _LIFESPAN)
        self._settled = False  # whether it is known how things were before
        if self._stopped:
            self._arbiter.stop()

    def cleanup(self) -> None:
        """Keep nothing but the stop."""
        self._stopped = self._arbiter.stopped

    def activate(self) -> None:
        """Listen to all sources, and say zero at once."""
        self._holder = NOBODY
        self._refused = self._arbiter.refused.total()
        self._estop = self.create_publisher(Bool, topics.ESTOP.name, qos_profile(topics.ESTOP))
        self._holders = self.create_publisher(
            String, topics.HOLDER.name, qos_profile(topics.HOLDER)
        )
        self.create_service(SetBool, "estop/set", self._on_estop)
        self.create_service(Trigger, "cmd_vel/hand_back", self._on_hand_back)
        newest_goal = qos_profile(topics.GOAL)
        self.create_subscription(PoseStamped, topics.GOAL.name, self._on_goal, newest_goal)
        self.create_subscription(
            RobotMode, topics.MODE.name, self._on_mode, qos_profile(topics.MODE)
        )
        for name, source in self._sources.value.items():
            # Autonomy promises a rate; an operator only speaks while holding on.
            contract = topics.CMD_VEL_NAV if source.autonomous else topics.CMD_VEL_TELEOP
            self.create_subscription(
                TwistStamped, source.topic, partial(self._on_command, name), qos_profile(contract)
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._silence = self.create_timer(_LONGEST_SILENCE, self._on_silence, clock=steady)
        self.create_timer(1.0, self._announce, clock=steady)
        self._publisher = self.create_publisher(
            TwistStamped, topics.CMD_VEL_MUX.name, qos_profile(topics.CMD_VEL_MUX)
        )
        DiagnosticsReporter(self, self._diagnostics)
        self._publish_zero()

    def farewell(self) -> None:
        """Say zero: who listens need not wait until the last command is too old."""
        self._publish_zero()

    def _on_mode(self, mode: RobotMode) -> None:
        if self._settled:
            return
        self._settle(mode.mode in (RobotMode.TELEOPERATION, RobotMode.WAITING))
        if mode.mode == RobotMode.EMERGENCY_STOP:
            self._arbiter.stop()
            self.get_logger().warning("emergency stop: still pressed")
        self._announce()

    def _settle(self, taken_by_hand: bool) -> None:
        self._settled = True
        self._arbiter.begin(steady_seconds(), taken_by_hand)

    def _on_command(self, source: str, command: TwistStamped) -> None:
        if not self._settled:
            return
        stamp, now = nanoseconds(command.header.stamp), self.get_clock().now().nanoseconds
        values = twist_values(command.twist)
        outcome = self._arbiter.command(source, values, stamp, now, steady_seconds())
        if outcome is Outcome.IGNORE:
            return
        self._note(source)
        if outcome is Outcome.FORWARD:
            self._publish(command)
        else:
            self._publish_zero()

    def _on_goal(self, _goal: PoseStamped) -> None:
        self._arbiter.new_goal(steady_seconds())

    def _on_estop(self, request: Any, response: Any) -> Any:
        if not self._settled:
            self._settle(taken_by_hand=True)  # who asks may know of a stop that we do not
        if request.data:
            self._arbiter.stop()
            self._publish_zero()
        else:
            self._arbiter.reset()
        self._announce()
        response.success = True
        response.message = "stopped" if request.data else "released: give a new goal to drive on"
        self.get_logger().warning(f"emergency stop: {response.message}")
        return response

    def _on_hand_back(self, _request: Any, response: Any) -> Any:
        response.success = self._settled and self._arbiter.hand_back()
        if response.success:
            response.message = "handed back: autonomy drives on"
        elif self._settled:
            response.message = "the emergency stop is pressed: reset it, and give a new goal"
        else:
            response.message = "the command multiplexer has just started: try again in a second"
        self._note(self._arbiter.holder(steady_seconds()))
        self.get_logger().info(response.message)
        return response

    def _announce(self) -> None:
        if not self._settled:
            self._settle(taken_by_hand=False)
        self._estop.publish(Bool(data=self._arbiter.stopped))
        self._holders.publish(String(data=self._arbiter.holder(steady_seconds())))

    def _on_silence(self) -> None:
        self._note(self._arbiter.holder(steady_seconds()))
        self._publish_zero()

    def _note(self, holder: str) -> None:
        if holder != self._holder:
            self._holder = holder
            self._holders.publish(String(data=holder))
            self.get_logger().info(f"{holder.replace('_', ' ')} holds the wheel")

    def _publish_zero(self) -> None:
        command = TwistStamped()
        command.header.stamp = self.get_clock().now().to_msg()
        command.header.frame_id = "base_link"
        self._publish(command)

    def _publish(self, command: TwistStamped) -> None:
        self._publisher.publish(command)
        self._silence.reset()

    def _diagnostics(self) -> Iterator[Status]:
        refused = self._arbiter.refused
        fresh, self._refused = refused.total() - self._refused, refused.total()
        text = self._holder.replace("_", " ")
        if fresh:
            text += f"; {fresh} commands refused"
        counts = {f"{source}: {why.value}": count for (source, why), count in refused.items()}
        yield Status("wheel", WARN if fresh else OK, text, counts)


def main() -> None:
    """Run the node."""
    run(CommandMux, Urgency.CONTROL)


if __name__ == "__main__":
    main()
