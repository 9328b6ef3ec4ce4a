"""The controller on its own: what it makes of modes, and of input that is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from edge_robot.msg import RobotMode, Trajectory, TrajectoryPoint
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node

from edge_robot import topics
from edge_robot.nodes.controller import Controller
from edge_robot.nodes.qos import qos_profile
from edge_robot.standalone.virtual import VirtualWorld


class Surroundings(Node):
    """A robot that stands at the origin, a planner that wants 1 m/s ahead, and a mode."""

    def __init__(self) -> None:
        super().__init__("surroundings")
        self.mode: RobotMode | None = RobotMode(mode=RobotMode.NOMINAL, max_speed=1.4)
        self.speeds = [1.0, 1.0, 1.0]
        self.x = 0.0
        self.planning = True
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
        if self.planning:
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
def world() -> Iterator[VirtualWorld]:
    with VirtualWorld(seed=1) as made:
        made.start("controller", Controller)
        made.start("surroundings", Surroundings)
        made.run_for(1.5)
        yield made
        assert made.processes["controller"].error is None


def around(world: VirtualWorld) -> Any:
    return world.processes["surroundings"].node


def until(world: VirtualWorld, condition: Callable[[], bool], limit: float) -> float:
    """Let time pass until a condition holds; return how long that took, s."""
    start = world.now
    while not condition():
        assert world.now - start < limit, around(world).velocity
        world.run_for(0.001)
    return world.now - start


def test_it_obeys_the_mode_and_keeps_the_path_when_that_slows_it_down(world: VirtualWorld) -> None:
    it = around(world)
    assert it.velocity[0] == pytest.approx(1.0, abs=0.1)
    it.mode = RobotMode(mode=RobotMode.LAST_SAFE_PLAN, max_speed=0.4)
    world.run_for(0.5)
    v, w = it.velocity
    assert v <= 0.4 + 1e-6
    assert w == pytest.approx(0.5 * v, abs=0.1)


def test_a_trajectory_that_grows_old_is_followed_ever_slower(world: VirtualWorld) -> None:
    it = around(world)
    it.planning = False
    slowing = until(world, lambda: it.velocity[0] < 0.9, 0.4)
    assert slowing > 0.15
    world.run_for(0.15)
    v, w = it.velocity
    assert 0.2 < v < 0.8
    assert w == pytest.approx(0.5 * v, abs=0.1)
    standing = until(world, lambda: it.velocity == (0.0, 0.0), 0.4)
    assert slowing + 0.15 + standing < topics.TRAJECTORY_VALIDITY + 0.05


@pytest.mark.parametrize(
    "mode",
    [
        RobotMode(mode=RobotMode.CONTROLLED_STOP, max_speed=1.0),
        RobotMode(mode=RobotMode.EMERGENCY_STOP),
        RobotMode(mode=RobotMode.TELEOPERATION),
        RobotMode(mode=RobotMode.REDUCED, max_speed=np.nan),
    ],
)
def test_zero_comes_with_the_message_that_forbids_motion(
    world: VirtualWorld, mode: RobotMode
) -> None:
    it = around(world)
    it.mode = mode
    heard = until(world, lambda: it.velocity == (0.0, 0.0), 0.1)
    assert heard < 0.04 + 0.005  # until it is sent, and two hops


def test_a_mode_that_nobody_upholds_is_none(world: VirtualWorld) -> None:
    it = around(world)
    it.mode = None
    deadline = topics.MODE.qos.deadline
    assert until(world, lambda: it.velocity == (0.0, 0.0), 1.0) <= deadline + 0.005


def test_what_is_not_a_number_moves_nothing(world: VirtualWorld) -> None:
    it = around(world)
    it.speeds = [np.nan, 1.0]
    world.run_for(0.15)
    assert it.velocity[0] > 0.5  # along the last trajectory that was one
    world.run_for(1.0)
    assert it.velocity == (0.0, 0.0)
    it.speeds = [1.0, 1.0]
    world.run_for(0.5)
    assert it.velocity[0] > 0.5
    it.x = np.nan
    world.run_for(1.0)
    assert it.velocity == (0.0, 0.0)
    assert all(np.isfinite(c.twist.linear.x) for c in it.commands)
