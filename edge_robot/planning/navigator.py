"""From a goal, scans and tracks to the next trajectory: the planners put together.

Plain calls and no threads: `see_*` take in what the sensors saw, `think` advances the search for a
global path by a slice, `decide` answers with a trajectory at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from math import copysign, hypot, pi, remainder, sqrt, tau

import numpy as np

from edge_robot.planning.costmap import Costmap, Grid, RangeScan
from edge_robot.planning.global_planner import (
    GlobalPlannerConfig,
    GoalOutsideMap,
    NoPath,
    Plan,
    search,
)
from edge_robot.planning.mppi import Guidance, Mppi, MppiConfig
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.separation import Caution, speed_among
from edge_robot.planning.trajectory import Trajectory
from edge_robot.settings import Settings, setting

_TURN_GAIN = 1.5  # 1/s
_SLOWEST_TURN = 0.2  # rad/s; bases stick below
_FASTEST_TURN = 1.0  # rad/s
_ON_THE_LAST_WAY = 1.0  # s; how long it is followed while the one to a new goal is searched
_UNDER_WAY = 0.5  # s; who has followed a path within this time is driving


@dataclass(frozen=True)
class NavigatorConfig(Settings):
    """How the planners work together."""

    goal_tolerance: float = setting(
        0.4, "distance from the goal that counts as reached, m", ge=0.01, le=10.0, live=True
    )
    goal_yaw_tolerance: float = setting(
        0.25,
        "error of the heading at the goal that counts as none, rad; from π on none is taken",
        ge=0.01,
        le=6.3,
        live=True,
    )
    replan_period: float = setting(
        1.0, "time between searches for a path, s", ge=0.05, le=60.0, live=True
    )
    path_lifetime: float = setting(
        10.0, "how long a path serves while newer searches fail, s", ge=0.0, le=600.0, live=True
    )
    view: float = setting(
        6.0, "half the side of the square the local planner sees, m", ge=1.0, le=50.0
    )
    lidar_blind_range: float = setting(
        1.5, "nearer the lidar misses low obstacles, m", ge=0.0, le=20.0, live=True
    )
    moving_speed: float = setting(
        0.3, "speed from which a track counts as moving, m/s", ge=0.0, le=10.0, live=True
    )
    found_moving: float = setting(
        1.0, "time a track may move before it is known to, s", ge=0.0, le=60.0, live=True
    )
    largest_moving: float = setting(
        4.0, "longest side of a track that can be moving, m", ge=0.1, le=50.0, live=True
    )
    stuck_time: float = setting(
        6.0, "time near one place after which to back out, s", ge=0.5, live=True
    )
    stuck_radius: float = setting(0.3, "what counts as near, m", ge=0.01, le=10.0, live=True)
    recovery_time: float = setting(1.5, "duration of backing out, s", ge=0.0, le=30.0, live=True)


@dataclass(frozen=True)
class Decision:
    """What to do next.

    Attributes:
        trajectory: To follow.
        goal_reached: The robot is at its goal and the trajectory is a stop there.
        why: What governs the decision, in words.
    """

    trajectory: Trajectory
    goal_reached: bool
    why: str


@dataclass
class _Progress:
    """Where and since when the robot stands about, and how it gets out of there."""

    x: float = np.inf
    y: float = np.inf
    since: float = 0.0
    recovering_until: float = -np.inf
    manoeuvre: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class _Way:
    """A path, what leads along it, and until when to follow it, s."""

    plan: Plan
    guidance: Guidance
    until: float = np.inf


@dataclass
class _Search:
    """A search for a path to the goal under way, and the result of the last."""

    steps: Generator[None, None, Plan] | None = None
    begun: float = -np.inf
    due: float = -np.inf
    way: _Way | None = field(default=None, repr=False)
    found: float = -np.inf
    no_path: NoPath | None = None


class Navigator:
    """Plans for one robot. All times are s on one scale that the caller chooses.

    Args:
        limits: Of the base.
        footprint: Of the base.
        costmap: To fill and plan on.
        config: How the planners work together.
        global_config: Weights of the global planner.
        local_config: Weights of the local planner.
        caution: What people are held to be capable of.
        seed: Of the local planner's noise.
        clock: What budgets are measured by, s, steady.
    """

    def __init__(
        self,
        limits: Limits,
        footprint: Footprint,
        costmap: Costmap,
        config: NavigatorConfig | None = None,
        global_config: GlobalPlannerConfig | None = None,
        local_config: MppiConfig | None = None,
        caution: Caution | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.config = config or NavigatorConfig()
        self.costmap = costmap
        self.goal: tuple[float, float] | None = None
        self.goal_yaw: float | None = None
        self.recoveries = 0
        self._limits = limits
        self._footprint = footprint
        self._caution = caution or Caution()
        self._global_config = global_config or GlobalPlannerConfig()
        self._mppi = Mppi(limits, footprint, local_config, seed, clock=clock)
        self._clock = clock
        self._search = _Search()
        self._last_way: _Way | None = None
        self._followed = -np.inf  # when a path was last followed
        self._progress = _Progress()
        self._reached = False
        self._nearest = np.inf
        self._moving = MovingObjects.none()
        self._movers: set[int] = set()
        self._last: tuple[float, Trajectory] | None = None

    @property
    def moving(self) -> MovingObjects:
        """What moved when last decided: left out of the map."""
        return self._moving

    @property
    def path(self) -> Plan | None:
        """The global plan in use."""
        return self._search.way.plan if self._search.way else None

    @property
    def refusal(self) -> str:
        """Why the last search found no path; empty if it found one."""
        return str(self._search.no_path or "")

    @property
    def failure(self) -> NoPath | None:
        """Why there is no way on at all: no path to follow, or no room to turn at the goal."""
        return self._search.no_path if self._reached or self._search.way is None else None

    @property
    def arrived(self) -> bool:
        """Whether the robot is at its goal, and has turned there as it should."""
        return self._reached and self.goal_yaw is None

    def set_goal(self, x: float, y: float, now: float, yaw: float | None = None) -> None:
        """Drive to (x, y), m; the goal that is being driven to already changes nothing.

        A robot that is driving to another goal follows the path there for a second at most, until
        there is one to this.

        Args:
            x: m.
            y: m.
            now: s.
            yaw: Heading to turn to once there, rad; None for any. A steered base, which cannot turn
                on the spot, stays as it arrives.
        """
        if self.config.goal_yaw_tolerance >= pi or self._limits.drive == "ackermann":
            yaw = None
        if self.goal is not None and not self.arrived and np.allclose(self.goal, (x, y)):
            self.goal_yaw = yaw
            return
        driving = not self._reached and 0.0 <= now - self._followed < _UNDER_WAY
        way = self._way(now) if driving else None
        self._last_way = way and replace(way, until=min(way.until, now + _ON_THE_LAST_WAY))
        self.goal, self.goal_yaw = (x, y), yaw
        self.recoveries = 0
        self._reached = False
        self._nearest = np.inf
        self._search = _Search()
        self._progress = _Progress(since=now)

    def reconfigure(
        self,
        limits: Limits,
        config: NavigatorConfig,
        global_config: GlobalPlannerConfig,
        local_config: MppiConfig,
        caution: Caution,
    ) -> None:
        """Go on with other settings; what is planned anew is planned by them.

        Arguments as of the class; for what must stay as it is see `Mppi.reconfigure`.
        """
        self.config, self._global_config = config, global_config
        self._limits, self._caution = limits, caution
        self._mppi.reconfigure(limits, local_config)

    def warm_up(self) -> None:
        """Compile what is compiled, before the first cycle needs it."""
        self._mppi.warm_up()

    def clear_goal(self) -> None:
        """Drive nowhere."""
        self.goal = self.goal_yaw = None
        self._reached = False
        self._search = _Search()
        self._last_way = self._last = None

    def see_scan(self, scan: RangeScan) -> None:
        """Take in a scan."""
        self.costmap.integrate("scan", scan, self._moving)

    def see_lidar(self, scan: RangeScan) -> None:
        """Take in a sweep reduced to the nearest obstacle in every direction."""
        self.costmap.integrate("lidar", scan, self._moving, self.config.lidar_blind_range)

    def think(self, now: float, state: State, budget: float) -> bool:
        """Search for a path for about `budget` seconds; return whether a search ended."""
        search_ = self._search
        if self.goal is None or self._reached:
            return False
        if search_.steps is None:
            if now < search_.due:
                return False
            if not self._map_both_ends(state):
                return True
            start = (state.x, state.y)
            search_.steps = search(self.costmap.grid, start, self.goal, self._global_config)
            search_.begun, search_.due = now, now + self.config.replan_period
        stop_at = self._clock() + budget
        try:
            while self._clock() < stop_at:
                next(search_.steps)
            return False
        except StopIteration as end:
            search_.way = _Way(end.value, Guidance.along(end.value))
            search_.found, search_.no_path = now, None
        except NoPath as refusal:
            search_.no_path = refusal
            if now - search_.found > self.config.path_lifetime:
                search_.way = None
        search_.steps = self._last_way = None
        return True

    def _map_both_ends(self, state: State) -> bool:
        """Let the map hold the way; give the goal up and return False if it is too far away."""
        assert self.goal is not None
        margin = 2 * self._global_config.path_beyond
        self.costmap.include(state.x, state.y, margin, forget=True)
        if self.costmap.include(*self.goal, margin):
            return True
        x, y = self.goal
        self.clear_goal()
        longest = self.costmap.config.max_map_side
        self._search.no_path = GoalOutsideMap(
            f"({x:.2f}, {y:.2f}) would need a map longer than {longest:.0f} m"
        )
        return False

    def decide(
        self,
        now: float,
        state: State,
        objects: MovingObjects,
        persons: np.ndarray,
        max_speed: float,
        budget: float | None = None,
    ) -> Decision | None:
        """Return what to do from `now` on; None without a goal or a path to it.

        Args:
            now: Time of `state` and `objects`, s.
            state: Where the robot is.
            objects: All tracks, predicted to `now`.
            persons: Which of them are persons, (n,) bool: avoided even while they stand.
            max_speed: Limit of the moment, m/s; at 0 the robot holds still.
            budget: Time after which the local planner stops refining, s.
        """
        speed = np.hypot(objects.velocity[:, 0], objects.velocity[:, 1])
        sigma = np.sqrt(objects.covariance[:, 2, 2] + objects.covariance[:, 3, 3])
        moving = (speed > np.maximum(self.config.moving_speed, sigma)) & (
            2 * objects.half_size.max(1, initial=0.0) < self.config.largest_moving
        )
        self._moving = objects.select(moving)
        # Who has walked may walk on at any moment, whatever it is called.
        ids = objects.id.tolist()
        fresh = np.array([i not in self._movers for i in self._moving.id.tolist()], bool)
        self.costmap.unmark(self._moving.select(fresh), self.config.found_moving)
        self._movers = (self._movers & set(ids)) | set(self._moving.id.tolist())
        walkers = np.array([i in self._movers for i in ids], bool)
        state = self._smooth_start(now, state)
        people = objects.select(persons)
        among = speed_among(state, self._limits, self._footprint, people, self._caution)
        objects = objects.select(walkers | persons)
        decision = self._decide(now, state, objects, min(max_speed, among), budget)
        self._last = None if decision is None else (now, decision.trajectory)
        return decision

    def hold(self, state: State, why: str, goal_reached: bool = False) -> Decision:
        """Return a stop."""
        c = self._mppi.config
        return Decision(Trajectory.stop(state, self._limits, c.dt, c.steps), goal_reached, why)

    def _decide(
        self,
        now: float,
        state: State,
        objects: MovingObjects,
        max_speed: float,
        budget: float | None,
    ) -> Decision | None:
        if self.goal is None:
            return None
        away = hypot(self.goal[0] - state.x, self.goal[1] - state.y)
        # Within the tolerance it goes on for as long as it comes nearer.
        self._nearest = min(self._nearest, away)
        passed = away < self.config.goal_tolerance and away > self._nearest + 0.02
        if not self._reached and (away < 0.25 * self.config.goal_tolerance or passed):
            self._reached, self._search.no_path = True, None
        if self._reached:
            return self._arrive(state, objects, max_speed)
        if max_speed <= 0.0:
            self._progress.since = now
            self._last_way = None
            return self.hold(state, "held by the mode")
        way = self._way(now)
        if way is None:
            return None
        if way is self._last_way:  # which may lead past the goal
            max_speed = min(max_speed, sqrt(self._limits.max_accel * away))
        obstacles = self.costmap.distance_field(state.x, state.y, self.config.view)
        if way is self._search.way and self._blocked(way.plan, state, obstacles):
            # At once, but not without end where nothing better is to be found.
            soonest = self._search.begun + 0.3 * self.config.replan_period
            self._search.due = min(self._search.due, soonest)
        recovery = self._recover(now, state, objects, obstacles)
        if recovery is not None:
            return recovery
        plan = self._mppi.plan(now, state, way.guidance, objects, obstacles, max_speed, budget)
        self._followed = now
        why = "following the path" if plan.feasible else "evading: every way is blocked"
        return Decision(plan.trajectory, False, why)

    def _way(self, now: float) -> _Way | None:
        """Return the way to follow."""
        way = self._search.way or self._last_way
        return way if way and now <= way.until else None

    def _arrive(self, state: State, objects: MovingObjects, max_speed: float) -> Decision:
        """Return a turn on the spot to the goal's heading; a stop once that is reached."""
        error = 0.0 if self.goal_yaw is None else remainder(self.goal_yaw - state.yaw, tau)
        if self.goal_yaw is None or abs(error) < self.config.goal_yaw_tolerance:
            self.goal_yaw = None  # it stays arrived, whatever odometry does from now on
            return self.hold(state, "goal reached", goal_reached=True)
        if max_speed <= 0.0:
            return self.hold(state, "held by the mode")
        obstacles = self.costmap.distance_field(state.x, state.y, self.config.view)
        rate = min(max(_TURN_GAIN * abs(error), _SLOWEST_TURN), _FASTEST_TURN)
        seconds = min(abs(error) / rate, self.config.recovery_time)
        # The shorter way or, if that is blocked, the other.
        for w in (copysign(rate, error), -copysign(rate, error)):
            turn = self._mppi.constant(state, 0.0, w, seconds, objects, obstacles)
            if turn is not None:
                self._search.no_path = None
                return Decision(turn, False, "turning at the goal")
        self._search.no_path = NoPath("there is no room to turn at the goal")
        return self.hold(state, str(self._search.no_path))

    def _smooth_start(self, now: float, state: State) -> State:
        """Start from the planned velocity where the base follows it: no noise and no lag."""
        if self._last is None or not 0 <= now - self._last[0] < 0.5:
            return state
        planned = self._last[1].at(now - self._last[0])
        v = planned.v if abs(planned.v - state.v) < 0.25 else state.v
        w = planned.w if abs(planned.w - state.w) < 0.4 else state.w
        return State(state.x, state.y, state.yaw, v, w)

    def _blocked(self, plan: Plan, state: State, obstacles: Grid) -> bool:
        """Return whether an obstacle has come up on the next metres of the path."""
        away = np.hypot(plan.path[:, 0] - state.x, plan.path[:, 1] - state.y)
        nearest = int(np.argmin(away))
        ahead = plan.path[nearest:][away[nearest:] < 0.8 * self.config.view]
        distance = obstacles.at(ahead[:, 0], ahead[:, 1])
        return bool(np.any(distance < 0.75 * self._global_config.path_clearance))

    def _recover(
        self,
        now: float,
        state: State,
        objects: MovingObjects,
        obstacles: Grid,
    ) -> Decision | None:
        """Return a way out after too long at one place: back, or turn on the spot."""
        progress, c = self._progress, self.config
        if now < progress.recovering_until:
            v, w = progress.manoeuvre
            return self._manoeuvre(state, v, w, objects, obstacles)
        if hypot(state.x - progress.x, state.y - progress.y) > c.stuck_radius:
            progress.x, progress.y, progress.since = state.x, state.y, now
        if now - progress.since < c.stuck_time:
            return None
        progress.since = now
        self.recoveries += 1
        self._search.due = now
        self._mppi.reset()
        for v, w in ((-0.3, 0.0), (-0.2, 0.5), (-0.2, -0.5), (0.0, 1.0), (0.0, -1.0)):
            decision = self._manoeuvre(state, v, w, objects, obstacles)
            if decision is not None:
                progress.recovering_until, progress.manoeuvre = now + c.recovery_time, (v, w)
                return decision
        return None

    def _manoeuvre(
        self, state: State, v: float, w: float, objects: MovingObjects, obstacles: Grid
    ) -> Decision | None:
        """Return a motion at constant velocity that ends in a stop; None unless clear."""
        trajectory = self._mppi.constant(state, v, w, self.config.recovery_time, objects, obstacles)
        if trajectory is None:
            return None
        return Decision(trajectory, False, "standing about: backing out")
