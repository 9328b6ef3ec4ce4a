"""The nodes of the control path as processes, on a robot that is nothing but kinematics."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from edge_robot.msg import RobotMode, TrackedObjectArray
from geometry_msgs.msg import PoseStamped, TransformStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from std_srvs.srv import SetBool, Trigger
from tf2_ros import StaticTransformBroadcaster
from vision_msgs.msg import Detection2DArray, Detection3DArray

import edge_robot  # noqa: F401 - makes rclpy importable without ROS 2
from edge_robot import topics
from edge_robot.control.commands import refusal
from edge_robot.nodes.conversions import nanoseconds, quaternion_from_yaw
from edge_robot.nodes.qos import qos_profile
from edge_robot.planning.robot import State

LIMIT = 40.0
PROMPT = 1.0  # s; a bound for a loaded machine, far below what a missing mechanism would take


class Robot(Node):
    """A base that does what /cmd_vel says in a round room, its sensors, and an operator."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.state = State(0.0, 0.0, 0.0)
        self.commands: list[tuple[float, TwistStamped]] = []
        self.refused: list[TwistStamped] = []
        self.modes: list[RobotMode] = []
        self.wall: float | None = 6.0  # range of the scan; None: no scan
        self.nav: tuple[float, float] | None = None
        self.teleop: tuple[float, float] | None = None
        self.sent: dict[int, float] = {}
        self._moved = time.monotonic()
        self._out = {
            topic: self.create_publisher(kind, topic.name, qos_profile(topic))
            for kind, topic in (
                (LaserScan, topics.SCAN),
                (Odometry, topics.ODOM),
                (TrackedObjectArray, topics.TRACKS),
                (Detection2DArray, topics.CAMERA_DETECTIONS),
                (Detection3DArray, topics.LIDAR_DETECTIONS),
                (PoseStamped, topics.GOAL),
                (TwistStamped, topics.CMD_VEL_NAV),
                (TwistStamped, topics.CMD_VEL_TELEOP),
            )
        }
        self.create_subscription(
            TwistStamped, topics.CMD_VEL.name, self._on_command, qos_profile(topics.CMD_VEL)
        )
        self.create_subscription(
            RobotMode, topics.MODE.name, self.modes.append, qos_profile(topics.MODE)
        )
        self._estop = self.create_client(SetBool, "/estop/set")
        self._hand_back = self.create_client(Trigger, "/cmd_vel/hand_back")
        self._mounts = StaticTransformBroadcaster(self)
        mount = TransformStamped(child_frame_id="scan_link")
        mount.header.frame_id = "base_link"
        mount.transform.rotation.w = 1.0
        self._mounts.sendTransform(mount)
        self.create_timer(0.02, self._fast)
        self.create_timer(0.05, self._slow)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)

    def _on_command(self, command: TwistStamped) -> None:
        stamp, now = nanoseconds(command.header.stamp), self.get_clock().now().nanoseconds
        if refusal(stamp, now, (), topics.CMD_VEL.qos.lifespan):
            self.refused.append(command)
        else:
            self.commands.append((time.monotonic(), command))

    def _stamped(self, message, frame: str):
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = frame
        return message

    def _fast(self) -> None:
        now = time.monotonic()
        v, w = self.velocity
        self.state = State(self.state.x, self.state.y, self.state.yaw, v, w).after(
            now - self._moved
        )
        self._moved = now
        odometry = self._stamped(Odometry(child_frame_id="base_link"), "odom")
        odometry.pose.pose.position.x = self.state.x
        odometry.pose.pose.position.y = self.state.y
        odometry.pose.pose.orientation = quaternion_from_yaw(self.state.yaw)
        odometry.twist.twist.linear.x, odometry.twist.twist.angular.z = v, w
        self._out[topics.ODOM].publish(odometry)
        for topic, wanted in ((topics.CMD_VEL_NAV, self.nav), (topics.CMD_VEL_TELEOP, self.teleop)):
            if wanted is not None:
                command = self._stamped(TwistStamped(), "base_link")
                command.twist.linear.x, command.twist.angular.z = wanted
                self.sent[nanoseconds(command.header.stamp)] = now
                self._out[topic].publish(command)

    def _slow(self) -> None:
        for topic, message in (
            (topics.TRACKS, TrackedObjectArray()),
            (topics.CAMERA_DETECTIONS, Detection2DArray()),
            (topics.LIDAR_DETECTIONS, Detection3DArray()),
        ):
            self._out[topic].publish(self._stamped(message, "odom"))
        if self.wall is not None:
            scan = LaserScan(angle_min=-np.pi, angle_max=np.pi, angle_increment=2 * np.pi / 360)
            scan.range_min, scan.range_max = 0.05, 12.0
            scan.ranges = [self.wall] * 360
            self._out[topics.SCAN].publish(self._stamped(scan, "scan_link"))

    @property
    def velocity(self) -> tuple[float, float]:
        if not self.commands:
            return 0.0, 0.0
        twist = self.commands[-1][1].twist
        return twist.linear.x, twist.angular.z

    def send_goal(self, x: float, y: float) -> None:
        goal = self._stamped(PoseStamped(), "odom")
        goal.pose.position.x, goal.pose.position.y = x, y
        goal.pose.orientation.w = 1.0
        self._out[topics.GOAL].publish(goal)

    def press_stop(self, stop: bool) -> None:
        self.until(self._estop.service_is_ready, "the emergency stop's service")
        future = self._estop.call_async(SetBool.Request(data=stop))
        self.until(future.done, "its answer")
        assert future.result().success

    def hand_back(self) -> None:
        future = self._hand_back.call_async(Trigger.Request())
        self.until(future.done, "the answer to the hand-back")
        assert future.result().success

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._spinner.spin_once(timeout_sec=0.02)

    def until(self, condition: Callable[[], bool], what: str, limit: float = LIMIT) -> None:
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, f"waited {limit} s in vain for {what}"
            self._spinner.spin_once(timeout_sec=0.02)

    def commands_after(self, seconds: float) -> list[TwistStamped]:
        """Spin and return what was commanded meanwhile."""
        first = len(self.commands)
        self.spin(seconds)
        return [command for _, command in self.commands[first:]]


@contextmanager
def nodes(*names: str, **parameters: object) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    processes = {}
    for name in names:
        command = [sys.executable, "-m", f"edge_robot.nodes.{name}", "--ros-args"]
        for key, value in parameters.items():
            command += ["-p", f"{key}:={value}"]
        processes[name] = subprocess.Popen(command, env=dict(os.environ))
    try:
        yield processes
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGINT)
        statuses = {name: process.wait(10.0) for name, process in processes.items()}
    assert not any(status for status in statuses.values() if status != -signal.SIGKILL), statuses


@pytest.fixture
def robot(domain: int) -> Iterator[Robot]:
    rclpy.init()
    node = Robot()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def at_rest(robot: Robot) -> bool:
    return robot.velocity == (0.0, 0.0)


def test_commands_pass_the_arbiter_and_the_monitor_or_become_zero(robot: Robot) -> None:
    with nodes("command_mux", "collision_monitor") as processes:
        robot.until(lambda: len(robot.commands) > 5, "zeros without any input")
        assert all(c.twist == Twist() for _, c in robot.commands)

        robot.nav = (0.3, 0.1)
        robot.until(lambda: robot.velocity == (0.3, 0.1), "autonomy's command")
        forwarded = [
            nanoseconds(c.header.stamp) for c in robot.commands_after(0.5) if c.twist.linear.x
        ]
        assert set(forwarded) <= set(robot.sent), "a stamp was changed on the way"
        assert len(set(forwarded)) == len(forwarded)

        robot.teleop = (-0.2, 0.0)
        robot.until(lambda: robot.velocity == (-0.2, 0.0), "the operator's command", PROMPT)
        assert not [c for c in robot.commands_after(0.4) if c.twist.linear.x > 0]
        robot.teleop = None
        assert all(c.twist.linear.x <= 0.0 for c in robot.commands_after(0.5)), "not told to go on"
        robot.hand_back()
        robot.until(lambda: robot.velocity == (0.3, 0.1), "autonomy after the operator", PROMPT)

        robot.wall = 0.24  # three centimetres in front of the bumper
        robot.until(lambda: at_rest(robot), "the monitor's stop", PROMPT)
        robot.wall, robot.nav = 6.0, (0.3, 0.0)
        robot.until(lambda: robot.velocity == (0.3, 0.0), "free way again", PROMPT)

        robot.wall = None
        robot.until(lambda: at_rest(robot), "the stop of a blind robot", PROMPT)
        robot.wall = 6.0
        robot.until(lambda: robot.velocity == (0.3, 0.0), "sight again", PROMPT)

        robot.press_stop(True)
        robot.until(lambda: at_rest(robot), "the emergency stop", PROMPT)
        robot.press_stop(False)
        assert all(c.twist == Twist() for c in robot.commands_after(0.5)), "resumed by itself"
        robot.send_goal(1.0, 0.0)
        robot.until(lambda: robot.velocity == (0.3, 0.0), "driving on to a new goal", PROMPT)

        robot.nav = None
        robot.until(lambda: at_rest(robot), "zero when autonomy is silent", PROMPT)
        silence = len(robot.commands)
        robot.until(lambda: len(robot.commands) > silence + 20, "explicit zeros", 3.0)

        robot.nav = (0.3, 0.0)
        robot.until(lambda: robot.velocity == (0.3, 0.0), "driving on", PROMPT)
        robot.nav = (np.nan, 0.0)
        robot.until(lambda: at_rest(robot), "zero for what is no number", PROMPT)
        robot.nav = (0.3, 0.0)
        robot.until(lambda: robot.velocity == (0.3, 0.0), "driving on", PROMPT)

        # What a stage that was frozen had in hand, one command at most, the next one refuses: the
        # monitor that of the multiplexer, the base that of the monitor.
        for frozen in ("command_mux", "collision_monitor"):
            processes[frozen].send_signal(signal.SIGSTOP)
            robot.spin(0.5)
            if frozen == "command_mux":
                assert at_rest(robot)
            thawed = time.monotonic()
            processes[frozen].send_signal(signal.SIGCONT)
            robot.until(
                lambda since=thawed: robot.velocity[0] > 0 and robot.commands[-1][0] > since,
                f"driving on after {frozen} was frozen",
                PROMPT,
            )
            outlived = len(robot.refused)
            assert outlived <= (frozen == "collision_monitor"), "commands outlived their lifespan"
        processes["command_mux"].kill()
        robot.until(lambda: at_rest(robot), "zero when the arbiter is dead", PROMPT)


def test_a_plain_twist_can_be_had(robot: Robot) -> None:
    twists: list[Twist] = []
    robot.create_subscription(Twist, "/cmd_vel/plain", twists.append, qos_profile(topics.CMD_VEL))
    command = [sys.executable, "-m", "edge_robot.nodes.collision_monitor", "--ros-args"]
    command += ["-p", "stamped:=false", "-r", "/cmd_vel:=/cmd_vel/plain"]
    process = subprocess.Popen(command, env=dict(os.environ))
    try:
        robot.until(lambda: len(twists) > 3, "plain zeros")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10.0) == 0


def test_the_stack_drives_stops_and_stays_stopped(robot: Robot) -> None:
    names = ("planner", "controller", "command_mux", "collision_monitor", "mode_manager")
    robot.wall = np.inf
    with nodes(*names) as processes:
        robot.until(lambda: bool(robot.modes), "the mode")
        assert robot.modes[0].mode in (RobotMode.INITIALIZING, RobotMode.NOMINAL)
        robot.until(lambda: robot.modes[-1].mode == RobotMode.NOMINAL, "the nominal mode")
        assert at_rest(robot)

        def drive_on(what: str) -> None:
            start, calls = robot.state.x, itertools.count()

            def arrived() -> bool:
                # The goal again and again until somebody listens: discovery may lag behind.
                if next(calls) % 50 == 0:
                    robot.send_goal(50.0, 0.0)
                return robot.state.x > start + 0.5

            robot.until(arrived, what)

        drive_on("the drive")
        robot.press_stop(True)
        robot.until(lambda: at_rest(robot), "the emergency stop", PROMPT)
        robot.until(
            lambda: robot.modes[-1].mode == RobotMode.EMERGENCY_STOP, "the mode of it", PROMPT
        )
        robot.press_stop(False)
        assert all(c.twist == Twist() for c in robot.commands_after(2.0)), "resumed by itself"
        assert "new goal" in robot.modes[-1].cause
        drive_on("the drive to a new goal")

        processes["controller"].kill()
        robot.until(lambda: at_rest(robot), "zero when the controller is dead", PROMPT)
        assert all(c.twist == Twist() for c in robot.commands_after(0.5))
