"""From a broken contract to zero: mode manager, controller and multiplexer in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from edge_robot.msg import (
    DeadlineStatus,
    RobotMode,
    TrackedObjectArray,
    Trajectory,
    TrajectoryPoint,
)
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import LaserScan
from vision_msgs.msg import Detection2DArray, Detection3DArray

from edge_robot import stages, topics
from edge_robot.control.modes import ModeTimes
from edge_robot.nodes.command_mux import CommandMux
from edge_robot.nodes.controller import Controller
from edge_robot.nodes.mode_manager import ModeManager
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.standalone.virtual import VirtualWorld
from edge_robot.topics import full_name

PERIODS = 0.04  # s; two control periods, after which zero must be commanded
LAST_PLAN = ModeTimes().last_plan_time
LEASE = topics.TRAJECTORY.qos.liveliness_lease


class Talker(Node):
    """Says something at 20 Hz on each of its topics."""

    def __init__(self, name: str, said: dict[topics.Topic, Callable[[], Any]]) -> None:
        super().__init__(name)
        self._said = [
            (self.create_publisher(type(make()), topic.name, contract_profile(topic)), make)
            for topic, make in said.items()
        ]
        self.silent = False
        self.create_timer(0.05, self._speak)

    def _speak(self) -> None:
        for publisher, make in () if self.silent else self._said:
            message = make()
            message.header.stamp = self.get_clock().now().to_msg()
            if hasattr(message, "capture_stamp"):
                message.capture_stamp = message.header.stamp
            publisher.publish(message)


class Listener(Node):
    """Hears modes, and what is commanded and when."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.modes: list[RobotMode] = []
        self.speed = 0.0
        self.latency: DeadlineStatus | None = None
        for kind, topic, callback in (
            (RobotMode, topics.MODE, self.modes.append),
            (TwistStamped, topics.CMD_VEL_MUX, self._on_command),
            (DeadlineStatus, topics.DEADLINES, self._on_deadlines),
        ):
            self.create_subscription(kind, topic.name, callback, qos_profile(topic))
        # The collision monitor passes everything on here.
        self._wheels = self.create_publisher(
            TwistStamped, topics.CMD_VEL.name, qos_profile(topics.CMD_VEL)
        )

    def _on_command(self, command: TwistStamped) -> None:
        self.speed = command.twist.linear.x
        self._wheels.publish(command)

    def _on_deadlines(self, status: DeadlineStatus) -> None:
        if status.stage == stages.CAMERA_TO_COMMAND.name:
            self.latency = status


def straight() -> Trajectory:
    points = [TrajectoryPoint(time_from_start=float(i), x=float(i), v=1.0) for i in range(3)]
    return Trajectory(points=points)


TALKERS: dict[str, dict[topics.Topic, Callable[[], Any]]] = {
    "odometry": {topics.ODOM: Odometry},
    "scanner": {topics.SCAN: LaserScan},
    "camera": {topics.CAMERA_DETECTIONS: Detection2DArray},
    "lidar": {topics.LIDAR_DETECTIONS: Detection3DArray},
    "fusion": {topics.TRACKS: TrackedObjectArray},
    "planner": {topics.TRAJECTORY: straight},
}


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    with VirtualWorld(seed=2) as made:
        for name, make in (
            ("mode_manager", ModeManager),
            ("controller", Controller),
            ("command_mux", CommandMux),
            ("listener", Listener),
        ):
            made.start(name, make)
        for name, said in TALKERS.items():
            made.start(name, lambda name=name, said=said: Talker(name, said))
        made.run_for(1.5)
        assert listener(made).modes[-1].mode == RobotMode.NOMINAL
        assert listener(made).speed == pytest.approx(1.0, abs=0.1)
        yield made
        assert all(process.error is None for process in made.processes.values())


def listener(world: VirtualWorld) -> Any:
    return world.processes["listener"].node


def time_to_zero(world: VirtualWorld, limit: float) -> float:
    start = world.now
    while listener(world).speed != 0.0:
        assert world.now - start < limit + 0.2, "still moving"
        world.run_for(0.001)
    return world.now - start


@pytest.mark.parametrize(
    ("victim", "contract", "named"),
    [
        # The lease of a dead writer ends before its deadline: the earlier event counts.
        ("fusion", LEASE + LAST_PLAN, topics.TRACKS),
        ("planner", topics.TRAJECTORY_VALIDITY, topics.TRAJECTORY),
        ("odometry", topics.ODOM.qos.liveliness_lease, topics.ODOM),
        ("mode_manager", topics.MODE.qos.liveliness_lease, None),
        ("controller", topics.CMD_VEL_NAV.qos.deadline, topics.CMD_VEL_NAV),
    ],
)
def test_zero_is_commanded_within_two_periods_of_the_contract(
    world: VirtualWorld, victim: str, contract: float, named: topics.Topic | None
) -> None:
    world.processes[victim].kill()
    assert time_to_zero(world, contract + PERIODS) <= contract + PERIODS
    world.run_for(0.3)
    assert listener(world).speed == 0.0
    if named is not None:
        assert named.name in listener(world).modes[-1].cause


@pytest.mark.parametrize("victim", ["mode_manager", "controller", "command_mux"])
def test_a_stage_that_is_deactivated_commands_zero_and_is_treated_like_a_dead_one(
    world: VirtualWorld, victim: str
) -> None:
    process: Any = world.processes[victim]
    with world.running(process):
        process.node.trigger_deactivate()
    assert time_to_zero(world, PERIODS) <= PERIODS
    world.run_for(0.3)
    assert listener(world).speed == 0.0
    if victim != "mode_manager":
        assert listener(world).modes[-1].mode == RobotMode.CONTROLLED_STOP
    with world.running(process):
        process.node.trigger_activate()
    world.run_for(2.0)
    assert listener(world).modes[-1].mode == RobotMode.NOMINAL
    assert listener(world).speed == pytest.approx(1.0, abs=0.1)


def test_camera_to_command_is_measured_while_driving(world: VirtualWorld) -> None:
    world.run_for(1.0)
    status = listener(world).latency
    assert status is not None
    assert status.total_runs == sum(status.histogram) > 10
    # Virtual nodes take no time: what is left is the wait for the control period, and the hops.
    assert 0.0 < status.worst < 0.03


def test_the_last_safe_plan_is_followed_ever_slower(world: VirtualWorld) -> None:
    world.processes["fusion"].kill()
    speeds = []
    while listener(world).modes[-1].mode != RobotMode.CONTROLLED_STOP:
        world.run_for(0.02)
        if listener(world).modes[-1].mode == RobotMode.LAST_SAFE_PLAN:
            speeds.append(listener(world).speed)
    assert len(speeds) > 0.8 * LAST_PLAN / 0.02
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(speeds[3:]))
    assert speeds[0] > 0.9 > 0.7 > speeds[len(speeds) // 2] > 0.2 > speeds[-1]


@pytest.mark.parametrize("phase", [0.005, 0.015, 0.025, 0.035, 0.045])
def test_a_planner_that_falls_silent_ends_in_a_controlled_stop(
    world: VirtualWorld, phase: float
) -> None:
    world.processes["planner"].kill()
    world.run_for(2.0 + phase)  # its time and the mode manager's, apart by that
    world.start("planner", lambda: Talker("planner", TALKERS["planner"]))
    world.run_for(2.0)
    planner: Any = world.processes["planner"].node
    planner.silent = True
    heard = len(listener(world).modes)
    world.run_for(1.0)
    modes = [mode.mode for mode in listener(world).modes[heard:]]
    assert set(modes) <= {
        RobotMode.NOMINAL,
        RobotMode.LAST_SAFE_PLAN,
        RobotMode.CONTROLLED_STOP,
    }
    assert modes[-1] == RobotMode.CONTROLLED_STOP
    assert listener(world).speed == 0.0


def test_without_one_of_its_eyes_it_goes_on_more_slowly_and_plans_less(
    world: VirtualWorld,
) -> None:
    world.processes["camera"].kill()
    world.run_for(1.5)
    mode = listener(world).modes[-1]
    assert (mode.mode, mode.planning_share) == (RobotMode.REDUCED, 0.5)
    assert 0.0 < listener(world).speed <= mode.max_speed + 1e-6
    world.start("camera", lambda: Talker("camera", TALKERS["camera"]))
    world.run_for(1.5)
    assert listener(world).modes[-1].mode == RobotMode.NOMINAL


def test_a_contract_that_is_not_ours_is_named() -> None:
    def careless() -> Node:
        node = Node("careless")
        profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_publisher(TrackedObjectArray, topics.TRACKS.name, profile)
        return node

    with VirtualWorld(seed=3) as world:
        world.start("mode_manager", ModeManager)
        world.start("listener", Listener)
        world.start("careless", careless)
        world.run_for(1.0)
        assert (
            f"{full_name(topics.TRACKS.name)} (incompatible QoS: "
            in listener(world).modes[-1].cause
        )
