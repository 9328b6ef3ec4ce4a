"""The node between Gazebo and the stack, in virtual time, with a Gazebo that only does as told."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from edge_robot.msg import SimulationTruth
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu
from tf2_msgs.msg import TFMessage

from edge_robot import topics
from edge_robot.nodes.conversions import quaternion_from_yaw, seconds, stamp_from_nanoseconds
from edge_robot.nodes.gazebo_world import GazeboWorld
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.sim.crowd import Crowd
from edge_robot.sim.gazebo import bridge, names
from edge_robot.sim.robot import COMMAND_TIMEOUT
from edge_robot.sim.scenario import Scenario
from edge_robot.standalone.virtual import VirtualWorld

STEP = 0.01
SEED = 1


class Gazebo(Node):
    """Moves what it is told to move, and says where it is; also the stack, which drives ahead."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__("gazebo")
        self.time = 0.0
        self.driving, self.turning_is_felt = True, True
        self.command_age = 0.0
        self.standstill = False
        self.heard: dict[str, list[Any]] = {}
        movers = [names.ROBOT, *(person.name for person in scenario.people)]
        start = (scenario.start.x, scenario.start.y, scenario.start.yaw)
        self.places = np.array([start, *Crowd(scenario).place.tolist()])
        self.velocities = np.zeros_like(self.places)
        self.wheels = np.zeros(3)
        self._poses = [
            self.create_publisher(PoseStamped, bridge.pose(name).ros, 5) for name in movers
        ]
        self._odometry = self.create_publisher(Odometry, bridge.wheels().ros, 5)
        self._imu = self.create_publisher(Imu, topics.IMU.name, contract_profile(topics.IMU))
        self._commands = self.create_publisher(
            TwistStamped, topics.CMD_VEL.name, qos_profile(topics.CMD_VEL)
        )
        for number, name in enumerate(movers):
            self.create_subscription(
                Twist, bridge.velocity(name).ros, partial(self._obey, number), 5
            )
        for kind, topic in (
            (Clock, topics.CLOCK),
            (Odometry, topics.ODOM),
            (TFMessage, topics.TF),
            (TFMessage, topics.TF_STATIC),
            (SimulationTruth, topics.SIMULATION_TRUTH),
        ):
            heard = self.heard.setdefault(topic.name, [])
            self.create_subscription(kind, topic.name, heard.append, qos_profile(topic))
        self._steps = 0
        self.create_timer(STEP, self._step)

    def _obey(self, number: int, twist: Twist) -> None:
        self.velocities[number] = twist.linear.x, twist.linear.y, twist.angular.z

    def _step(self) -> None:
        if self.standstill:
            return
        self._steps += 1
        self.time = STEP * self._steps
        cos, sin = np.cos(self.places[:, 2]), np.sin(self.places[:, 2])
        forward, leftward, turning = self.velocities.T
        moved = np.stack([forward * cos - leftward * sin, forward * sin + leftward * cos, turning])
        self.places += STEP * moved.T
        v, _, w = self.velocities[0]
        self.wheels += STEP * np.array([v * cos[0], v * sin[0], 0.0])
        stamp = stamp_from_nanoseconds(round(self.time * 1e9))
        if self.turning_is_felt:
            imu = Imu()
            imu.header.stamp = stamp
            imu.angular_velocity.z = w
            self._imu.publish(imu)
        if self._steps % 2:
            return
        for publisher, (x, y, yaw) in zip(self._poses, self.places.tolist(), strict=True):
            publisher.publish(_pose(stamp, x, y, yaw))
        odometry = Odometry()
        odometry.header.stamp = stamp
        odometry.pose.pose = _pose(stamp, *self.wheels.tolist()).pose
        odometry.pose.pose.orientation = quaternion_from_yaw(self.places[0, 2])
        self._odometry.publish(odometry)
        if self.driving:
            command = TwistStamped()
            made = self.time - self.command_age
            command.header.stamp = stamp_from_nanoseconds(round(made * 1e9))
            command.twist.linear.x, command.twist.angular.z = 0.4, 0.2
            self._commands.publish(command)


def _pose(stamp: Any, x: float, y: float, yaw: float) -> PoseStamped:
    message = PoseStamped()
    message.header.stamp = stamp
    message.pose.position.x, message.pose.position.y = x, y
    message.pose.orientation = quaternion_from_yaw(yaw)
    return message


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.generate(SEED)


@pytest.fixture
def world(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualWorld]:
    monkeypatch.setattr(Scenario, "generate", lambda seed: scenario)  # which takes a second
    with VirtualWorld(seed=1) as made:
        made.start("gazebo", lambda: Gazebo(scenario))
        made.start("gazebo_world", GazeboWorld)
        made.run_for(1.0)
        yield made


def gazebo(world: VirtualWorld) -> Gazebo:
    node: Gazebo = world.processes["gazebo"].node
    return node


def test_the_robot_drives_and_tells_clock_odometry_and_transforms(world: VirtualWorld) -> None:
    there = gazebo(world)
    for heard in there.heard.values():
        heard.clear()
    began = there.time
    world.run_for(3.0)
    ticks = round((there.time - began) / 0.02)
    for topic in (topics.CLOCK, topics.ODOM, topics.TF):
        assert len(there.heard[topic.name]) == pytest.approx(ticks, abs=2), topic.name
    odometry = there.heard[topics.ODOM.name][-1]
    x, y, _ = there.places[0]
    place = odometry.pose.pose.position
    assert (place.x, place.y) == pytest.approx((x, y), abs=0.02), "from the scenario's start on"
    assert odometry.header.frame_id == "odom"
    assert odometry.child_frame_id == "base_link"
    assert odometry.twist.twist.linear.x == pytest.approx(0.4, abs=0.01)
    assert odometry.twist.twist.angular.z == pytest.approx(0.2, abs=0.01)
    (transform,) = there.heard[topics.TF.name][-1].transforms
    assert transform.header.stamp == odometry.header.stamp
    assert transform.transform.translation.x == place.x


def test_wheels_stop_when_commands_fail_to_come_or_are_old(world: VirtualWorld) -> None:
    there = gazebo(world)
    assert there.velocities[0, 0] == pytest.approx(0.4)
    there.driving = False
    world.run_for(COMMAND_TIMEOUT + 0.06)
    assert there.velocities[0].tolist() == [0.0, 0.0, 0.0]
    truth = there.heard[topics.SIMULATION_TRUTH.name][-1]
    assert truth.base_timed_out
    there.driving, there.command_age = True, 0.5
    world.run_for(0.5)
    assert there.velocities[0, 0] == 0.0


def test_people_walk_as_the_crowd_does(world: VirtualWorld, scenario: Scenario) -> None:
    there = gazebo(world)
    world.run_for(6.0)
    truth: SimulationTruth = there.heard[topics.SIMULATION_TRUTH.name][-1]
    assert len(truth.people) == len(scenario.people)
    starts = Crowd(scenario).position
    walked = [
        math.dist((person.position.x, person.position.y), start)
        for person, start in zip(truth.people, starts.tolist(), strict=True)
    ]
    assert np.median(walked) > 2.0
    assert truth.people[0].size.z == pytest.approx(scenario.people[0].height)
    assert (truth.robot.position.x, truth.robot.position.y) == pytest.approx(
        tuple(there.places[0, :2]), abs=0.05
    )
    assert truth.header.frame_id == "map"
    assert truth.real_time_factor == pytest.approx(1.0, abs=0.02)
    stamps = [seconds(m.header.stamp) for m in there.heard[topics.SIMULATION_TRUTH.name]]
    assert np.median(np.diff(stamps)) == pytest.approx(0.1, abs=0.021)


def test_the_referee_sees_the_robot_at_a_wall(world: VirtualWorld) -> None:
    there = gazebo(world)
    there.driving = False
    world.run_for(0.2)
    there.places[0] = 0.1, 8.0, 0.0
    world.run_for(0.5)
    truth = there.heard[topics.SIMULATION_TRUTH.name][-1]
    assert truth.collided_with == ["wall_west"]
    assert truth.collisions == 1


def test_no_odometry_is_made_up_without_a_gyro(world: VirtualWorld) -> None:
    there = gazebo(world)
    there.turning_is_felt = False
    world.run_for(0.3)
    there.heard[topics.ODOM.name].clear()
    there.heard[topics.CLOCK.name].clear()
    world.run_for(0.5)
    assert there.heard[topics.ODOM.name] == []
    assert len(there.heard[topics.CLOCK.name]) > 20


def test_a_world_slower_than_was_asked_for_is_told(
    world: VirtualWorld, capfd: pytest.CaptureFixture[str]
) -> None:
    world.run_for(7.0)
    assert "asked for" not in capfd.readouterr().err
    gazebo(world).standstill = True
    world.run_for(2.0)
    gazebo(world).standstill = False
    world.run_for(0.5)
    assert "asked for 1:" in capfd.readouterr().err


def test_nobody_moves_while_the_node_is_not_active(world: VirtualWorld) -> None:
    there = gazebo(world)
    assert there.velocities.any()
    node: GazeboWorld = world.processes["gazebo_world"].node
    node.trigger_deactivate()
    world.run_for(0.1)
    assert not there.velocities.any()
    node.trigger_activate()
    world.run_for(0.5)
    place = there.heard[topics.ODOM.name][-1].pose.pose.position
    assert (place.x, place.y) == pytest.approx(tuple(there.places[0, :2]), abs=0.03)
