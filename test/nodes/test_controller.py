"""The controller on its own: what it makes of modes, and of input that is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import rclpy
from edge_robot.msg import RobotMode, Trajectory, TrajectoryPoint
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from edge_robot import topics
from edge_robot.nodes.controller import Controller
from edge_robot.nodes.qos import qos_profile

PATIENCE = 10.0  # s


class Surroundings(Node):
    """A robot that stands at the origin, a planner that wants 1 m/s ahead, and a mode."""

    def __init__(self) -> None:
        super().__init__("surroundings")
        self.mode: RobotMode | None = RobotMode(mode=RobotMode.NOMINAL, max_speed=1.4)
        self.speeds = [1.0, 1.0, 1.0]
        self.x = 0.0
        self.commands: list[TwistStamped] = []
        self._modes, self._odometry, self._trajectories = (
            self.create_publisher(kind, topic.name, qos_profile(topic))
            for kind, topic in (
                (RobotMode, topics.MODE),
                (Odometry, topics.ODOM),
                (Trajectory, topics.TRAJECTORY),
            )
        )
        name = topics.CMD_VEL_NAV.name
        profile = qos_profile(topics.CMD_VEL_NAV)
        self.create_subscription(TwistStamped, name, self.commands.append, profile)
        self.create_timer(0.04, self._speak)

    def _speak(self) -> None:
        now = self.get_clock().now().to_msg()
        odometry = Odometry()
        odometry.header.stamp = now
        odometry.pose.pose.position.x = self.x
        odometry.pose.pose.orientation.w = 1.0
        self._odometry.publish(odometry)
        trajectory = Trajectory()
        trajectory.header.stamp = now
        trajectory.points = [
            TrajectoryPoint(time_from_start=float(i), x=float(i), v=v, w=0.5 * v)
            for i, v in enumerate(self.speeds)
        ]
        self._trajectories.publish(trajectory)
        if self.mode is not None:
            self._modes.publish(self.mode)

    @property
    def velocity(self) -> tuple[float, float]:
        twist = self.commands[-1].twist
        return twist.linear.x, twist.angular.z


@pytest.fixture
def around(domain: int) -> Iterator[tuple[Surroundings, Callable[..., None]]]:
    """Give what is around a controller, and a function that spins until a condition holds."""
    rclpy.init()
    nodes = [Surroundings(), Controller()]
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)

    def until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not nodes[0].commands or not condition():
            assert time.monotonic() < end, nodes[0].commands[-1:]
            executor.spin_once(timeout_sec=0.05)

    yield nodes[0], until
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


def test_it_obeys_the_mode_and_says_zero_when_nobody_upholds_one(around) -> None:
    it, until = around
    until(lambda: it.velocity[0] > 0.9)
    it.mode = RobotMode(mode=RobotMode.LAST_SAFE_PLAN, max_speed=0.4)
    until(lambda: it.velocity[0] < 0.41)
    v, w = it.velocity
    assert w == pytest.approx(0.5 * v, abs=0.1), "the path is not kept"
    it.mode = RobotMode(mode=RobotMode.CONTROLLED_STOP, max_speed=1.0)
    first = len(it.commands)
    until(lambda: it.velocity == (0.0, 0.0))
    assert not any(0.0 < c.twist.linear.x < 0.35 for c in it.commands[first:]), "zero came late"
    it.mode = RobotMode(mode=RobotMode.REDUCED, max_speed=0.6)
    until(lambda: it.velocity[0] > 0.5)
    it.mode = RobotMode(mode=RobotMode.REDUCED, max_speed=np.nan)
    until(lambda: it.velocity == (0.0, 0.0))
    it.mode = RobotMode(mode=RobotMode.REDUCED, max_speed=0.6)
    until(lambda: it.velocity[0] > 0.5)
    it.mode = None
    until(lambda: it.velocity == (0.0, 0.0))


def test_what_is_not_a_number_moves_nothing(around) -> None:
    it, until = around
    until(lambda: it.velocity[0] > 0.5)
    it.speeds = [np.nan, 1.0]
    until(lambda: it.velocity == (0.0, 0.0))  # when the last good trajectory is used up
    it.speeds = [1.0, 1.0]
    until(lambda: it.velocity[0] > 0.5)
    it.x = np.nan
    until(lambda: it.velocity == (0.0, 0.0))
    assert all(np.isfinite(c.twist.linear.x) for c in it.commands)
