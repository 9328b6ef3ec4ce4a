"""Lets `/clock` drive clocks while a node's `use_sim_time` is true."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from edge_robot.standalone.dds.library import DdsError
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.clock import Clock, ROSClock
from edge_robot.standalone.rclpy.parameter import Parameter
from edge_robot.standalone.rclpy.qos import QoSProfile, ReliabilityPolicy
from edge_robot.standalone.rclpy.time import Time

if TYPE_CHECKING:
    from edge_robot.standalone.rclpy.node import Node
    from edge_robot.standalone.rclpy.subscription import Subscription

CLOCK_TOPIC = "/clock"
USE_SIM_TIME_NAME = "use_sim_time"

_CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class TimeSource:
    """Follows `/clock` for the clocks attached, as one node's `use_sim_time` says.

    It is read when a clock is asked for the time. A simulator tells it hundreds of times a second
    to every node; it wakes only those in which a timer, a sleep or a callback for jumps has waited.

    Args:
        node: The node; its parameter is declared here unless it is already.
    """

    def __init__(self, *, node: Node | None = None) -> None:
        self._clocks: weakref.WeakSet[ROSClock] = weakref.WeakSet()
        self._node_ref: weakref.ref[Node] | None = None
        self._clock_sub: Subscription | None = None
        self._unasked = False
        self._telling = threading.Lock()
        self._last_time = Time()
        self._active = False
        if node is not None:
            self.attach_node(node)

    @property
    def ros_time_is_active(self) -> bool:
        """Whether `/clock` tells the time."""
        return self._active

    @ros_time_is_active.setter
    def ros_time_is_active(self, enabled: bool) -> None:
        if self._active == enabled:
            return
        self._active = enabled
        for clock in self._clocks:
            clock._set_ros_time_is_active(enabled)
        if enabled:
            self._subscribe()
        else:
            self._unsubscribe()

    def attach_node(self, node: Node) -> None:
        """Follow this node's parameter, in place of another's."""
        if self._get_node() is not None:
            self.detach_node()
        self._node_ref = weakref.ref(node)
        if not node.has_parameter(USE_SIM_TIME_NAME):
            node.declare_parameter(USE_SIM_TIME_NAME, False)
        self.ros_time_is_active = bool(node.get_parameter(USE_SIM_TIME_NAME).value)
        node.add_post_set_parameters_callback(self._on_parameters)

    def detach_node(self) -> None:
        """Let go of the node; the clocks keep the time they have."""
        node = self._get_node()
        if node is None:
            raise RuntimeError("Unable to detach node: no node is attached")
        self._unsubscribe()
        node.remove_post_set_parameters_callback(self._on_parameters)
        self._node_ref = None

    def attach_clock(self, clock: Clock) -> None:
        """Drive a clock.

        Raises:
            ValueError: it is no clock of ROS time.
        """
        if not isinstance(clock, ROSClock):
            raise ValueError("Only clocks with type ROS_TIME can be attached.")
        clock.set_ros_time_override(self._last_time)
        clock._set_ros_time_is_active(self._active)
        clock.teller = self
        self._clocks.add(clock)

    def tell(self) -> None:
        """Tell the clocks what came on `/clock`, unless the executor does."""
        subscription = self._clock_sub
        # Whoever asks while another thread, or a jump's callback, is being told hears the old time.
        if subscription is None or subscription.wakes or not self._telling.acquire(blocking=False):
            return
        try:
            told = subscription.take()
            if told is not None:
                told()
        except DdsError:
            node = self._get_node()
            if node is not None and node.context.ok():
                raise  # else it was shut down: the time stays as it is
        finally:
            self._telling.release()

    def tell_unasked(self) -> None:
        """Let the executor be woken by `/clock` from now on."""
        self._unasked = True
        if self._clock_sub is not None and not self._clock_sub.wakes:
            self._clock_sub.wakes = True

    def _get_node(self) -> Node | None:
        return None if self._node_ref is None else self._node_ref()

    def _subscribe(self) -> None:
        node = self._get_node()
        if self._clock_sub is None and node is not None:
            self._clock_sub = node.create_subscription(
                message_class("rosgraph_msgs/msg/Clock"),
                CLOCK_TOPIC,
                self._on_clock,
                _CLOCK_QOS,
                callback_group=node.clock_callback_group,
            )
            self._clock_sub.wakes = self._unasked

    def _unsubscribe(self) -> None:
        node = self._get_node()
        if self._clock_sub is not None and node is not None:
            node.destroy_subscription(self._clock_sub)
        self._clock_sub = None

    def _on_parameters(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == USE_SIM_TIME_NAME and parameter.type_ == Parameter.Type.BOOL:
                self.ros_time_is_active = parameter.value

    def _on_clock(self, msg: Any) -> None:
        self._last_time = Time.from_msg(msg.clock)
        for clock in list(self._clocks):
            clock.set_ros_time_override(self._last_time)
