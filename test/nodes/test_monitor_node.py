"""The collision monitor as a node, in virtual time: what it does about silence and bad input."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PolygonStamped, TransformStamped, TwistStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import LaserScan, PointCloud2, PointField
from std_msgs.msg import Bool
from tf2_ros import StaticTransformBroadcaster

from edge_robot import topics
from edge_robot.nodes.collision_monitor import CollisionMonitor
from edge_robot.nodes.conversions import nanoseconds, stamp_from_nanoseconds
from edge_robot.nodes.qos import qos_profile
from edge_robot.standalone.virtual import VirtualWorld

PERIOD = 0.02
SPEED = 1.2


class Robot(Node):
    """Drivers, and a multiplexer that always wants to drive ahead."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.speed = SPEED
        self.command_age = 0.0
        self.scanning, self.sweeping = True, False
        self.scan_stamp: int | None = None  # fixed: a driver that repeats itself
        self.last_scan = 0  # ns
        self.box_height = 5.0  # of points 0.3 m in front of the bumper
        self.heard: list[tuple[float, float]] = []
        self.why: dict[str, str] = {}
        self.zones: list[PolygonStamped] = []
        mounts = StaticTransformBroadcaster(self)
        mounts.sendTransform([_mount("scan_link"), _mount("lidar_link")])
        self._commands = self._publisher(TwistStamped, topics.CMD_VEL_MUX)
        self._scans = self._publisher(LaserScan, topics.SCAN)
        self._clouds = self._publisher(PointCloud2, topics.LIDAR_POINTS)
        self._estop = self._publisher(Bool, topics.ESTOP)
        self.create_subscription(
            TwistStamped, topics.CMD_VEL.name, self._hear, qos_profile(topics.CMD_VEL)
        )
        self.create_subscription(
            DiagnosticArray,
            topics.DIAGNOSTICS.name,
            self._diagnose,
            qos_profile(topics.DIAGNOSTICS),
        )
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(
            PolygonStamped, "/collision_monitor/slow", self.zones.append, latched
        )
        self.create_timer(PERIOD, self._command)
        self.create_timer(0.05, self._scan)
        self.create_timer(0.1, self._sweep)

    def _publisher(self, kind: Any, topic: topics.Topic) -> Any:
        return self.create_publisher(kind, topic.name, qos_profile(topic))

    def now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _stamp(self, message: Any, frame: str, age: float = 0.0) -> Any:
        now = self.get_clock().now().nanoseconds
        message.header.stamp = stamp_from_nanoseconds(now - round(age * 1e9))
        message.header.frame_id = frame
        return message

    def press_stop(self, stop: bool) -> None:
        self._estop.publish(Bool(data=stop))

    def _command(self) -> None:
        command = self._stamp(TwistStamped(), "base_link", self.command_age)
        command.twist.linear.x = self.speed
        self._commands.publish(command)

    def _scan(self) -> None:
        if not self.scanning:
            return
        scan = self._stamp(LaserScan(), "scan_link")
        if self.scan_stamp is None:
            self.last_scan = nanoseconds(scan.header.stamp)
        else:
            scan.header.stamp = stamp_from_nanoseconds(self.scan_stamp)
        scan.angle_increment = np.pi / 2
        scan.angle_max, scan.range_min, scan.range_max = 1.5 * np.pi, 0.1, 20.0
        scan.ranges = array("f", [10.0] * 4)
        self._scans.publish(scan)

    def _sweep(self) -> None:
        if not self.sweeping:
            return
        points = np.array([[0.51, 0.0, self.box_height]], np.float32)
        cloud = self._stamp(PointCloud2(), "lidar_link")
        cloud.height, cloud.width, cloud.point_step, cloud.row_step = 1, 1, 12, 12
        cloud.fields = [
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate("xyz")
        ]
        cloud.data = array("B", points.tobytes())
        self._clouds.publish(cloud)

    def _hear(self, command: TwistStamped) -> None:
        self.heard.append((self.now(), command.twist.linear.x))

    def _diagnose(self, message: DiagnosticArray) -> None:
        self.why.update({status.name: status.message for status in message.status})


def _mount(frame: str) -> TransformStamped:
    mount = TransformStamped(child_frame_id=frame)
    mount.header.frame_id = "base_link"
    mount.transform.rotation.w = 1.0
    return mount


@pytest.fixture
def world() -> Iterator[VirtualWorld]:
    with VirtualWorld(seed=1) as made:
        made.start("robot", Robot)
        made.start("collision_monitor", CollisionMonitor)
        made.run_for(1.0)
        yield made


@pytest.fixture
def robot(world: VirtualWorld) -> Robot:
    node: Robot = world.processes["robot"].node
    assert node.heard[-1][1] == SPEED
    return node


def velocities(world: VirtualWorld, robot: Robot, seconds: float) -> set[float]:
    """Return all that the wheels are told in the next seconds, but for the first two periods."""
    world.run_for(2 * PERIOD)
    first = len(robot.heard)
    world.run_for(seconds)
    return {speed for _, speed in robot.heard[first:]}


@pytest.mark.parametrize("how", ["silent", "repeats itself"])
def test_a_blind_robot_stops_within_two_periods_of_the_scans_contract(
    world: VirtualWorld, robot: Robot, how: str
) -> None:
    if how == "silent":
        robot.scanning = False
    else:
        robot.scan_stamp = robot.last_scan
    last = robot.last_scan * 1e-9
    world.run_for(1.0)
    stopped = next(time for time, speed in robot.heard if time > last and speed == 0.0)
    assert topics.SCAN.qos.deadline is not None
    assert stopped - last <= topics.SCAN.qos.deadline + 2 * PERIOD
    assert all(speed == 0.0 for time, speed in robot.heard if time >= stopped)
    world.run_for(1.0)
    assert robot.why["collision_monitor: commands"] == "stop: scan is silent"


def test_a_lidar_is_missed_only_once_it_was_heard(world: VirtualWorld, robot: Robot) -> None:
    robot.sweeping = True
    assert velocities(world, robot, 0.5) == {SPEED}
    robot.sweeping = False
    world.run_for(0.3)
    assert velocities(world, robot, 0.5) == {0.5}


def test_without_any_eyes_it_does_not_move(world: VirtualWorld, robot: Robot) -> None:
    monitor = world.processes["collision_monitor"].node
    monitor._sources = [s for s in monitor._sources if not s.settings.required]
    assert velocities(world, robot, 0.3) == {0.0}
    robot.sweeping = True
    world.run_for(0.3)
    assert velocities(world, robot, 0.3) == {SPEED}


@pytest.mark.parametrize(("height", "stops"), [(0.3, True), (0.02, False), (1.5, False)])
def test_what_only_the_lidar_sees_counts_at_the_heights_of_the_robot(
    world: VirtualWorld, robot: Robot, height: float, stops: bool
) -> None:
    robot.sweeping, robot.box_height = True, height
    world.run_for(0.3)
    told = velocities(world, robot, 0.5)
    assert (max(told) < 0.8) if stops else (told == {SPEED})
    world.run_for(1.0)
    why = robot.why["collision_monitor: commands"]
    assert ("lidar sees something in zone" in why) == stops


@pytest.mark.parametrize(
    ("speed", "age"),
    [(float("nan"), 0.0), (float("inf"), 0.0), (SPEED, 0.11), (SPEED, -0.2)],
    ids=["nan", "inf", "late", "of the future"],
)
def test_what_is_no_command_becomes_zero_and_never_silence(
    world: VirtualWorld, robot: Robot, speed: float, age: float
) -> None:
    robot.speed, robot.command_age = speed, age
    world.run_for(0.1)
    assert velocities(world, robot, 0.5) == {0.0}
    gaps = np.diff([time for time, _ in robot.heard])
    assert topics.CMD_VEL.qos.deadline is not None
    assert gaps.max() <= topics.CMD_VEL.qos.deadline
    robot.speed, robot.command_age = SPEED, 0.0
    assert velocities(world, robot, 0.2) == {SPEED}


def test_the_emergency_stop_reaches_the_last_stage_whatever_commands_say(
    world: VirtualWorld, robot: Robot
) -> None:
    pressed, first = robot.now(), len(robot.heard)
    robot.press_stop(True)
    world.run_for(0.5)
    since = [(time - pressed, speed) for time, speed in robot.heard[first:]]
    assert all(speed == 0.0 for after, speed in since if after > PERIOD)
    assert since[0][0] <= PERIOD
    robot.press_stop(False)
    assert velocities(world, robot, 0.2) == {SPEED}


def test_deactivated_it_stops_the_wheels_and_is_silent(world: VirtualWorld, robot: Robot) -> None:
    process: Any = world.processes["collision_monitor"]
    robot.press_stop(True)
    world.run_for(0.1)
    with world.running(process):
        process.node.trigger_deactivate()
    heard = len(robot.heard)
    world.run_for(0.5)
    assert [speed for _, speed in robot.heard[heard:]] == [0.0]
    with world.running(process):
        process.node.trigger_activate()
    assert velocities(world, robot, 0.5) == {0.0}
    robot.press_stop(False)
    assert velocities(world, robot, 0.2) == {SPEED}


def test_viewers_get_the_zones_whenever_they_come(robot: Robot) -> None:
    (shape,) = robot.zones
    assert shape.header.frame_id == "base_link"
    assert {(round(p.x, 3), round(p.y, 3)) for p in shape.polygon.points} == {
        (x, y) for x in (0.21, -0.21) for y in (0.155, -0.155)
    }
