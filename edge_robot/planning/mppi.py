"""Local planner: model predictive path integral control for a differential drive.

Every call rolls out a few hundred command sequences through the base's kinematics and
acceleration limits, weighs each by its cost, and takes their weighted mean (Williams et al., 2017).
Sequences are the last answer with smooth noise, plus a fixed fan of arcs, turns and stops that
lets the planner leave a local optimum at once. A sequence that touches an obstacle is never chosen;
if all do, the answer is the quickest stop. One that meets a moving object is chosen only if all do,
and then the one that keeps farthest away: to stop may be the worst answer to somebody who walks on.

Arrays over rollouts have time first, (steps, samples), so that every step of a rollout is
contiguous.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.costmap import Grid
from edge_robot.planning.global_planner import Plan
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.trajectory import Trajectory
from edge_robot.settings import setting

F32 = np.float32
_Rollouts = tuple[NDArray[F32], NDArray[F32], NDArray[F32], NDArray[F32], NDArray[F32]]


@dataclass(frozen=True)
class _Scores:
    """What rollouts cost, (samples,): infinite where they touch an obstacle.

    Attributes:
        cost: In metres of progress.
        touches: An obstacle.
        meets: A moving object, soon.
    """

    cost: NDArray[F32]
    touches: NDArray[np.bool_]
    meets: NDArray[np.bool_]


@dataclass(frozen=True)
class MppiConfig:
    """How the planner samples and what it minds. Costs are in metres of progress."""

    samples: int = setting(400, "noisy sequences per iteration, besides the fixed fan")
    iterations: int = setting(1, "refinements per call; later ones only within the budget")
    steps: int = setting(30, "points of a trajectory after the first")
    dt: float = setting(0.1, "time between points, s")
    noise_v: float = setting(0.35, "standard deviation of forward velocity, m/s")
    noise_w: float = setting(0.6, "standard deviation of yaw rate, rad/s")
    temperature: float = setting(0.08, "cost at which a sequence's weight has fallen to 1/e")
    obstacle_contact: float = setting(0.03, "distance from obstacles that counts as touching, m")
    obstacle_margin: float = setting(0.35, "distance from obstacles below which it costs, m")
    object_contact: float = setting(0.15, "distance from moving objects that counts as meeting, m")
    object_margin: float = setting(0.5, "distance to keep from moving objects, m")
    object_whim: float = setting(0.4, "how much they may change their velocity at once (1σ), m/s")
    object_headway: float = setting(0.8, "time it should take to meet them: limits speed near, s")
    object_certain: float = setting(1.5, "up to when a predicted meeting counts as one, s")
    cost_obstacle: float = setting(6.0, "of a whole trajectory at obstacle_contact")
    cost_object: float = setting(12.0, "of a whole trajectory at object_contact")
    cost_object_speed: float = setting(6.0, "per m/s above what object_headway allows")
    cost_meeting: float = setting(100.0, "of a meeting, and again per metre of its depth")
    cost_path: float = setting(0.35, "per metre off the path")
    cost_reverse: float = setting(1.0, "per m/s backwards")
    cost_turn: float = setting(0.04, "per squared rad/s of turning")
    cost_smooth: float = setting(0.05, "per squared change of velocity between points")
    cost_overspeed: float = setting(2.0, "per m/s above what goal_decel allows")
    goal_decel: float = setting(0.9, "deceleration planned towards the goal, m/s²")


@dataclass(frozen=True)
class Guidance:
    """Where to go, as grids that a rollout can look up.

    Attributes:
        cost_to_go: To the goal from any cell, m of easy going.
        path_distance: Distance to the path, m, around it.
    """

    cost_to_go: Grid
    path_distance: Grid

    @classmethod
    def along(cls, plan: Plan) -> Guidance:
        """Make guidance of a global plan."""
        grid = plan.cost_to_go
        off_path = np.ones(grid.values.shape, np.uint8)
        cells = (plan.path - np.array(grid.origin)) / grid.resolution - 0.5
        cv2.polylines(off_path, [np.rint(cells * 16).astype(np.int32)], False, 0, shift=4)
        distance = cv2.distanceTransform(off_path, cv2.DIST_L2, cv2.DIST_MASK_5)
        return cls(grid, Grid(distance * F32(grid.resolution), grid.origin, grid.resolution))


@dataclass(frozen=True)
class LocalPlan:
    """The local planner's answer.

    Attributes:
        trajectory: To follow.
        feasible: False if every sequence touched something: then the trajectory is a stop, or the
            sequence that keeps farthest from moving objects.
    """

    trajectory: Trajectory
    feasible: bool


class Mppi:
    """The planner; keeps its last answer to start the next search from.

    Args:
        limits: Of the base.
        footprint: Of the base.
        config: Sampling and weights.
        seed: Of the noise; calls without a budget repeat exactly.
    """

    def __init__(
        self,
        limits: Limits,
        footprint: Footprint,
        config: MppiConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.limits = limits
        self.config = config or MppiConfig()
        self._discs, self._disc_radius = footprint.discs(3)
        self._object_discs, self._object_disc_radius = footprint.discs(2)
        self._noise = _smooth_noise(self.config, seed)
        self._fan = _fan(self.config.steps, limits)
        self._turn = 0
        self._mean = np.zeros((2, self.config.steps), F32)
        self._mean_time = 0.0

    def reset(self) -> None:
        """Forget the last answer."""
        self._mean[:] = 0.0

    def plan(
        self,
        now: float,
        state: State,
        guidance: Guidance,
        objects: MovingObjects,
        obstacles: Grid,
        max_speed: float | None = None,
        budget: float | None = None,
    ) -> LocalPlan:
        """Plan from `state` on.

        Args:
            now: Time of `state`, s, on any steady scale; shifts the last answer.
            state: Where the robot is.
            guidance: Where it is to go.
            objects: Moving objects, predicted to `now`.
            obstacles: Distance to the nearest obstacle, as `Costmap.distance_field` gives it.
            max_speed: Limit below that of the base, m/s.
            budget: Time after which no other iteration is begun, s.
        """
        start = time.perf_counter()
        top = min(self.limits.max_speed, self.limits.max_speed if max_speed is None else max_speed)
        self._shift(now)
        fan = self._fan.copy()
        fan[0] = np.where(fan[0] > 0, fan[0] * F32(top), fan[0])
        sequence: NDArray[F32] | None = None
        feasible = False
        for iteration in range(self.config.iterations):
            if iteration and budget is not None and time.perf_counter() - start > budget:
                break
            noise = self._noise[self._turn % len(self._noise)]
            self._turn += 1
            noisy = self._mean[:, :, None] + noise
            commands = np.concatenate((self._mean[:, :, None], noisy, fan), axis=2)
            self._bound(commands, top)
            rollouts = self._roll_out(state, commands)
            scores = self._score(state, rollouts, guidance, objects, obstacles)
            sequence, feasible = self._choose(state, rollouts, scores, guidance, objects, obstacles)
            if sequence is None:
                break
            self._mean = sequence
        dt = self.config.dt
        if sequence is None:
            self._mean[:] = 0.0
            stop = Trajectory.stop(state, self.limits, dt, self.config.steps)
            return LocalPlan(stop, False)
        _, _, _, v, w = self._roll_out(state, sequence[:, :, None])
        trajectory = Trajectory.from_velocities(
            state, v[:, 0].astype(np.float64), w[:, 0].astype(np.float64), dt
        )
        return LocalPlan(trajectory, feasible)

    def constant(
        self,
        state: State,
        v: float,
        w: float,
        seconds: float,
        objects: MovingObjects,
        obstacles: Grid,
    ) -> Trajectory | None:
        """Return constant velocity for a time and then a stop; None if it touches anything."""
        commands = np.zeros((2, self.config.steps, 1), F32)
        commands[:, : round(seconds / self.config.dt)] = np.array((v, w), F32)[:, None, None]
        x, y, yaw, v_out, w_out = self._roll_out(state, commands)
        cos, sin = np.cos(yaw), np.sin(yaw)
        clear = self._clearance(x, y, cos, sin, obstacles).min() > self.config.obstacle_contact
        gaps = self._object_gaps(state, x, y, cos, sin, objects)
        if not clear or any(gap.min() < self.config.object_contact for gap, _, _ in gaps):
            return None
        return Trajectory.from_velocities(
            state,
            v_out[:, 0].astype(np.float64),
            w_out[:, 0].astype(np.float64),
            self.config.dt,
        )

    def _shift(self, now: float) -> None:
        """Move the last answer on to `now`."""
        at = np.arange(self.config.steps) + (now - self._mean_time) / self.config.dt
        index = np.arange(self.config.steps)
        for row in self._mean:
            row[:] = np.interp(at, index, row)
        self._mean_time = now

    def _bound(self, commands: NDArray[F32], top: float) -> None:
        np.clip(commands[0], -self.limits.max_reverse, top, out=commands[0])
        np.clip(commands[1], -self.limits.max_yaw_rate, self.limits.max_yaw_rate, out=commands[1])

    def _roll_out(self, state: State, commands: NDArray[F32]) -> _Rollouts:
        """Return x, y, yaw, v, w after every step, each (steps, samples)."""
        steps, samples = commands.shape[1:]
        dt = F32(self.config.dt)
        v, w = np.empty((2, steps, samples), F32)
        for out, wanted, first, rate in (
            (v, commands[0], state.v, self.limits.max_accel),
            (w, commands[1], state.w, self.limits.max_yaw_accel),
        ):
            before: NDArray[F32] | F32 = F32(first)
            most = F32(rate) * dt
            for step in range(steps):
                change = wanted[step] - before
                np.minimum(change, most, out=change)
                np.maximum(change, -most, out=change)
                before = np.add(before, change, out=out[step])
        yaw = np.cumsum(w, axis=0)
        yaw *= dt
        yaw += F32(state.yaw)
        middle = yaw - w * (dt / 2)
        x = np.cumsum(v * np.cos(middle), axis=0)
        y = np.cumsum(v * np.sin(middle), axis=0)
        x *= dt
        y *= dt
        x += F32(state.x)
        y += F32(state.y)
        return x, y, yaw, v, w

    def _score(
        self,
        state: State,
        rollouts: _Rollouts,
        guidance: Guidance,
        objects: MovingObjects,
        obstacles: Grid,
    ) -> _Scores:
        """Judge each rollout."""
        c = self.config
        x, y, yaw, v, w = rollouts
        cos, sin = np.cos(yaw), np.sin(yaw)

        clear = self._clearance(x, y, cos, sin, obstacles)
        clear_now = float(self._clearance(*_pose(state), obstacles)[0, 0])
        # Whoever already stands too near may leave, but not go nearer.
        touches = np.any(clear < min(c.obstacle_contact, clear_now - 0.01), axis=0)
        meets = np.zeros_like(touches)
        near = np.clip((c.obstacle_margin - clear) / (c.obstacle_margin - c.obstacle_contact), 0, 1)
        cost = c.cost_obstacle * (near * near).mean(0)

        for gap, first_gap, margin in self._object_gaps(state, x, y, cos, sin, objects):
            certain = max(1, round(c.object_certain / c.dt))
            nearest = gap[:certain].min(0)
            depth = min(c.object_contact, first_gap - 0.02) - nearest
            cost += np.where(depth > 0, F32(c.cost_meeting) * (1 + depth), 0)
            meets |= depth > 0
            near = np.clip((margin - gap) / (margin - F32(c.object_contact)), 0, 1.5)
            near *= near
            cost += F32(c.cost_object) * near.mean(0)
            allowed = np.maximum(gap, 0) / F32(c.object_headway) + F32(0.3)
            cost += F32(c.cost_object_speed) * np.maximum(np.abs(v) - allowed, 0).mean(0)

        # Guidance is smooth: every third step tells enough.
        part = np.s_[2::3]
        to_go = guidance.cost_to_go.interpolated(x[part], y[part])
        cost += 0.5 * to_go[-1] + 0.5 * to_go.mean(0)
        cost += c.cost_path * np.minimum(guidance.path_distance.at(x[part], y[part]), 1.5).mean(0)
        allowed = np.sqrt(2 * c.goal_decel * to_go)
        cost += c.cost_overspeed * np.maximum(np.abs(v[part]) - allowed, 0).mean(0)

        cost += c.cost_reverse * np.maximum(-v, 0).mean(0) + c.cost_turn * (w * w).mean(0)
        jerk = np.diff(v, axis=0) ** 2 + 0.3 * np.diff(w, axis=0) ** 2
        cost += c.cost_smooth * jerk.sum(0)
        return _Scores(np.where(touches, np.inf, cost), touches, meets)

    def _clearance(
        self,
        x: NDArray[F32],
        y: NDArray[F32],
        cos: NDArray[F32],
        sin: NDArray[F32],
        obstacles: Grid,
    ) -> NDArray[F32]:
        """Return the distance from the footprint to the nearest obstacle, m."""
        nearest: NDArray[F32] | None = None
        for along in self._discs:
            distance = obstacles.at(x + along * cos, y + along * sin)
            nearest = distance if nearest is None else np.minimum(nearest, distance)
        assert nearest is not None
        return nearest - F32(self._disc_radius)

    def _object_gaps(
        self,
        state: State,
        x: NDArray[F32],
        y: NDArray[F32],
        cos: NDArray[F32],
        sin: NDArray[F32],
        objects: MovingObjects,
    ) -> list[tuple[NDArray[F32], float, NDArray[F32]]]:
        """Return for each object in reach: gap at every step, gap now, margin at every step.

        The object is its oriented box, moving at its velocity; the margin grows with the
        uncertainty of where it will be.
        """
        c = self.config
        times = (np.arange(1, c.steps + 1) * c.dt)[:, None]
        horizon = c.steps * c.dt
        reach = horizon * self.limits.max_speed + 1.0
        gaps = []
        for position, velocity, half, yaw, covariance in zip(
            objects.position,
            objects.velocity,
            objects.half_size,
            objects.yaw,
            objects.covariance,
            strict=True,
        ):
            away = np.hypot(position[0] - state.x, position[1] - state.y)
            if away > reach + horizon * np.hypot(*velocity):
                continue
            centre = (position + times * velocity).astype(F32)
            box = (F32(half[0]), F32(half[1]), F32(np.cos(yaw)), F32(np.sin(yaw)))
            gap = self._gap(x, y, cos, sin, centre, box)
            gap_now = self._gap(*_pose(state), position[None].astype(F32), box)
            variance = (
                0.5
                * (
                    covariance[0, 0]
                    + covariance[1, 1]
                    + 2 * times * (covariance[0, 2] + covariance[1, 3])
                    + times**2 * (covariance[2, 2] + covariance[3, 3])
                )
                + (c.object_whim * times) ** 2
            )
            growth = np.minimum(np.sqrt(np.maximum(variance, 0.0)), 0.6)
            margin = (c.object_margin + growth).astype(F32)
            gaps.append((gap, float(gap_now[0, 0]), margin))
        return gaps

    def _gap(
        self,
        x: NDArray[F32],
        y: NDArray[F32],
        cos: NDArray[F32],
        sin: NDArray[F32],
        centre: NDArray[F32],
        box: tuple[F32, F32, F32, F32],
    ) -> NDArray[F32]:
        """Return the distance from the footprint to an oriented box at `centre`, (steps, 2), m.

        The box is given by half its length and width, and the cosine and sine of its heading.
        """
        half_length, half_width, box_cos, box_sin = box
        nearest: NDArray[F32] | None = None
        for along in self._object_discs:
            dx = x + along * cos - centre[:, :1]
            dy = y + along * sin - centre[:, 1:]
            out_x = np.maximum(np.abs(dx * box_cos + dy * box_sin) - half_length, 0)
            out_y = np.maximum(np.abs(dy * box_cos - dx * box_sin) - half_width, 0)
            squared = out_x * out_x + out_y * out_y
            nearest = squared if nearest is None else np.minimum(nearest, squared)
        assert nearest is not None
        return np.sqrt(nearest) - F32(self._object_disc_radius)

    def _choose(
        self,
        state: State,
        rollouts: _Rollouts,
        scores: _Scores,
        guidance: Guidance,
        objects: MovingObjects,
        obstacles: Grid,
    ) -> tuple[NDArray[F32] | None, bool]:
        """Return the best velocities, (2, steps), and whether they keep clear of everything.

        None if every rollout touches an obstacle.
        """
        if scores.touches.all():
            return None, False
        temperature = F32(self.config.temperature)
        best = int(np.argmin(scores.cost))
        weight = np.exp((scores.cost[best] - scores.cost) / temperature)
        # The weighted mean of what the base did, not of what was asked beyond its limits.
        reached = np.stack(rollouts[3:])
        mean = (reached @ (weight / weight.sum())).astype(F32)
        rollout = self._roll_out(state, mean[:, :, None])
        of_mean = self._score(state, rollout, guidance, objects, obstacles)
        # Left and right of an obstacle average to straight into it: then take the better one.
        if of_mean.cost[0] > scores.cost[best] + temperature:
            return np.ascontiguousarray(reached[:, :, best]), not scores.meets[best]
        return mean, not of_mean.meets[0]


def _pose(state: State) -> tuple[NDArray[F32], NDArray[F32], NDArray[F32], NDArray[F32]]:
    """Return x, y and the cosine and sine of yaw as one rollout of one step."""
    values = np.array((state.x, state.y, np.cos(state.yaw), np.sin(state.yaw)), F32)
    x, y, cos, sin = values[:, None, None]
    return x, y, cos, sin


def _smooth_noise(config: MppiConfig, seed: int) -> NDArray[F32]:
    """Return noise for a few calls, (calls, 2, steps, samples), made once.

    Knots every few steps, joined by straight lines: white noise would cancel itself out within a
    trajectory and reach nowhere.
    """
    random = np.random.default_rng(seed)
    spacing = 5
    knots = config.steps // spacing + 2
    at = np.arange(config.steps) / spacing
    blend = np.maximum(1 - np.abs(at[:, None] - np.arange(knots)), 0)
    white = random.standard_normal((8, 2, knots, config.samples))
    # A third of the samples explores widely, the others refine.
    scale = np.where(np.arange(config.samples) % 3 == 0, 2.0, 0.6)
    scales = np.array((config.noise_v, config.noise_w))[:, None, None] * scale
    return ((blend @ white) * scales).astype(F32)


def _fan(steps: int, limits: Limits) -> NDArray[F32]:
    """Return fixed sequences, (2, steps, n): arcs, reversing arcs, turns on the spot, a stop.

    Forward velocities are shares of the speed limit of the moment; all else is in SI units.
    """
    fast = limits.max_yaw_rate
    columns = []
    for v in (1.0, 0.7, 0.4, 0.15):
        for w in (-0.8, -0.5, -0.3, -0.15, -0.05, 0.0, 0.05, 0.15, 0.3, 0.5, 0.8):
            # Turning throughout, or only at first: away from the obstacle, then on.
            for turning in (steps // 3, steps):
                rate = np.zeros(steps)
                rate[:turning] = w * fast
                columns.append((np.full(steps, v), rate))
    for v in (-1.0, -0.5):
        for w in (-0.5, -0.2, 0.0, 0.2, 0.5):
            columns.append((np.full(steps, v * limits.max_reverse), np.full(steps, w * fast)))
    for w in (-1.0, -0.5, 0.5, 1.0):
        for turning in (steps // 6, steps // 3, steps // 2):
            rate, speed = np.zeros(steps), np.zeros(steps)
            rate[:turning], speed[turning:] = w * fast, 1.0
            columns.append((speed, rate))
    columns.append((np.zeros(steps), np.zeros(steps)))
    return np.array(columns, F32).transpose(1, 2, 0)
