"""A base, its eyes, and an autonomy that always wants to drive; every command is noted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool
from tf2_ros import StaticTransformBroadcaster

from edge_robot import topics
from edge_robot.bench.stop.verdict import Command, Sender
from edge_robot.control.commands import refusal
from edge_robot.nodes.conversions import nanoseconds, twist_values
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.topics import Topic

TIMEOUT = topics.CMD_VEL.deadline
"""Silence after which a base stops by itself, s: part of its contract."""

_LIFESPAN = topics.CMD_VEL.lifespan
_PERIOD = 0.02  # s
_SENSE_EVERY = 2  # periods
_RAYS, _RANGE = 90, 8.0
_WISH = 0.2  # of autonomy, m/s
_KEPT = 2000  # of every topic: more than the longest trial brings


class StopBase(Node):
    """Plays what is below and around the nodes under test.

    It listens to every stage on a command's way. Who made a command is told by its stamp, which
    multiplexer and monitor leave alone in what they pass on: a stamp that no earlier stage had was
    made where it is first seen.

    Attributes:
        stopped: Whether the emergency stop is latched, as `ESTOP` says.
    """

    def __init__(self) -> None:
        super().__init__("stop_base")
        self.stopped = False
        self._commands: deque[tuple[float, bool, int, float]] = deque(maxlen=_KEPT)
        self._stamps: dict[Sender, deque[int]] = {
            sender: deque(maxlen=_KEPT) for sender in (Sender.OPERATOR, Sender.AUTONOMY, Sender.MUX)
        }
        self._news = threading.Condition()
        self._ticks = 0
        self._scan = LaserScan(
            angle_min=-pi, angle_max=pi, angle_increment=2 * pi / _RAYS, range_max=2 * _RANGE
        )
        self._scan.header.frame_id = "scan_link"
        self._scan.ranges = np.full(_RAYS, _RANGE, dtype=np.float32)
        self._scans = self._publisher(LaserScan, topics.SCAN)
        self._odometry = self._publisher(Odometry, topics.ODOM)
        self._autonomy = self._publisher(TwistStamped, topics.CMD_VEL_NAV)
        self._transforms = StaticTransformBroadcaster(self)
        mount = TransformStamped(child_frame_id="scan_link")
        mount.header.frame_id = "base_link"
        mount.transform.rotation.w = 1.0
        self._transforms.sendTransform(mount)
        self._listen(TwistStamped, topics.CMD_VEL_TELEOP, self._noter(Sender.OPERATOR))
        self._listen(TwistStamped, topics.CMD_VEL_MUX, self._noter(Sender.MUX))
        self._listen(TwistStamped, topics.CMD_VEL, self._on_command)
        self._listen(Bool, topics.ESTOP, self._on_stop)
        self.create_timer(_PERIOD, self._live, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def commands(self, since: float) -> list[Command]:
        """Return the commands that came since a time, s on the steady clock."""
        with self._news:
            heard = [heard for heard in self._commands if heard[0] >= since]
        made = {sender: set(stamps.copy()) for sender, stamps in self._stamps.items()}

        def sender_of(stamp: int) -> Sender:
            return next((sender for sender in made if stamp in made[sender]), Sender.MONITOR)

        return [Command(at, moves, sender_of(stamp), age) for at, moves, stamp, age in heard]

    def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait until a condition holds after a message; return whether it did within `limit` s."""
        with self._news:
            return self._news.wait_for(condition, limit)

    def until_moving(self, limit: float) -> bool:
        """Wait until the robot moves; return whether it did within `limit` s."""
        return self.until(self._moves, limit)

    def _moves(self) -> bool:
        if not self._commands:
            return False
        at, moves, _, _ = self._commands[-1]
        return moves and time.monotonic() - at < TIMEOUT

    def _publisher(self, kind: Any, topic: Topic) -> Any:
        return self.create_publisher(kind, topic.name, contract_profile(topic))

    def _listen(self, kind: Any, topic: Topic, callback: Callable[[Any], None]) -> None:
        self.create_subscription(kind, topic.name, callback, qos_profile(topic))

    def _noter(self, sender: Sender) -> Callable[[TwistStamped], None]:
        stamps = self._stamps[sender]
        return lambda command: stamps.append(nanoseconds(command.header.stamp))

    def _on_command(self, command: TwistStamped) -> None:
        at = time.monotonic()
        stamp, now = nanoseconds(command.header.stamp), self.get_clock().now().nanoseconds
        values = twist_values(command.twist)
        if refusal(stamp, now, values, _LIFESPAN) is not None:
            return
        with self._news:
            self._commands.append((at, any(values), stamp, (now - stamp) * 1e-9))
            self._news.notify_all()

    def _on_stop(self, message: Bool) -> None:
        with self._news:
            self.stopped = message.data
            self._news.notify_all()

    def _live(self) -> None:
        now = self.get_clock().now()
        wish = TwistStamped()
        wish.header.stamp, wish.header.frame_id = now.to_msg(), "base_link"
        wish.twist.linear.x = _WISH
        self._stamps[Sender.AUTONOMY].append(now.nanoseconds)
        self._autonomy.publish(wish)
        self._ticks += 1
        if self._ticks % _SENSE_EVERY == 0:
            self._scan.header.stamp = wish.header.stamp
            self._scans.publish(self._scan)
            odometry = Odometry(child_frame_id="base_link")
            odometry.header.stamp, odometry.header.frame_id = wish.header.stamp, "odom"
            odometry.pose.pose.orientation.w = 1.0
            self._odometry.publish(odometry)
