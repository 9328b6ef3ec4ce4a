"""Plans at once on every new set of tracks: `TRACKS`, `SCAN`, `ODOM`, `GOAL` → `TRAJECTORY`."""

from __future__ import annotations

from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from numpy.typing import NDArray
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import LaserScan, PointCloud2
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener

from edge_robot import stages, topics
from edge_robot.control.modes import AUTONOMOUS
from edge_robot.deadlines import Budget
from edge_robot.msg import RobotMode, TrackedObjectArray, Trajectory, TrajectoryPoint
from edge_robot.nodes.conversions import seconds, stamp_from_nanoseconds, yaw_of
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.sensing import Mounts, cloud_points, scan_angles, scan_ranges
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.track_messages import pose_matrix
from edge_robot.perception.lidar.points import CloudError
from edge_robot.planning.costmap import Costmap, CostmapConfig, RangeScan, occupancy
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.mppi import MppiConfig
from edge_robot.planning.navigator import Decision, Navigator, NavigatorConfig
from edge_robot.planning.pose_history import PoseHistory
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State

_LIDAR_BEAMS = 720
_SEARCH_SLICE = 0.004  # s; what a new set of tracks may have to wait for
_SEARCH_PERIOD = 0.010  # s


class Planner(Node):
    """Feeds the navigator and publishes its decisions; silent while it has no goal or no path."""

    def __init__(self) -> None:
        super().__init__("planner")
        self._frame = self._parameter("fixed_frame", "odom", "frame everything is planned in")
        self._persons = self._parameter(
            "person_classes", ["person"], "classes kept away from even while they stand"
        )
        self._lidar_heights = (
            self._parameter("lidar_min_height", 0.08, "lowest lidar point to avoid, m"),
            self._parameter("lidar_max_height", 0.60, "highest lidar point to avoid, m"),
        )
        self._odometry_timeout = self._parameter(
            "odometry_timeout", 0.3, "age of odometry above which nothing is planned, s"
        )
        self._budget = self._parameter("budget", 0.012, "no refinement begins after this, s")
        seed = self._parameter("seed", 0, "of the local planner's noise")
        self._navigator = Navigator(
            declare_settings(self, Limits()),
            declare_settings(self, Footprint()),
            Costmap(declare_settings(self, CostmapConfig())),
            declare_settings(self, NavigatorConfig()),
            declare_settings(self, GlobalPlannerConfig()),
            declare_settings(self, MppiConfig()),
            seed,
            steady_seconds,
        )
        self._poses = PoseHistory()
        self._odometry: tuple[float, State] | None = None
        self._mode: RobotMode | None = None
        self._due = -np.inf  # steady time of the next plan, s
        self._refusal = self._why = ""
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self._mounts = Mounts(self._buffer)

        self._reporter = DeadlineReporter(self, stages.PLANNING)
        self._costmaps = self._publisher(OccupancyGrid, topics.COSTMAP)
        self._paths = self._publisher(Path, topics.PATH)
        self._trajectories = self._publisher(Trajectory, topics.TRAJECTORY)
        for kind, topic, callback in (
            (Odometry, topics.ODOM, self._on_odometry),
            (RobotMode, topics.MODE, self._on_mode),
            (PoseStamped, topics.GOAL, self._on_goal),
            (TrackedObjectArray, topics.TRACKS, self._on_tracks),
            (LaserScan, topics.SCAN, self._on_scan),
            (PointCloud2, topics.LIDAR_POINTS, self._on_lidar),
        ):
            newest = qos_profile(topic)
            newest.depth = 1  # what waited while a plan was made is superseded
            self.create_subscription(kind, topic.name, callback, newest)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_SEARCH_PERIOD, self._think, clock=steady)
        self.create_timer(1.0, self._publish_costmap, clock=steady)

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value

    def _publisher(self, kind: Any, topic: topics.Topic) -> Any:
        return self.create_publisher(kind, topic.name, qos_profile(topic))

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    # --- what comes in ----------------------------------------------------------------------

    def _on_odometry(self, message: Odometry) -> None:
        stamp, pose, twist = seconds(message.header.stamp), message.pose.pose, message.twist.twist
        yaw = yaw_of(pose.orientation)
        self._poses.add(stamp, pose.position.x, pose.position.y, yaw)
        state = State(pose.position.x, pose.position.y, yaw, twist.linear.x, twist.angular.z)
        self._odometry = (stamp, state)

    def _on_mode(self, message: RobotMode) -> None:
        self._mode = message
        if message.mode == RobotMode.EMERGENCY_STOP:
            # Driving on is somebody's deliberate decision: a new goal.
            self._navigator.clear_goal()

    def _on_goal(self, message: PoseStamped) -> None:
        frame = message.header.frame_id
        goal = np.array((message.pose.position.x, message.pose.position.y, 0.0, 1.0))
        if frame not in ("", self._frame):
            try:
                found = self._buffer.lookup_transform(self._frame, frame, Time())
            except TransformException as error:
                self.get_logger().error(f"goal refused: {error}")
                return
            goal = pose_matrix(found.transform) @ goal
        if not np.isfinite(goal).all():
            self.get_logger().error("goal refused: its position is not a number")
            return
        self._navigator.set_goal(float(goal[0]), float(goal[1]), self._now())

    def _on_scan(self, scan: LaserScan) -> None:
        placed = self._place(scan.header)
        if placed is None:
            return
        _, (x, y, yaw) = placed
        self._navigator.see_scan(RangeScan(x, y, yaw, scan_angles(scan), scan_ranges(scan)))

    def _on_lidar(self, cloud: PointCloud2) -> None:
        placed = self._place(cloud.header)
        if placed is None:
            return
        mount, (x, y, yaw) = placed
        try:
            points = cloud_points(cloud, mount)
        except CloudError as error:
            self.get_logger().error(f"{error}; sweep dropped", throttle_duration_sec=5.0)
            return
        low, high = self._lidar_heights
        obstacles = points[(points[:, 2] > low) & (points[:, 2] < high), :2] - mount[:2, 3]
        turn = yaw - _heading(mount)
        # The points are already turned into base_link: only the place is the sensor's.
        self._navigator.see_lidar(RangeScan.from_points(x, y, turn, obstacles, _LIDAR_BEAMS))

    def _place(
        self, header: Header
    ) -> tuple[NDArray[np.float64], tuple[float, float, float]] | None:
        """Return a sensor's mount and its x, y, yaw in the fixed frame; None if not known."""
        mount = self._mounts.base_from(header.frame_id)
        pose = self._poses.at(seconds(header.stamp))
        if mount is None or pose is None:
            lacking = f"mount of {header.frame_id}" if mount is None else "odometry at its stamp"
            self.get_logger().warning(
                f"data in {header.frame_id} left out: no {lacking}", throttle_duration_sec=5.0
            )
            return None
        x, y, yaw = pose
        cos, sin = np.cos(yaw), np.sin(yaw)
        dx, dy = mount[:2, 3]
        return mount, (x + cos * dx - sin * dy, y + sin * dx + cos * dy, yaw + _heading(mount))

    def _on_tracks(self, tracks: TrackedObjectArray) -> None:
        now = self._now()
        state = self._state(now)
        if state is None or steady_seconds() < self._due:
            return
        self._due = steady_seconds() + (self._mode.planning_period if self._mode else 0.0)
        with self._reporter.measure(tracks.capture_stamp) as stage_run:
            objects = to_moving_objects(tracks).after(now - seconds(tracks.header.stamp))
            persons = np.array([o.class_name in self._persons for o in tracks.objects], bool)
            decision = self._navigator.decide(
                now, state, objects, persons, self._max_speed(), self._time_for(tracks, now)
            )
            if decision is not None:
                stage_run.output_stamp = self._publish(decision, now, tracks.capture_stamp)

    def _time_for(self, tracks: TrackedObjectArray, now: float) -> float:
        """Return how long a plan on these tracks may be refined, s."""
        budget = self._budget
        if (capture := seconds(tracks.capture_stamp)) > 0.0:
            left = Budget.of(capture).for_stage(stages.PLANNING, now, least=0.5 * budget)
            budget = min(budget, left)
        return budget * float(self._mode.planning_share) if self._mode else budget

    def _max_speed(self) -> float:
        """Return the speed that the mode permits, m/s; zero before it is known."""
        if self._mode is None or self._mode.mode not in AUTONOMOUS:
            return 0.0
        return float(self._mode.max_speed)

    def _state(self, now: float) -> State | None:
        """Return the state of the robot, moved on to `now`; None if odometry is too old."""
        if self._odometry is None or now - self._odometry[0] > self._odometry_timeout:
            if self._navigator.goal is not None:
                self.get_logger().error("not planning: no odometry", throttle_duration_sec=5.0)
            return None
        stamp, state = self._odometry
        return state.after(max(0.0, now - stamp))

    # --- what runs by itself ----------------------------------------------------------------

    def _think(self) -> None:
        now = self._now()
        state = self._state(now) if self._navigator.goal is not None else None
        if state is None or not self._navigator.think(now, state, _SEARCH_SLICE):
            return
        self._report_refusal()
        if self._navigator.path is not None:
            self._publish_path(self._navigator.path.path)

    def _report_refusal(self) -> None:
        if self._navigator.refusal and self._navigator.refusal != self._refusal:
            self.get_logger().error(f"no plan: {self._navigator.refusal}")
        self._refusal = self._navigator.refusal

    # --- what goes out ----------------------------------------------------------------------

    def _publish(self, decision: Decision, now: float, capture_stamp: TimeMsg) -> TimeMsg:
        if decision.why != self._why:
            self._why = decision.why
            self.get_logger().info(decision.why, throttle_duration_sec=1.0)
        message = Trajectory(
            header=Header(stamp=stamp_from_nanoseconds(round(now * 1e9)), frame_id=self._frame),
            capture_stamp=capture_stamp,
            goal_reached=decision.goal_reached,
        )
        t = decision.trajectory
        rows = zip(*(a.tolist() for a in (t.time, t.x, t.y, t.yaw, t.v, t.w)), strict=True)
        message.points = [
            TrajectoryPoint(time_from_start=at, x=x, y=y, yaw=yaw, v=v, w=w)
            for at, x, y, yaw, v, w in rows
        ]
        self._trajectories.publish(message)
        return message.header.stamp

    def _publish_path(self, points: NDArray[np.float64]) -> None:
        message = Path(header=self._header())
        for x, y in points[::2].tolist():
            pose = PoseStamped(header=message.header)
            pose.pose.position.x, pose.pose.position.y = x, y
            pose.pose.orientation.w = 1.0
            message.poses.append(pose)
        self._paths.publish(message)

    def _publish_costmap(self) -> None:
        grid = occupancy(self._navigator.costmap.grid, factor=2)
        if grid.values.size == 0:
            return
        message = OccupancyGrid(header=self._header())
        message.info.map_load_time = message.header.stamp
        message.info.resolution = grid.resolution
        message.info.height, message.info.width = grid.values.shape
        message.info.origin.position.x, message.info.origin.position.y = grid.origin
        message.info.origin.orientation.w = 1.0
        message.data = grid.values.ravel()
        self._costmaps.publish(message)

    def _header(self) -> Header:
        return Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame)


def _heading(mount: NDArray[np.float64]) -> float:
    return float(np.arctan2(mount[1, 0], mount[0, 0]))


def to_moving_objects(tracks: TrackedObjectArray) -> MovingObjects:
    """Return tracks as arrays."""
    objects = tracks.objects
    if not objects:
        return MovingObjects.none()
    return MovingObjects(
        id=np.array([o.id for o in objects], np.int64),
        position=np.array([(o.position.x, o.position.y) for o in objects]),
        velocity=np.array([(o.velocity.x, o.velocity.y) for o in objects]),
        half_size=np.array([(o.size.x / 2, o.size.y / 2) for o in objects]),
        yaw=np.array([o.yaw for o in objects]),
        covariance=np.array([np.asarray(o.covariance) for o in objects]).reshape(-1, 4, 4),
    )


def main() -> None:
    """Run the node."""
    run(Planner)


if __name__ == "__main__":
    main()
