"""What a ROS user expects of a navigation stack: the planner node in virtual time, and once as a
process among processes.

The world is a base that does exactly what the newest trajectory says, on a floor with one wall
behind where it starts.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from edge_robot.msg import RobotMode, TrackedObject, TrackedObjectArray, Trajectory
from geometry_msgs.msg import PoseStamped, Quaternion, TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav2_msgs.action import FollowWaypoints, NavigateThroughPoses, NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry
from nav_msgs.msg import Path as PathMsg
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import LaserScan
from std_srvs.srv import Trigger
from tf2_ros import Buffer, StaticTransformBroadcaster

from edge_robot import topics
from edge_robot.nodes.conversions import quaternion_from_yaw, seconds, stamp_from_nanoseconds
from edge_robot.nodes.planner import Planner
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.static_map import StaticMapLayer
from edge_robot.planning.costmap import Costmap
from edge_robot.planning.drive import Failure
from edge_robot.planning.map_file import read_map
from edge_robot.planning.robot import State
from edge_robot.planning.trajectory import Trajectory as Planned
from edge_robot.standalone.virtual import VirtualWorld

LIMIT = 60.0  # s
PATIENCE = 0.6  # s
WALL = -1.5  # m; x of a wall along y
ACTIONS = {
    "navigate_to_pose": NavigateToPose,
    "navigate_through_poses": NavigateThroughPoses,
    "follow_waypoints": FollowWaypoints,
}


class World(Node):
    """The base, its sensors, a mode, and the clients of the actions."""

    def __init__(self) -> None:
        super().__init__("world")
        self.state = State(0.0, 0.0, 0.0)
        self.mode = RobotMode.NOMINAL
        self.planning_period = 0.0  # s
        self.seconds: Callable[[], float] = time.monotonic
        self.go_on: Callable[[], None] = lambda: rclpy.spin_once(self, timeout_sec=0.02)
        self.acting: Callable[[], Any] = nullcontext
        self.behind = 0.0  # s; by which odometry's clock is
        self.noise = 0.0  # m; NaN for odometry that is none
        self.tracks = TrackedObjectArray()
        self.plan: tuple[float, Planned] | None = None
        self.plans: list[Planned] = []
        self._out = {
            topic: self.create_publisher(kind, topic.name, qos_profile(topic))
            for kind, topic in (
                (LaserScan, topics.SCAN),
                (Odometry, topics.ODOM),
                (TrackedObjectArray, topics.TRACKS),
                (RobotMode, topics.MODE),
                (PoseStamped, topics.GOAL),
                (OccupancyGrid, topics.MAP),
            )
        }
        self.listen(Trajectory, topics.TRAJECTORY, self._on_trajectory)
        self.log: list[str] = []
        self.create_subscription(Log, "/rosout", lambda m: self.log.append(m.msg), 100)
        mounts = [TransformStamped(child_frame_id="scan_link"), TransformStamped()]
        mounts[0].header.frame_id = "base_link"
        mounts[1].header.frame_id, mounts[1].child_frame_id = "map", "odom"
        mounts[1].transform.translation.x = 1.0  # so that a goal in the one is none in the other
        self._mounts = StaticTransformBroadcaster(self)
        self._mounts.sendTransform(mounts)
        self._clients = {name: ActionClient(self, kind, name) for name, kind in ACTIONS.items()}
        self._cancel = self.create_client(Trigger, "/goal_pose/cancel")
        self.create_timer(0.02, self._fast)
        self.create_timer(0.05, self._slow)

    def listen(self, kind: Any, topic: topics.Topic, callback: Callable[[Any], Any]) -> Any:
        with self.acting():
            return self.create_subscription(kind, topic.name, callback, qos_profile(topic))

    def _on_trajectory(self, message: Trajectory) -> None:
        rows = [(p.time_from_start, p.x, p.y, p.yaw, p.v, p.w) for p in message.points]
        self.plan = seconds(message.header.stamp), Planned(*np.array(rows, float).T)
        self.plans.append(self.plan[1])

    def _stamped(self, message: Any, frame: str = "odom", shift: float = 0.0) -> Any:
        now = self.get_clock().now().nanoseconds - round(shift * 1e9)
        message.header.stamp = stamp_from_nanoseconds(now)
        message.header.frame_id = frame
        return message

    def _fast(self) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        v = w = 0.0
        if self.plan is not None and now - self.plan[0] < 0.5:
            wanted = self.plan[1].at(now - self.plan[0])
            v, w = wanted.v, wanted.w
        self.state = State(self.state.x, self.state.y, self.state.yaw, v, w).after(0.02)
        odometry = self._stamped(Odometry(child_frame_id="base_link"), shift=self.behind)
        odometry.pose.pose.position.x = self.state.x + self.noise
        odometry.pose.pose.position.y = self.state.y
        odometry.pose.pose.orientation = quaternion_from_yaw(self.state.yaw)
        odometry.twist.twist.linear.x, odometry.twist.twist.angular.z = v, w
        self._out[topics.ODOM].publish(odometry)

    def _slow(self) -> None:
        mode = RobotMode(mode=self.mode, max_speed=1.4, planning_share=1.0)
        mode.planning_period = self.planning_period
        self._out[topics.MODE].publish(self._stamped(mode))
        tracks = self._stamped(self.tracks)
        tracks.capture_stamp = tracks.header.stamp
        self._out[topics.TRACKS].publish(tracks)
        scan = LaserScan(angle_min=-math.pi, angle_max=math.pi, angle_increment=math.pi / 180)
        scan.range_min, scan.range_max = 0.05, 10.0
        ahead = np.cos(np.arange(360) * math.pi / 180 - math.pi + self.state.yaw)
        ranges = (WALL - self.state.x) / np.minimum(ahead, -1e-3)
        scan.ranges = np.where(ranges < 10.0, ranges, np.inf).tolist()
        self._out[topics.SCAN].publish(self._stamped(scan, "scan_link"))

    def ahead(self, x: float, y: float = 0.0, yaw: float = 0.0) -> PoseStamped:
        """Return a pose relative to where the robot is, but not to its heading."""
        return self.pose(self.state.x + x, self.state.y + y, yaw)

    def pose(self, x: float, y: float, yaw: float = 0.0, frame: str = "odom") -> PoseStamped:
        pose = self._stamped(PoseStamped(), frame)
        pose.pose.position.x, pose.pose.position.y = x, y
        pose.pose.orientation = quaternion_from_yaw(yaw)
        return pose

    def cancel(self, handle: Any) -> None:
        with self.acting():
            future = handle.cancel_goal_async()
        self.until(future.done, "an answer to the wish to cancel")

    def cancel_any(self) -> tuple[bool, str]:
        """Cancel what is driven to, whoever gave it; return what is answered."""
        with self.acting():
            future = self._cancel.call_async(Trigger.Request())
        self.until(future.done, "an answer to the wish to cancel")
        return future.result().success, future.result().message

    def say(self, topic: topics.Topic, message: Any) -> None:
        with self.acting():
            self._out[topic].publish(message)

    def send(self, action: str, feedback: Callable[[Any], Any] | None = None, **goal: Any) -> Any:
        """Send a goal and return its handle."""
        self.until_served(action)
        with self.acting():
            future = self._clients[action].send_goal_async(ACTIONS[action].Goal(**goal), feedback)
        self.until(future.done, "an answer to a goal")
        assert future.result().accepted
        return future.result()

    def until_served(self, action: str) -> None:
        def is_ready() -> bool:
            with self.acting():
                return self._clients[action].server_is_ready()

        self.until(is_ready, action)

    def outcome(self, handle: Any) -> tuple[int, Any]:
        """Return a goal's status and result, when there is one."""
        with self.acting():
            future = handle.get_result_async()
        self.until(future.done, "a result")
        return future.result().status, future.result().result

    def until(self, condition: Callable[[], Any], what: str) -> None:
        end = self.seconds() + LIMIT
        while not condition():
            assert self.seconds() < end, f"waited {LIMIT} s in vain for {what}"
            self.go_on()

    def wait(self, seconds: float) -> None:
        end = self.seconds() + seconds
        self.until(lambda: self.seconds() >= end, "an end of waiting")

    def away_from(self, pose: PoseStamped) -> float:
        here = pose.pose.position
        return math.hypot(self.state.x - here.x, self.state.y - here.y)


@pytest.fixture
def world() -> Iterator[World]:
    """Give the world with a planner in it, in virtual time."""
    with VirtualWorld(1, ["--ros-args", "-p", f"patience:={PATIENCE}"]) as virtual:
        process = virtual.start("world", World)
        assert isinstance(process.node, World)
        process.node.seconds = lambda: virtual.now
        process.node.go_on = lambda: virtual.run_for(0.02)
        process.node.acting = lambda: virtual.running(process)
        planner = virtual.start("planner", Planner)
        virtual.run_for(0.5)
        yield process.node
        assert planner.error is None


@pytest.fixture
def real_world(domain: int) -> Iterator[World]:
    """Give the world with a planner as a process of its own."""
    rclpy.init()
    node = World()
    command = [sys.executable, "-m", "edge_robot.nodes.planner", "--ros-args"]
    # The machine may be busy with others.
    command += ["-p", f"patience:={PATIENCE}", "-p", "odometry_timeout:=1.0"]
    process = subprocess.Popen(command, env=dict(os.environ))
    yield node
    process.send_signal(signal.SIGINT)
    assert process.wait(30.0) == 0
    node.destroy_node()
    rclpy.try_shutdown()


def test_a_goal_is_reached_and_everybody_can_see_how(world: World) -> None:
    feedback, plans, costs, goals = [], [], [], []
    world.listen(PathMsg, topics.PATH, plans.append)
    local_costmap = world.listen(OccupancyGrid, topics.LOCAL_COSTMAP, costs.append)
    world.listen(PoseStamped, topics.GOAL, goals.append)
    world.until(lambda: costs, "the map around the robot")
    # The frame map begins 1 m behind that of odometry.
    goal = world.pose(2.0, 0.0, 0.5, "map")
    status, result = world.outcome(world.send("navigate_to_pose", feedback.append, pose=goal))
    assert (status, result.error_code) == (GoalStatus.STATUS_SUCCEEDED, 0)
    assert world.away_from(world.pose(1.0, 0.0)) < 0.4
    assert abs(world.state.yaw - 0.5) < 0.25
    told = [message.feedback for message in feedback]
    assert told[-1].distance_remaining < 0.4 < told[0].distance_remaining < 1.2
    assert told[-1].current_pose.header.frame_id == "odom"
    taken = [seconds(t.navigation_time) for t in told]
    assert taken == sorted(taken)
    assert told[0].estimated_time_remaining.nanosec > 0
    end = plans[0].poses[-1].pose
    assert (end.position.x, end.position.y) == pytest.approx((1.0, 0.0))
    assert end.orientation.z == pytest.approx(math.sin(0.25))
    assert goals[0].pose == goal.pose, "who watches /goal_pose must know of it"
    grid = costs[-1]
    cells = np.asarray(grid.data).reshape(grid.info.height, grid.info.width)
    row = int(-grid.info.origin.position.y / grid.info.resolution)
    column = int((WALL - grid.info.origin.position.x) / grid.info.resolution)
    assert cells[row, column - 1 : column + 2].max() == 100
    assert 0 < cells[row, column + 10] < 99
    world.destroy_subscription(local_costmap)


def test_drives_are_superseded_cancelled_and_stopped(world: World) -> None:
    first = world.send("navigate_to_pose", pose=world.ahead(8.0))
    second = world.send("navigate_to_pose", pose=world.ahead(9.0))
    status, result = world.outcome(first)
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Failure.SUPERSEDED)
    _, result = world.outcome(world.send("navigate_to_pose", pose=world.ahead(math.nan)))
    assert result.error_code == Failure.INVALID_GOAL, "and the drive under way goes on"
    world.until(lambda: world.state.v > 0.3, "the drive")
    world.cancel(second)
    status, result = world.outcome(second)
    assert (status, result.error_msg) == (GoalStatus.STATUS_CANCELED, "cancelled")
    assert (world.state.v, world.state.w) == pytest.approx((0.0, 0.0), abs=0.1)
    assert world.plans[-1].v[-1] == 0.0

    begun: list[Any] = []
    third = world.send("navigate_to_pose", begun.append, pose=world.ahead(8.0))
    world.until(lambda: begun, "the drive")
    world.say(topics.GOAL, world.ahead(9.0))
    status, result = world.outcome(third)
    assert "goal_pose" in result.error_msg
    world.until(lambda: world.state.v > 0.3, "the drive")
    assert world.cancel_any() == (True, "the goal is cancelled")
    world.until(lambda: world.state.v == 0.0, "rest")
    assert world.cancel_any() == (False, "there is no goal")

    fourth = world.send("navigate_to_pose", pose=world.ahead(8.0))
    world.until(lambda: world.state.v > 0.3, "the drive")
    world.mode = RobotMode.EMERGENCY_STOP
    status, result = world.outcome(fourth)
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Failure.EMERGENCY_STOP)
    world.until(lambda: world.state.v == 0.0, "rest")

    # While the stop is latched a goal is in vain; the one that ends it may come before the mode.
    status, result = world.outcome(world.send("navigate_to_pose", pose=world.ahead(0.5)))
    assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, Failure.EMERGENCY_STOP)
    fifth = world.send("navigate_to_pose", pose=world.ahead(0.5))
    world.wait(0.2)
    world.mode = RobotMode.NOMINAL
    assert world.outcome(fifth)[0] == GoalStatus.STATUS_SUCCEEDED


def test_limits_change_while_it_drives(world: World) -> None:
    with world.acting():
        client = world.create_client(SetParameters, "/planner/set_parameters")
    handle = world.send("navigate_to_pose", pose=world.ahead(8.0))
    world.until(lambda: world.state.v > 0.6, "the drive")
    with world.acting():
        slower = Parameter("max_speed", value=0.3).to_parameter_msg()
        future = client.call_async(SetParameters.Request(parameters=[slower]))
    world.until(future.done, "an answer")
    assert future.result().results[0].successful
    world.wait(1.0)
    assert 0.1 < world.state.v < 0.35
    world.cancel(handle)


def test_deactivated_it_abandons_the_drive_and_activated_it_waits_for_a_goal(world: World) -> None:
    def change(transition: str) -> None:
        with world.acting():
            client = world.create_client(ChangeState, "/planner/change_state")
        world.until(client.service_is_ready, "the planner")
        request = ChangeState.Request(transition=Transition(label=transition))
        with world.acting():
            future = client.call_async(request)
        world.until(future.done, f"the planner to {transition}")
        assert future.result().success

    handle = world.send("navigate_to_pose", pose=world.ahead(8.0))
    world.until(lambda: world.state.v > 0.3, "the drive")
    change("deactivate")
    world.until(lambda: handle.status == GoalStatus.STATUS_ABORTED, "the end of the action")
    world.until(lambda: world.state.v == 0.0, "rest")
    change("activate")
    world.wait(1.0)
    assert world.state.v == 0.0
    status, _ = world.outcome(world.send("navigate_to_pose", pose=world.ahead(0.5)))
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_what_cannot_be_is_refused_with_the_reason(world: World) -> None:
    zero = world.ahead(1.0)
    zero.pose.orientation = Quaternion(w=0.0)
    here = world.ahead(0.0)
    for pose, failure, reason in (
        (world.pose(math.nan, 0.0), Failure.INVALID_GOAL, "not finite"),
        (zero, Failure.INVALID_GOAL, "no rotation"),
        (world.pose(1.0, 0.0, 0.0, "moon"), Failure.UNKNOWN_FRAME, "moon"),
        (world.pose(3000.0, 0.0), Failure.GOAL_OUTSIDE_MAP, "longer than 200 m"),
        (world.pose(WALL, 0.0), Failure.GOAL_OCCUPIED, "obstacle"),
    ):
        status, result = world.outcome(world.send("navigate_to_pose", pose=pose))
        assert (status, result.error_code) == (GoalStatus.STATUS_ABORTED, failure)
        assert reason in result.error_msg
    world.log.clear()
    world.say(topics.GOAL, world.pose(3000.0, 0.0))
    world.say(topics.GOAL, zero)
    world.until(lambda: any("no plan: (3000" in text for text in world.log), "the refusal")
    world.until(lambda: any("goal refused: its or" in text for text in world.log), "the other")
    _, result = world.outcome(world.send("navigate_through_poses", poses=[]))
    assert result.error_code == Failure.INVALID_GOAL
    assert world.away_from(here) < 0.05


def test_waypoints_are_visited_and_one_that_cannot_be_is_left_out(world: World) -> None:
    poses = [world.ahead(0.4), world.pose(WALL, 0.0), world.ahead(0.8)]
    heard: list[int] = []
    handle = world.send(
        "follow_waypoints",
        lambda message: heard.append(message.feedback.current_waypoint),
        poses=poses,
    )
    status, result = world.outcome(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED
    missed = [(m.index, m.goal, m.error_code) for m in result.missed_waypoints]
    assert missed == [(1, poses[1], Failure.GOAL_OCCUPIED)]
    assert heard == sorted(heard)
    assert set(heard) == {0, 1, 2}
    assert world.away_from(poses[2]) < 0.4


def test_a_last_waypoint_that_was_left_out_is_not_driven_to_later(world: World) -> None:
    poses = [world.ahead(0.4), world.pose(WALL, 0.0)]
    status, result = world.outcome(world.send("follow_waypoints", poses=poses))
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert [missed.index for missed in result.missed_waypoints] == [1]
    assert world.cancel_any() == (False, "there is no goal")


def test_it_drives_through_poses_without_a_halt(world: World) -> None:
    poses = [world.ahead(0.9), world.ahead(1.7)]
    left: list[tuple[int, float]] = []
    handle = world.send(
        "navigate_through_poses",
        lambda m: left.append((m.feedback.number_of_poses_remaining, world.state.v)),
        poses=poses,
    )
    status, _ = world.outcome(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert world.away_from(poses[1]) < 0.4
    assert next(v for number, v in left if number == 1) > 0.3


def test_a_map_of_a_file_is_published_and_planned_on(world: World, tmp_path: Path) -> None:
    odd = OccupancyGrid(data=[0] * 6)
    odd.info.width, odd.info.height, odd.info.resolution = 2, 2, 0.05
    endless = OccupancyGrid(data=[0] * 4)
    endless.info.width = endless.info.height = 2
    endless.info.resolution = math.nan
    for wrong, reason in ((odd, "2 x 2 cells cannot have 6 values"), (endless, "cells of nan m")):
        world.say(topics.MAP, wrong)
        world.until(lambda reason=reason: any(reason in t for t in world.log), "the refusal")

    # A shelf of 1 m that no sensor sees, 4 m ahead in odom, 5 m in map, which begins behind it.
    (tmp_path / "shelf.pgm").write_bytes(b"P5 20 20 255\n" + bytes(400))
    about = "image: shelf.pgm\nresolution: 0.05\norigin: [5.0, -0.5, 0.0]\n"
    thresholds = "occupied_thresh: 0.65\nfree_thresh: 0.196\n"
    (tmp_path / "map.yaml").write_text(about + thresholds)
    with world.acting():
        StaticMapLayer(Node("server"), Buffer(), "map", Costmap(), read_map(tmp_path / "map.yaml"))
    world.wait(0.2)

    for x, code in ((4.5, Failure.GOAL_OCCUPIED), (0.5, 0)):
        _, result = world.outcome(world.send("navigate_to_pose", pose=world.pose(x, 0.0)))
        assert result.error_code == code


def test_tracks_that_are_none_stop_it_and_a_scan_that_is_none_does_nothing(world: World) -> None:
    def dropped() -> bool:
        world.say(topics.SCAN, LaserScan())
        return any("scan without ranges; scan dropped" in text for text in world.log)

    world.until(dropped, "the refusal of a scan")
    handle = world.send("navigate_to_pose", pose=world.ahead(1.5))
    world.until(lambda: world.state.v > 0.3, "the drive")
    world.tracks.objects = [TrackedObject(id=7)]
    world.tracks.objects[0].velocity.x = math.nan
    world.until(lambda: world.state.v == 0.0, "a stop")
    assert any("velocity of object 7 is not finite" in text for text in world.log)
    world.tracks.objects = []
    status, _ = world.outcome(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_a_plan_comes_when_the_mode_lets_it_without_waiting_for_more_tracks(world: World) -> None:
    world.planning_period = 0.07  # tracks come every 0.05 s: every other set would be 0.1 s
    world.send("navigate_to_pose", pose=world.ahead(1.5))
    world.until(lambda: world.state.v > 0.3, "the drive")
    world.plans.clear()
    world.wait(1.0)
    assert 12 <= len(world.plans) <= 15


def test_tracks_without_a_new_image_take_no_plan_from_one_that_has_one(world: World) -> None:
    world.planning_period = 0.035
    world.wait(0.04)
    with world.acting():  # 40 ms after each set of tracks the same again, when a plan is due
        world.create_timer(0.05, lambda: world.say(topics.TRACKS, world._stamped(world.tracks)))
    ages: list[float] = []
    plans = world.listen(
        Trajectory,
        topics.TRAJECTORY,
        lambda plan: ages.append(seconds(plan.header.stamp) - seconds(plan.capture_stamp)),
    )
    world.send("navigate_to_pose", pose=world.ahead(1.5))
    world.wait(1.0)
    assert sum(age < 0.01 for age in ages) > 15, "a plan at once for every image"
    assert sum(0.03 < age < 0.05 for age in ages) < 5, "which comes in time"
    world.destroy_subscription(plans)


def test_a_period_that_is_no_number_holds_no_plan_up_for_long(world: World) -> None:
    world.planning_period = math.nan
    status, _ = world.outcome(world.send("navigate_to_pose", pose=world.ahead(1.0)))
    assert status == GoalStatus.STATUS_SUCCEEDED


def test_odometry_that_is_none_and_time_that_goes_back_stop_it_and_no_more(world: World) -> None:
    world.plans.clear()
    handle = world.send("navigate_to_pose", pose=world.ahead(1.0))
    world.until(lambda: world.state.v > 0.3, "the drive")
    world.noise = math.nan
    _, result = world.outcome(handle)
    assert result.error_code == Failure.NO_ODOMETRY
    world.until(lambda: world.state.v == 0.0, "a stop without odometry")
    world.noise = 0.0
    handle = world.send("navigate_to_pose", pose=world.ahead(1.0))
    world.until(lambda: world.state.v > 0.3, "the drive with odometry")
    world.behind = 0.2
    status, _ = world.outcome(handle)
    assert status == GoalStatus.STATUS_SUCCEEDED
    world.behind = 0.0
    assert max(np.abs(plan.v).max() for plan in world.plans) < 1.5
    assert any("not finite" in text for text in world.log)
    assert any("time went back" in text for text in world.log)


def test_goto_drives_says_why_not_and_stops_on_ctrl_c(real_world: World) -> None:
    def goto(x: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "edge_robot", "goto", f"{x}", "0", "-0.1"]
        return subprocess.Popen(
            [*command, "--frame", "odom"],
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    real_world.until_served("navigate_to_pose")
    nowhere = goto(-3000.0)
    real_world.until(lambda: nowhere.poll() is not None, "an end")
    assert nowhere.returncode == 1
    assert "not reached: (-3000.00, 0.00) would need" in nowhere.communicate()[0]
    there = goto(real_world.state.x + 8.0)
    real_world.until(lambda: real_world.state.v > 0.3, "the drive")
    there.send_signal(signal.SIGINT)
    real_world.until(lambda: there.poll() is not None, "an end")
    said = there.communicate()[0]
    assert "m left" in said
    assert said.endswith("stopped\n")
    assert real_world.state.v == pytest.approx(0.0, abs=0.1)
