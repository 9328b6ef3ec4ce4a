"""Plans at once on every new set of tracks: `TRACKS`, `SCAN`, `ODOM`, goals → `TRAJECTORY`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import LaserScan, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_ros import Buffer, TransformListener

from edge_robot import stages, topics
from edge_robot.control.modes import AUTONOMOUS
from edge_robot.deadlines import Budget
from edge_robot.msg import RobotMode, TrackedObjectArray, Trajectory, TrajectoryPoint
from edge_robot.nodes.conversions import is_rotation, seconds, stamp_from_nanoseconds, yaw_of
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.goal_messages import GoalError, read_goal
from edge_robot.nodes.located_scans import LocatedScans
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.navigation_actions import NavigationActions
from edge_robot.nodes.navigation_views import NavigationViews
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.static_map import StaticMapLayer
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.urgency import Urgency
from edge_robot.planning.costmap import Costmap, CostmapConfig
from edge_robot.planning.drive import DriveConfig, Failure, Goal
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.map_file import read_map
from edge_robot.planning.mppi import MppiConfig
from edge_robot.planning.navigator import Decision, Navigator, NavigatorConfig
from edge_robot.planning.pose_history import PoseHistory
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.separation import Caution

_SEARCH_SLICE = 0.004  # s; what a new set of tracks may have to wait for
_LONGEST_PERIOD = 0.2  # s; what a spoilt mode may hold the next plan up by
_SEARCH_PERIOD = 0.010  # s
_OLDEST_TRACKS = 0.5  # s from now, either way; beyond, their clock is another
_FARTHEST = 1e6  # m; beyond, single precision no longer tells cells apart
_RESUMING = 0.5  # s; how long the emergency stop's mode may outlast the goal that ends it


class Planner(ManagedNode):
    """Feeds the navigator and publishes its decisions.

    Silent while it has no goal or no path, once a drive that was given up has come to rest.
    """

    def __init__(self) -> None:
        super().__init__("planner")
        self._frame = self.parameter("fixed_frame", "odom", "frame everything is planned in")
        self._persons = self.parameter(
            "person_classes", ["person"], "classes kept away from even while they stand", live=True
        )
        self._lidar_heights = (
            self.parameter(
                "lidar_min_height", 0.08, "lowest lidar point to avoid, m", ge=-10.0, le=10.0
            ),
            self.parameter(
                "lidar_max_height", 0.60, "highest lidar point to avoid, m", ge=-10.0, le=10.0
            ),
        )
        self._odometry_timeout = self.parameter(
            "odometry_timeout", 0.3, "age of odometry above which nothing is planned, s", ge=0.0
        )
        self._budget = self.parameter(
            "budget", 0.012, "no refinement begins after this, s", ge=0.0, live=True
        )
        self._seed = self.parameter("seed", 0, "of the local planner's noise", ge=0)
        self._map_file = self.parameter(
            "map", "", "YAML file of a static map, used and published on /map; none: what /map says"
        )
        self._limits = self.settings(Limits())
        self._footprint = self.settings(Footprint())
        self._costmap = self.settings(CostmapConfig())
        self._navigation = self.settings(NavigatorConfig())
        self._searching = self.settings(GlobalPlannerConfig())
        self._local = self.settings(MppiConfig())
        self._caution = self.settings(Caution())
        self._driving = self.settings(DriveConfig())

    def configure(self) -> None:
        """Read the map, and compile.

        Raises:
            UserError: the file of the parameter `map` is no map.
        """
        self._map = read_map(Path(self._map_file.value)) if self._map_file.value else None
        self._navigator = Navigator(
            self._limits.value,
            self._footprint.value,
            Costmap(self._costmap.value),
            self._navigation.value,
            self._searching.value,
            self._local.value,
            self._caution.value,
            self._seed.value,
            steady_seconds,
        )
        self._navigator.warm_up()

    def activate(self) -> None:
        """Listen; what was seen of the world is kept, what was planned in it is not."""
        self._navigator.clear_goal()
        self._poses = PoseHistory()
        self._refused = {"odometry": 0, "tracks": 0}
        self._odometry: tuple[float, State] | None = None
        self._mode: RobotMode | None = None
        # Steady time of the next plan on what a camera has newly seen, and on other tracks, s.
        self._image_due = self._due = -np.inf
        self._early: TrackedObjectArray | None = None  # with a new image, before it is due
        self._planned_capture = TimeMsg()
        self._refusal = self._why = ""
        self._rolling = False  # under a plan of ours
        self._goal_heard = -np.inf
        self._announced: PoseStamped | None = None
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        low, high = self._lidar_heights
        self._scans = LocatedScans(self, self._buffer, self._poses, (low.value, high.value))
        self._static_map = StaticMapLayer(
            self, self._buffer, self._frame.value, self._navigator.costmap, self._map
        )

        self._reporter = DeadlineReporter(self, stages.PLANNING)
        self._views = NavigationViews(self, self._frame.value)
        self._trajectories = self._publisher(Trajectory, topics.TRAJECTORY)
        self._goals = self._publisher(PoseStamped, topics.GOAL)
        self._actions = NavigationActions(
            self,
            self._navigator,
            self._read_goal,
            self._frame.value,
            self._on_new_drive,
            self._driving.value,
        )
        for kind, topic, callback in (
            (Odometry, topics.ODOM, self._on_odometry),
            (RobotMode, topics.MODE, self._on_mode),
            (TrackedObjectArray, topics.TRACKS, self._on_tracks),
            (LaserScan, topics.SCAN, self._on_scan),
            (PointCloud2, topics.LIDAR_POINTS, self._on_lidar),
        ):
            newest = qos_profile(topic)
            newest.depth = 1  # what waited while a plan was made is superseded
            self.create_subscription(kind, topic.name, callback, newest)
        self.create_subscription(
            PoseStamped, topics.GOAL.name, self._on_goal, qos_profile(topics.GOAL)
        )
        self.create_service(Trigger, f"{topics.GOAL.name}/cancel", self._on_cancel)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_SEARCH_PERIOD, self._think, clock=steady)
        self.create_timer(0.1, self._update_actions, clock=steady)
        self.create_timer(0.5, self._show_local_costmap, clock=steady)
        self.create_timer(1.0, lambda: self._views.show_costmap(self._navigator), clock=steady)

    def reconfigure(self) -> None:
        """Plan by other limits and weights; a drive under way is judged as when it began."""
        self._navigator.reconfigure(
            self._limits.value,
            self._navigation.value,
            self._searching.value,
            self._local.value,
            self._caution.value,
        )
        if self.is_active:
            self._actions.config = self._driving.value

    def farewell(self) -> None:
        """Tell the client of a drive under way that it is over."""
        self._actions.abandon()

    def _publisher(self, kind: Any, topic: topics.Topic) -> Any:
        return self.create_publisher(kind, topic.name, qos_profile(topic))

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds * 1e-9)

    # --- what comes in ----------------------------------------------------------------------

    def _on_odometry(self, message: Odometry) -> None:
        stamp, pose, twist = seconds(message.header.stamp), message.pose.pose, message.twist.twist
        yaw = yaw_of(pose.orientation)
        state = State(pose.position.x, pose.position.y, yaw, twist.linear.x, twist.angular.z)
        finite = all(abs(value) < _FARTHEST for value in (state.x, state.y, state.v, state.w))
        if not finite or not is_rotation(pose.orientation):
            self._refused["odometry"] += 1
            self.get_logger().error(
                "odometry left out that is not finite or whose orientation is no rotation; "
                f"{self._refused['odometry']} so far",
                throttle_duration_sec=5.0,
            )
            return
        if self._odometry is not None and stamp < self._odometry[0]:
            self._restart(self._odometry[0] - stamp, state)
        self._poses.add(stamp, state.x, state.y, yaw)
        self._odometry = (stamp, state)

    def _restart(self, jump: float, state: State) -> None:
        """Forget what was planned in a time that is over: a simulation or a bag began anew."""
        self.get_logger().warning(f"time went back by {jump:.3f} s: poses and plan are forgotten")
        now = self._now()
        goal, yaw = self._navigator.goal, self._navigator.goal_yaw
        arrived = self._navigator.arrived
        self._navigator.clear_goal()
        if goal is not None and not arrived:
            self._navigator.set_goal(*goal, now, yaw)
        if self._rolling:
            self._publish(self._navigator.hold(state, "time went back"), now, TimeMsg())

    def _on_mode(self, message: RobotMode) -> None:
        before, self._mode = self._mode, message
        if message.mode != RobotMode.EMERGENCY_STOP:
            return
        fresh = steady_seconds() - self._goal_heard < _RESUMING
        if before is None or before.mode != message.mode or not fresh:
            # Driving on is somebody's deliberate decision: a new goal.
            self._navigator.clear_goal()
            self._actions.end(Failure.EMERGENCY_STOP, "emergency stop")

    def _read_goal(self, message: PoseStamped) -> Goal:
        return read_goal(message, self._frame.value, self._buffer)

    def _on_goal(self, message: PoseStamped) -> None:
        if message == self._announced:
            return  # what an action was asked for
        try:
            goal = self._read_goal(message)
        except GoalError as error:
            self.get_logger().error(f"goal refused: {error}")
            return
        self._goal_heard = steady_seconds()
        self._actions.end(Failure.SUPERSEDED, f"superseded by a goal on {topics.GOAL.name}")
        self._navigator.set_goal(goal.x, goal.y, self._now(), goal.yaw)

    def _on_cancel(self, _request: Any, response: Any) -> Any:
        """Forget the goal, wherever it came from."""
        response.success = self._navigator.goal is not None
        response.message = "the goal is cancelled" if response.success else "there is no goal"
        self._navigator.clear_goal()
        self._actions.end(Failure.CANCELLED, f"cancelled on {topics.GOAL.name}/cancel")
        return response

    def _on_new_drive(self, pose: PoseStamped) -> None:
        """Tell of an action's goal where goals are told of: it may end an emergency stop."""
        self._goal_heard = steady_seconds()
        header = Header(
            stamp=self.get_clock().now().to_msg(),
            frame_id=pose.header.frame_id or self._frame.value,
        )
        self._announced = PoseStamped(header=header, pose=pose.pose)
        self._goals.publish(self._announced)

    def _on_scan(self, message: LaserScan) -> None:
        if scan := self._scans.scan(message):
            self._navigator.see_scan(scan)

    def _on_lidar(self, message: PointCloud2) -> None:
        if sweep := self._scans.sweep(message):
            self._navigator.see_lidar(sweep)

    def _on_tracks(self, tracks: TrackedObjectArray) -> None:
        is_new = tracks.capture_stamp != self._planned_capture
        if steady_seconds() >= (self._image_due if is_new else self._due):
            self._plan(tracks)
        elif is_new:
            self._early = tracks  # what a camera has seen does not wait for the tracks after it

    def _plan(self, tracks: TrackedObjectArray) -> None:
        is_new = tracks.capture_stamp != self._planned_capture
        self._early, self._planned_capture = None, tracks.capture_stamp
        now = self._now()
        state = self._state(now)
        if state is None:
            return
        period = self._mode.planning_period if self._mode else 0.0
        # In this order: min() of a period that is no number is then the longest.
        period = min(_LONGEST_PERIOD, period)
        begun = steady_seconds()
        self._due = begun + (1.5 * period if is_new else period)  # unless the next image is late
        if is_new:  # one that came late does not put off the one after it
            self._image_due = max(self._image_due, begun - period) + period
        with self._reporter.measure(tracks.capture_stamp) as stage_run:
            try:
                objects = to_moving_objects(tracks, now)
            except ValueError as error:
                # One is wrong, and nobody knows what else: what follows is what follows no tracks.
                self._refused["tracks"] += 1
                self.get_logger().error(
                    f"tracks left out: {error}; {self._refused['tracks']} so far",
                    throttle_duration_sec=5.0,
                )
                return
            persons = np.array([o.class_name in self._persons.value for o in tracks.objects], bool)
            budget = self._time_for(tracks, now)
            decision = self._navigator.decide(
                now, state, objects, persons, self._max_speed(), budget
            )
            if decision is not None:
                self._rolling = True
            elif self._rolling and self._navigator.goal is None:
                decision = self._navigator.hold(state, "no goal")
                self._rolling = abs(state.v) > 0.02 or abs(state.w) > 0.05
            if decision is not None:
                stage_run.output_stamp = self._publish(decision, now, tracks.capture_stamp)

    def _time_for(self, tracks: TrackedObjectArray, now: float) -> float:
        """Return how long a plan on these tracks may be refined, s."""
        budget = self._budget.value
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
        if self._odometry is None or abs(now - self._odometry[0]) > self._odometry_timeout.value:
            if self._navigator.goal is not None:
                self.get_logger().error("not planning: no odometry", throttle_duration_sec=5.0)
            return None
        stamp, state = self._odometry
        return state.after(max(0.0, now - stamp))

    # --- what runs by itself ----------------------------------------------------------------

    def _think(self) -> None:
        if self._early is not None and steady_seconds() >= self._image_due:
            self._plan(self._early)
        now = self._now()
        state = self._state(now) if self._navigator.goal is not None else None
        if state is None or not self._navigator.think(now, state, _SEARCH_SLICE):
            return
        self._report_refusal()
        if self._navigator.path is not None:
            self._views.show_path(self._navigator.path.path, self._navigator.goal_yaw)

    def _update_actions(self) -> None:
        now = self._now()
        self._actions.update(now, self._state(now), self._max_speed())

    def _show_local_costmap(self) -> None:
        if self._odometry is not None:
            self._views.show_local_costmap(
                self._navigator, self._odometry[1], self._footprint.value.inscribed_radius
            )

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
            header=Header(
                stamp=stamp_from_nanoseconds(round(now * 1e9)), frame_id=self._frame.value
            ),
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


def to_moving_objects(tracks: TrackedObjectArray, now: float) -> MovingObjects:
    """Return tracks as arrays, predicted to `now`, s.

    Raises:
        ValueError: one is not finite or its covariance is none, or they are of another time.
    """
    age = now - seconds(tracks.header.stamp)
    if abs(age) > _OLDEST_TRACKS:
        raise ValueError(f"they are of {age:.3f} s ago")
    objects = tracks.objects
    if not objects:
        return MovingObjects.none()
    found = MovingObjects(
        id=np.array([o.id for o in objects], np.int64),
        position=np.array([(o.position.x, o.position.y) for o in objects]),
        velocity=np.array([(o.velocity.x, o.velocity.y) for o in objects]),
        half_size=np.array([(o.size.x / 2, o.size.y / 2) for o in objects]),
        yaw=np.array([o.yaw for o in objects]),
        covariance=np.array([np.asarray(o.covariance) for o in objects]).reshape(-1, 4, 4),
    )
    found.check()
    return found.after(age)


def main() -> None:
    """Run the node."""
    run(Planner, Urgency.PLANNING)


if __name__ == "__main__":
    main()
