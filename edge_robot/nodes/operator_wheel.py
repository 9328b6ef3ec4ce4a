"""What operators ask for, done to the robot: `CMD_VEL_TELEOP`, `GOAL`, `/estop/set` and others."""

from __future__ import annotations

import asyncio
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from edge_robot import topics
from edge_robot.control.arbitration import NOBODY, OPERATOR, WAITING
from edge_robot.control.commands import CLOCK_TOLERANCE, Velocity
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.contract_watch import SubscriptionEventCallbacks
from edge_robot.nodes.conversions import quaternion_from_yaw, stamp_from_nanoseconds
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.teleop.lease import RefusedError

_ANSWER = 0.5  # s; a service that has not answered by then is asked anew, or given up
_HEARD = 2.5  # s; `HOLDER` is told at least once a second


class OperatorWheel:
    """The robot, as the channels of the dashboard know it.

    Messages are heard in the node's thread, and everything else is called in the server's loop:
    what goes from one to the other is single values.

    Args:
        node: Has the publishers and clients.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stop = node.create_client(SetBool, "estop/set")
        self._hand_back = node.create_client(Trigger, "cmd_vel/hand_back")
        self._cancel = node.create_client(Trigger, "goal_pose/cancel")
        self._commands = node.create_publisher(
            TwistStamped, topics.CMD_VEL_TELEOP.name, qos_profile(topics.CMD_VEL_TELEOP)
        )
        self._goals = node.create_publisher(PoseStamped, topics.GOAL.name, qos_profile(topics.GOAL))
        node.create_subscription(Bool, topics.ESTOP.name, self._on_stop, qos_profile(topics.ESTOP))
        node.create_subscription(
            String, topics.HOLDER.name, self._on_holder, qos_profile(topics.HOLDER)
        )
        for topic in (topics.CMD_VEL_MUX, topics.CMD_VEL):
            self._watch(topic)
        self._stamp = 0
        self._holder = ""
        self._holder_heard: float | None = None
        self._estop = False
        self._breaks = 0

    def _watch(self, topic: topics.Topic) -> None:
        """Count who comes and goes between here and the wheels; what is said does not matter."""
        self._node.create_subscription(
            interface_class(topic.type),
            topic.name,
            lambda _data: None,
            contract_profile(topic),
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_liveliness),
            raw=True,
        )

    def _on_liveliness(self, _info: Any) -> None:
        self._breaks += 1

    def _on_stop(self, message: Bool) -> None:
        self._estop = message.data

    def _on_holder(self, message: String) -> None:
        self._holder, self._holder_heard = message.data, steady_seconds()

    # --- what the robot told ----------------------------------------------------------------

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop is latched."""
        return self._estop

    @property
    def breaks(self) -> int:
        """How often a process between here and the wheels came or went.

        One that was started anew knows nothing of a stick that is held since before.
        """
        return self._breaks

    @property
    def autonomy_waits(self) -> bool:
        """Whether autonomy waits for a hand-back or a goal."""
        return self._holder == WAITING

    def obstacle(self) -> str | None:
        """Return why the robot does not take an operator's commands; None if it does."""
        heard = self._holder_heard
        if heard is None or steady_seconds() - heard > _HEARD:
            return "the robot does not take commands: its command multiplexer is silent"
        if self._holder == OPERATOR:
            return None
        if self._holder in (NOBODY, WAITING):
            return "the robot does not take your commands yet: let go of the controls"
        return f"the robot does not take your commands: {self._holder.replace('_', ' ')} drives it"

    # --- what it is told --------------------------------------------------------------------

    def stamp(self) -> int:
        """Return the time for a command's stamp, ns: no two are equal."""
        now = self._node.get_clock().now().nanoseconds
        if self._stamp - now > CLOCK_TOLERANCE * 1e9:
            self._stamp = 0  # the clock was set back
        self._stamp = max(now, self._stamp + 1)
        return self._stamp

    def command(self, velocity: Velocity, stamp: int) -> None:
        """Tell the robot how to move."""
        command = TwistStamped()
        command.header.stamp = stamp_from_nanoseconds(stamp)
        command.header.frame_id = "base_link"
        command.twist.linear.x, command.twist.linear.y, command.twist.angular.z = velocity
        self._commands.publish(command)

    def go_to(self, x: float, y: float, yaw: float) -> None:
        """Give autonomy a goal, m and rad in odom."""
        goal = PoseStamped()
        goal.header.stamp = self._node.get_clock().now().to_msg()
        goal.header.frame_id = "odom"
        goal.pose.position.x, goal.pose.position.y = x, y
        goal.pose.orientation = quaternion_from_yaw(yaw)
        self._goals.publish(goal)

    async def set_stop(self, stop: bool) -> str:
        """Latch or reset the emergency stop; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
        """
        return str((await self._call(self._stop, SetBool.Request(data=stop))).message)

    async def hand_back(self) -> str:
        """Let autonomy drive on; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
            RefusedError: it must not.
        """
        return await self._trigger(self._hand_back)

    async def cancel_goal(self) -> str:
        """Take autonomy's goal away; return what happened, in words.

        Raises:
            TimeoutError: the robot did not answer.
            RefusedError: there is none.
        """
        return await self._trigger(self._cancel)

    async def _trigger(self, client: Any) -> str:
        answer = await self._call(client, Trigger.Request())
        if not answer.success:
            raise RefusedError(answer.message)
        return str(answer.message)

    async def _call(self, client: Any, request: Any) -> Any:
        """Ask a service from the server's loop.

        Raises:
            TimeoutError: it did not answer.
        """
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(answered.set))
        try:
            await asyncio.wait_for(answered.wait(), _ANSWER)
        except asyncio.TimeoutError:
            client.remove_pending_request(future)
            raise TimeoutError(f"the robot did not answer ({client.srv_name})") from None
        return future.result()
