"""nav2's actions in front of the navigator: one pose, through poses, waypoint by waypoint.

Types are those of the nav2_msgs at hand, whose definitions differ between distributions: what a
type does not have is left out. Without nav2_msgs there are no actions, and the log says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Duration as DurationMsg
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse
from rclpy.node import Node
from rclpy.task import Future

from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.nodes.goal_messages import GoalError
from edge_robot.planning.drive import Drive, DriveConfig, End, Failure, Goal
from edge_robot.planning.navigator import Navigator
from edge_robot.planning.robot import State

try:
    from nav2_msgs.action import FollowWaypoints, NavigateThroughPoses, NavigateToPose
except ImportError:
    NavigateToPose = None

_AT_REST = (0.05, 0.1)  # m/s, rad/s
_LONGEST_STOP = 3.0  # s; then a cancelled drive is over though odometry does not say so


@dataclass
class _Task:
    """A drive under way, for the client that asked for it."""

    handle: Any
    kind: Any
    drive: Drive
    poses: Sequence[PoseStamped]
    ended: Future
    cancelled_at: float | None = None


class NavigationActions:
    """Serves the actions; one drive at a time, and the newest wins.

    Args:
        node: Node they belong to.
        navigator: What drives.
        read_goal: Returns a pose in the planning frame; raises `GoalError`.
        frame: The planning frame.
        announce: Called with the last pose of a drive that begins.
        config: When a drive gives up.

    Attributes:
        config: The same, of drives to come.
    """

    def __init__(
        self,
        node: Node,
        navigator: Navigator,
        read_goal: Callable[[PoseStamped], Goal],
        frame: str,
        announce: Callable[[PoseStamped], None],
        config: DriveConfig,
    ) -> None:
        self._node = node
        self._navigator = navigator
        self._read_goal = read_goal
        self._frame = frame
        self._announce = announce
        self.config = config
        self._task: _Task | None = None
        if NavigateToPose is None:
            node.get_logger().warning(
                "no nav2_msgs: goals on /goal_pose only; install the package for nav2's actions"
            )
            return
        self._servers = [
            ActionServer(
                node,
                kind,
                name,
                lambda handle, kind=kind: self._execute(handle, kind),
                cancel_callback=self._on_cancel,
            )
            for kind, name in (
                (NavigateToPose, "navigate_to_pose"),
                (NavigateThroughPoses, "navigate_through_poses"),
                (FollowWaypoints, "follow_waypoints"),
            )
        ]

    def end(self, failure: Failure, text: str) -> None:
        """End the drive under way, if there is one; what the navigator does is the caller's."""
        if self._task is not None:
            task, self._task = self._task, None
            task.ended.set_result(End(failure, text))

    def abandon(self) -> None:
        """Say that the drive under way is aborted; its result can no longer be asked for."""
        if self._task is not None:
            self._task.handle.abort()
            self._task = None

    def update(self, now: float, state: State | None, max_speed: float) -> None:
        """Take the drive under way further, and tell its client.

        Args:
            now: s.
            state: Where the robot is; None if that is not known.
            max_speed: What the mode permits, m/s.
        """
        task = self._task
        if task is None:
            return
        if task.cancelled_at is not None:
            at_rest = state is not None and (
                abs(state.v) < _AT_REST[0] and abs(state.w) < _AT_REST[1]
            )
            if at_rest or not 0 <= now - task.cancelled_at < _LONGEST_STOP:
                self.end(Failure.CANCELLED, "cancelled")
            return
        end = task.drive.step(now, self._navigator, state)
        if end is None:
            if state is not None:
                task.handle.publish_feedback(self._feedback(task, state, max_speed))
            return
        if end.failure or not self._navigator.arrived:
            self._navigator.clear_goal()
        self.end(end.failure, end.text)

    async def _execute(self, handle: Any, kind: Any) -> Any:
        poses = _poses(handle.request)
        try:
            drive = self._drive(handle.request, kind, poses)
        except GoalError as error:
            return self._finish(handle, kind, End(error.failure, f"goal refused: {error}"), [])
        if handle.is_cancel_requested:
            return self._finish(handle, kind, End(Failure.CANCELLED, "cancelled"), [])
        self.end(Failure.SUPERSEDED, "superseded by a newer goal")
        self._task = task = _Task(handle, kind, drive, poses, Future())
        drive.begin(self._now(), self._navigator)
        self._announce(poses[-1])
        end = await task.ended
        missed = [(poses[index], index, why) for index, why in drive.missed]
        return self._finish(handle, kind, end, missed)

    def _drive(self, request: Any, kind: Any, poses: Sequence[PoseStamped]) -> Drive:
        if not poses:
            raise GoalError(Failure.INVALID_GOAL, "no poses")
        first = getattr(request, "goal_index", 0)
        if first >= len(poses):
            text = f"it begins with pose {first} of {len(poses)}, counted from 0"
            raise GoalError(Failure.INVALID_GOAL, text)
        return Drive(
            [self._read_goal(pose) for pose in poses],
            self.config,
            through=kind is not FollowWaypoints,
            leave_out=kind is FollowWaypoints,
            first=first,
            loops=getattr(request, "number_of_loops", 0),
        )

    def _finish(
        self, handle: Any, kind: Any, end: End, missed: list[tuple[PoseStamped, int, End]]
    ) -> Any:
        if handle.is_cancel_requested:
            handle.canceled()
        elif end.failure:
            handle.abort()
        else:
            handle.succeed()
        result = kind.Result()
        _fill(result, error_code=int(end.failure), error_msg=end.text)
        if kind is FollowWaypoints:
            result.missed_waypoints = _missed_waypoints(kind, missed)
        # Where the call stands is part of a message's identity: one per severity.
        if end.failure not in (Failure.NONE, Failure.CANCELLED, Failure.SUPERSEDED):
            self._node.get_logger().error(f"{kind.__name__}: {end.text}")
        else:
            self._node.get_logger().info(f"{kind.__name__}: {end.text}")
        return result

    def _on_cancel(self, handle: Any) -> CancelResponse:
        task = self._task
        if task is not None and task.handle is handle and task.cancelled_at is None:
            task.cancelled_at = self._now()
            self._navigator.clear_goal()
        return CancelResponse.ACCEPT

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds * 1e-9)

    def _feedback(self, task: _Task, state: State, max_speed: float) -> Any:
        feedback = task.kind.Feedback()
        if task.kind is FollowWaypoints:
            feedback.current_waypoint = task.drive.index
            return feedback
        here = feedback.current_pose
        here.header.stamp = self._node.get_clock().now().to_msg()
        here.header.frame_id = self._frame
        here.pose.position.x, here.pose.position.y = state.x, state.y
        here.pose.orientation = quaternion_from_yaw(state.yaw)
        left = task.drive.distance(self._navigator, state)
        feedback.navigation_time = _duration(task.drive.seconds)
        # At the speed permitted now; nothing is known of a robot that may not drive.
        feedback.estimated_time_remaining = _duration(left / max_speed if max_speed > 0 else 0.0)
        feedback.number_of_recoveries = task.drive.recoveries(self._navigator)
        feedback.distance_remaining = left
        _fill(feedback, number_of_poses_remaining=len(task.poses) - task.drive.index)
        return feedback


def _poses(request: Any) -> Sequence[PoseStamped]:
    """Return the poses of a goal; from Kilted on nav2 has several as a `nav_msgs/Goals`."""
    poses = [request.pose] if hasattr(request, "pose") else request.poses
    return list(getattr(poses, "goals", poses))


def _fill(message: Any, **values: Any) -> None:
    """Set the fields that a message has."""
    for name, value in values.items():
        if hasattr(message, name):
            setattr(message, name, value)


def _missed_waypoints(kind: Any, missed: list[tuple[PoseStamped, int, End]]) -> list[Any]:
    """Return missed waypoints as the type at hand has them: indices, or a message for each."""
    entry = kind.Result.get_fields_and_field_types()["missed_waypoints"]
    element = entry.removeprefix("sequence<").removesuffix(">")
    if element == "int32":
        return [index for _, index, _ in missed]
    found = []
    for pose, index, end in missed:
        waypoint = interface_class(element)()
        # Jazzy's MissedWaypoint, or WaypointStatus of later distributions.
        _fill(waypoint, index=index, goal=pose, error_code=int(end.failure))
        _fill(waypoint, waypoint_index=index, waypoint_pose=pose, error_msg=end.text)
        if hasattr(waypoint, "waypoint_status"):
            waypoint.waypoint_status = waypoint.FAILED
        found.append(waypoint)
    return found


def _duration(seconds: float) -> DurationMsg:
    whole = int(seconds)
    return DurationMsg(sec=whole, nanosec=int((seconds - whole) * 1e9))
