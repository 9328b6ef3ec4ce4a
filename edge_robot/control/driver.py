"""From a scan and odometry to the next command: planning and control in one call.

`Driver.step` is what runs where there are no processes to pass messages between: benchmarks,
other people's simulators. The planner and the controller node run the same parts in two
processes.

It plans in a frame that begins as the odometry frame. Every scan is matched with the map, and what
odometry missed since goes into the transform between the two. It plans from where the robot will
be when the next command takes effect: commands already on their way cannot be taken back.
"""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, hypot, isfinite, sin

import numpy as np
from numpy.typing import NDArray

from edge_robot.control.collision_monitor import (
    MonitorConfig,
    Sight,
    Zone,
    ZoneMonitor,
    ZoneSettings,
)
from edge_robot.control.response import BaseResponse, ResponseConfig
from edge_robot.control.tracking import TrackingGains, track
from edge_robot.planning.costmap import Costmap, CostmapConfig, RangeScan
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.mppi import MppiConfig
from edge_robot.planning.navigator import Navigator, NavigatorConfig
from edge_robot.planning.pose_history import PoseHistory
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.scan_matching import Pose, compose, inverse, match
from edge_robot.planning.senses import Odometry, Scan
from edge_robot.planning.trajectory import Trajectory
from edge_robot.settings import Settings, setting

_LONGEST_PERIOD = 0.1  # s; after a pause commands change no further than in this
_AROUND_MOVING = 0.3  # m; points so near a moving object are taken for its own
_CHECK_RANGE = 3.0  # m
_CORRECTION = 0.3  # s; from a command until it has made up for an error
_SLOWEST = 0.7  # m/s; slower helps no more
_ROUGH = 1e-3  # m and rad; what odometry misses from scan to scan without moving


@dataclass(frozen=True)
class DriverConfig(Settings):
    """How planning and control work together."""

    plan_period: float = setting(
        0.05, "time between runs of the local planner, s", ge=0.001, le=1.0
    )
    plan_budget: float = setting(0.015, "time for one, s", ge=0.0)
    search_slice: float = setting(0.004, "time a step may spend on the global path, s", ge=0.0)
    max_age: float = setting(0.3, "age of scan or odometry above which the robot stops, s", ge=0.0)
    slip: float = setting(
        0.5, "way and turn that odometry may miss, per way and turn (1σ)", ge=0.0, le=10.0
    )
    match_range: float = setting(
        5.0, "farthest points that are matched with the map, m", ge=0.1, le=100.0
    )
    match_points: int = setting(180, "points of a scan that are matched", ge=1, le=100000)
    astray: float = setting(
        0.04, "way aside, unforeseen, that limits speed where wheels slip, m", ge=0.0, le=10.0
    )
    check_margin: float = setting(
        0.02, "from what the newest scan shows, in the last check, m", ge=0.0, le=10.0
    )


class Driver:
    """Drives one robot from scans and odometry to a goal.

    Args:
        limits: Of the base; commands and their changes stay within them.
        footprint: Of the base.
        config: How planning and control work together.
        navigator_config: How the planners work together.
        costmap_config: Size and reach of the map.
        global_config: Weights of the global planner.
        local_config: Weights of the local planner.
        gains: Of tracking.
        response_config: What is believed of the base before it was measured.
        seed: Of the local planner's noise.
        budgets: What budgets are measured by, s, steady.

    Attributes:
        refused: How often which input was refused: then the robot brakes to a stop.
        response: Of the base, as measured.
        navigator: The planners.
    """

    def __init__(
        self,
        limits: Limits,
        footprint: Footprint,
        config: DriverConfig | None = None,
        navigator_config: NavigatorConfig | None = None,
        costmap_config: CostmapConfig | None = None,
        global_config: GlobalPlannerConfig | None = None,
        local_config: MppiConfig | None = None,
        gains: TrackingGains | None = None,
        response_config: ResponseConfig | None = None,
        seed: int = 0,
        budgets: Callable[[], float] = clock.perf_counter,
    ) -> None:
        self.config = config or DriverConfig()
        self.limits = limits
        self.refused: Counter[str] = Counter()
        self.response = BaseResponse(response_config)
        self._gains = gains or TrackingGains()
        self._length = 2 * footprint.circumscribed_radius
        approach = ZoneSettings(action="approach", margin=self.config.check_margin)
        self._monitor = ZoneMonitor(
            footprint.corners,
            [Zone.of("approach", approach, footprint.corners)],
            MonitorConfig(limits.max_accel, limits.max_yaw_accel, latency=self.config.plan_period),
        )

        def navigator() -> Navigator:
            return Navigator(
                limits,
                footprint,
                Costmap(costmap_config, layers=("scan",)),
                navigator_config,
                global_config,
                local_config,
                seed=seed,
                clock=budgets,
            )

        self._new_navigator = navigator
        self._command = (0.0, 0.0)
        self._time = -np.inf
        self._forget()

    def _forget(self) -> None:
        """Begin anew: nothing seen, nothing measured. The command goes on from where it is."""
        self.navigator = self._new_navigator()
        self.response.reset()
        self._poses = PoseHistory()
        self._correction: Pose = (0.0, 0.0, 0.0)
        self._matched: Pose | None = None
        self._trajectory: Trajectory | None = None
        self._start = -np.inf
        self._odometry: Odometry | None = None
        self._scan_time = -np.inf
        self._seen = np.empty((0, 2))
        self._objects = MovingObjects.none()
        self._objects_time = 0.0

    def see_objects(self, time: float, objects: MovingObjects) -> None:
        """Take in moving objects, where they are at `time`, s, in the odometry frame."""
        self._objects, self._objects_time = objects, time

    def step(
        self,
        time: float,
        scan: Scan | None,
        odometry: Odometry | None,
        goal: tuple[float, float] | None,
    ) -> tuple[float, float]:
        """Return the command to give now.

        Input that cannot be used is counted in `refused` and otherwise left out. Without fresh
        scans and odometry, without a goal or a way to it, the robot brakes to a stop. If time
        jumps back, a recording or a simulation has begun anew, and so does the driver.

        Args:
            time: Now, on the clock of the stamps, s.
            scan: The newest; None if there is none.
            odometry: The newest; None if there is none.
            goal: In the odometry frame, m; None to stop.

        Returns:
            Forward velocity, m/s, and yaw rate, rad/s: finite, within the limits, and no farther
            from the command before than the limits allow.
        """
        if not isfinite(time):
            self.refused["time: not finite"] += 1
            time = self._time
        if time < self._time:
            self.refused["time: it jumped back"] += 1
            self._forget()
            self._time = -np.inf
        elapsed = min(time - self._time, _LONGEST_PERIOD) if isfinite(self._time) else 0.025
        if isfinite(time):
            self._sense(time, scan, odometry)
            wanted = self._drive(time, goal, elapsed)
        else:
            wanted = (0.0, 0.0)
        command = self._reachable(wanted, elapsed)
        if time > self._time:
            self.response.command(time, *command)
        self._time, self._command = time, command
        return command

    def _reachable(self, wanted: tuple[float, float], elapsed: float) -> tuple[float, float]:
        """Return the command nearest to the wanted one within the limits."""
        limits = self.limits
        bounds = (
            (-limits.max_reverse, limits.max_speed, limits.max_accel),
            (-limits.max_yaw_rate, limits.max_yaw_rate, limits.max_yaw_accel),
        )
        v, w = (
            min(max(value, low, last - rate * elapsed), high, last + rate * elapsed)
            for value, last, (low, high, rate) in zip(wanted, self._command, bounds, strict=True)
        )
        return v, w

    # --- what comes in ----------------------------------------------------------------------

    def _sense(self, time: float, scan: Scan | None, odometry: Odometry | None) -> None:
        """Take in what is new and can be used."""
        if odometry is not None and self._usable(odometry, time):
            if self._odometry is None or odometry.time > self._odometry.time:
                self._odometry = odometry
                self._poses.add(odometry.time, odometry.x, odometry.y, odometry.yaw)
            if scan is not None and self._usable(scan, time) and scan.time > self._scan_time:
                self._see(scan)
            if self._odometry is odometry:
                pose = compose(self._correction, (odometry.x, odometry.y, odometry.yaw))
                self.response.observe(odometry.time, *pose)

    def _usable(self, data: Scan | Odometry, time: float) -> bool:
        fault = data.fault()
        if not fault and data.time > time + self.config.max_age:
            fault = f"{type(data).__name__.lower()}: of the future"
        if fault:
            self.refused[fault] += 1
        return not fault

    def _see(self, scan: Scan) -> None:
        """Find out from a scan where the robot was, and map it."""
        odometry = self._poses.at(scan.time)
        if odometry is None:
            self.refused["scan: no odometry of its time"] += 1
            return
        self._scan_time = scan.time
        pose = compose(self._correction, odometry)
        if self._matched is not None:
            pose = self._match(scan, pose, compose(inverse(self._matched), odometry))
            self._correction = compose(pose, inverse(odometry))
        self._matched = odometry
        self._seen = _placed(pose, scan.points(0.0, _CHECK_RANGE))
        x, y, yaw = compose(pose, (scan.mount_x, 0.0, 0.0))
        self.navigator.see_scan(RangeScan(x, y, yaw, scan.angles, scan.ranges))

    def _match(self, scan: Scan, pose: Pose, moved: Pose) -> Pose:
        """Return the pose of a scan that fits the map best, by how far odometry has moved."""
        c = self.config
        points = scan.points(0.05, c.match_range)
        points = points[:: max(1, len(points) // c.match_points)]
        moving = self.navigator.moving.moved(*inverse(pose))
        apart = np.linalg.norm(points[:, None] - moving.position, axis=2)
        points = points[np.all(apart > moving.radius + _AROUND_MOVING, axis=1)]
        field = self.navigator.costmap.distance_field(pose[0], pose[1], c.match_range + 1.0)
        way, turn = hypot(moved[0], moved[1]), abs(moved[2])
        sigma = _ROUGH + c.slip * way
        # Where one side slips, the robot turns about the other.
        yaw_sigma = _ROUGH + c.slip * (turn + way / self._length)
        return match(field, points, pose, (sigma, sigma, yaw_sigma))

    # --- what goes out ----------------------------------------------------------------------

    def _drive(
        self, time: float, goal: tuple[float, float] | None, elapsed: float
    ) -> tuple[float, float]:
        """Return the command wanted now; zero where there is nothing to go by."""
        c, odometry = self.config, self._odometry
        if goal is None or not np.isfinite(goal).all():
            self.refused["goal: not finite"] += goal is not None
            self.navigator.clear_goal()
            self._trajectory = None
            return 0.0, 0.0
        if odometry is None or time - min(odometry.time, self._scan_time) > c.max_age:
            self.refused["no fresh scan and odometry"] += 1
            self._trajectory = None
            return 0.0, 0.0
        acts = max(time, odometry.time) + self.response.delay
        x, y, yaw = compose(self._correction, (odometry.x, odometry.y, odometry.yaw))
        state = State(x, y, yaw, odometry.v, odometry.w)
        state = self.response.predict(state, odometry.time, acts)
        self.navigator.set_goal(*goal, acts)
        self.navigator.think(acts, state, c.search_slice)
        if self._trajectory is None or acts - self._start > c.plan_period - 0.5 * elapsed:
            top = min(
                self.limits.max_speed * min(1.0, float(self.response.gain[0])), self._steady()
            )
            objects = self._objects.after(acts - self._objects_time).moved(*self._correction)
            nobody = np.zeros(len(objects), bool)
            decision = self.navigator.decide(acts, state, objects, nobody, top, c.plan_budget)
            self._trajectory = None if decision is None else decision.trajectory
            self._start = acts
        if self._trajectory is None:
            return 0.0, 0.0
        # A command holds until the next: it is to be right in the middle of that time.
        at = acts - self._start + 0.5 * elapsed
        soon = state.after(0.5 * elapsed)
        wanted = track(self._trajectory, at, soon, self._gains, self.limits)
        return self.response.command_for(*self._checked(wanted, state, elapsed), soon.v)

    def _steady(self) -> float:
        """Return the speed at which turning that nobody commanded does not lead far astray, m/s.

        Turning off by σ for the time T that an answer takes carries a robot ½ v σ T² aside.
        """
        answer = self.response.delay + _CORRECTION
        sigma = max(float(self.response.sigma[1]), 1e-3)
        return max(2 * self.config.astray / (sigma * answer * answer), _SLOWEST)

    def _checked(
        self, wanted: tuple[float, float], state: State, elapsed: float
    ) -> tuple[float, float]:
        """Return velocities with which the robot can stop before all that the newest scan shows.

        Args:
            wanted: Velocities.
            state: When they take effect.
            elapsed: Since the last command, s.
        """
        v, w = wanted
        points = _placed(inverse((state.x, state.y, state.yaw)), self._seen)
        safe, _, turn = self._monitor.check((v, 0.0, w), [Sight("scan", points)]).velocity
        if abs(safe) >= abs(v):
            return safe, turn
        # The arc is kept while the robot brakes: it steers for the speed that it still has.
        still = max(abs(safe), abs(state.v) - self.limits.max_accel * elapsed)
        return safe, w * min(1.0, still / abs(v))


def _placed(pose: Pose, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points that are given as seen from a pose, (n, 2), in the frame of the pose, m."""
    x, y, yaw = pose
    turn = np.array(((cos(yaw), sin(yaw)), (-sin(yaw), cos(yaw))))
    return points @ turn + (x, y)
