"""Lets `/clock` drive a node's clock while `use_sim_time` is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.clock import ROSClock
from edge_robot.standalone.rclpy.parameter import Parameter
from edge_robot.standalone.rclpy.qos import QoSProfile, ReliabilityPolicy
from edge_robot.standalone.rclpy.time import Time

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node
    from edge_robot.standalone.rclpy.subscription import Subscription

USE_SIM_TIME = "use_sim_time"

_CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class TimeSource:
    """Follows `/clock` for one node.

    Args:
        node: The node; its parameter `use_sim_time` is declared here unless it is already.
        clock: Its clock.
    """

    def __init__(self, node: Node, clock: ROSClock) -> None:
        self._node = node
        self._clock = clock
        self._subscription: Subscription | None = None
        if not node.has_parameter(USE_SIM_TIME):
            node.declare_parameter(USE_SIM_TIME, False)
        node.add_post_set_parameters_callback(self._on_parameters)
        self._follow(node.get_parameter(USE_SIM_TIME).value)

    def _on_parameters(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME:
                self._follow(parameter.value)

    def _follow(self, simulated: bool) -> None:
        if simulated and self._subscription is None:
            self._subscription = self._node.create_subscription(
                message_class("rosgraph_msgs/msg/Clock"),
                "/clock",
                self._on_clock,
                _CLOCK_QOS,
                callback_group=self._node.clock_callback_group,
            )
        elif not simulated and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self._clock._set_ros_time_is_active(simulated)

    def _on_clock(self, msg: Any) -> None:
        self._clock.set_ros_time_override(Time.from_msg(msg.clock))
