"""Local planner: model predictive path integral control (Williams et al., 2017).

Every call rolls out command sequences through the base's kinematics and acceleration limits,
weighs each by its cost, and takes their weighted mean. Sequences are the last answer with smooth
noise, plus a fixed fan of arcs, turns and stops that lets the planner leave a local optimum at
once. A sequence that touches an obstacle is never chosen; if all do, the answer is the quickest
stop. One that meets a moving object is chosen only if all do, and then the one that keeps farthest
away: to stop may be the worst answer to somebody who walks on.

It is an anytime planner: sequences are judged in chunks, the last answer and the fan first, and no
chunk is begun that would not end within the budget if it took as long as the slowest so far. So a
call overruns its budget only by what the first chunk takes beyond it, or by what one chunk takes
longer than every one before it in the call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from math import hypot
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.compiled import COMPILED
from edge_robot.planning.costmap import Grid
from edge_robot.planning.kinematics import OMNIDIRECTIONAL, Motion, steering_angle
from edge_robot.planning.mppi import arrays, kernels
from edge_robot.planning.mppi.config import MppiConfig
from edge_robot.planning.mppi.guidance import Guidance
from edge_robot.planning.mppi.sampling import fan, smooth_noise
from edge_robot.planning.mppi.scene import Body, Crowd, Field, Scene, Weights
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State
from edge_robot.planning.trajectory import Trajectory

F32 = np.float32
_CHUNK = 128


@dataclass(frozen=True)
class LocalPlan:
    """The local planner's answer.

    Attributes:
        trajectory: To follow.
        feasible: False if every sequence touched something: then the trajectory is a stop, or the
            sequence that keeps farthest from moving objects.
        samples: How many sequences were judged.
    """

    trajectory: Trajectory
    feasible: bool
    samples: int


@dataclass(frozen=True)
class _Answer:
    """Velocities, (channels, steps), what they cost, and whether they meet a moving object."""

    velocities: NDArray[F32]
    cost: float
    meets: bool


class Mppi:
    """The planner; keeps its last answer to start the next search from.

    Args:
        limits: Of the base.
        footprint: Of the base.
        config: Sampling and weights.
        seed: Of the noise; calls without a budget repeat exactly.
        compiled: Roll out with Numba, where it is installed.
        clock: What budgets are measured by, s, steady.

    Raises:
        UserError: there is no such drive, or a margin is not wider than contact.
    """

    def __init__(
        self,
        limits: Limits,
        footprint: Footprint,
        config: MppiConfig | None = None,
        seed: int = 0,
        compiled: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._seed = seed
        c = config or MppiConfig()
        self.reconfigure(limits, c)
        self._clock = clock
        self._footprint = footprint
        self._bodies: dict[float, Body] = {}
        self._rollouts: ModuleType = kernels if compiled and COMPILED else arrays
        self._turn = 0
        channels = len(self._fan)
        self._mean = np.zeros((channels, c.steps), F32)
        self._mean_time = 0.0
        # What is judged in a call: the last answer, the fan, and noise around the last answer.
        self._fixed = 1 + self._fan.shape[1]
        count = self._fixed + c.samples
        self._commands = np.zeros((channels, count, c.steps), F32)
        self._reached = np.zeros((channels, count, c.steps), F32)
        self._cost = np.zeros(count, F32)
        self._meets = np.zeros(count, bool)
        # How long the slowest chunk of a call took, and to choose from what is judged, s.
        self._slowest = self._closing_time = 0.0

    def reconfigure(self, limits: Limits, config: MppiConfig) -> None:
        """Plan within other limits and by other weights.

        Args:
            limits: Of the base; the same kind of drive as before.
            config: As many samples, iterations and steps as before, of the same length.
        """
        self.limits, self.config = limits, config
        self._motion = Motion.of(limits, config.dt)
        self._weights = Weights.of(config)
        channels = 3 if self._motion.drive == OMNIDIRECTIONAL else 2
        self._noise = smooth_noise(config, channels, self._seed)
        self._fan = fan(config.steps, limits, channels)

    def warm_up(self) -> None:
        """Compile, or load what an earlier process compiled: seconds that no cycle has to spare."""
        nowhere = Grid(np.ones((2, 2), F32), (0.0, 0.0), 1.0)
        guidance = Guidance(nowhere, nowhere)
        scene = self.scene(State(0.0, 0.0, 0.0), guidance, MovingObjects.none(), nowhere)
        self._judge(scene, self.limits.max_speed, np.inf, first=True)
        self._choose(scene, len(self._cost))

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
            budget: Time within which to answer with the best found so far, s.

        Raises:
            ValueError: `now`, the state or an object is not finite, or a grid is empty.
        """
        until = np.inf if budget is None else self._clock() + budget
        top = min(self.limits.max_speed, self.limits.max_speed if max_speed is None else max_speed)
        _check(now, state, objects)
        self._shift(now)
        scene = self.scene(state, guidance, objects, obstacles)
        best: _Answer | None = None
        judged = 0
        for iteration in range(self.config.iterations):
            count = self._judge(scene, top, until, first=iteration == 0)
            if iteration and count <= self._fixed:
                break
            judged += count - (self._fixed if iteration else 0)
            answer = self._choose(scene, count)
            if answer is None:
                break
            if best is None or answer.cost < best.cost:
                best = answer
                self._mean = answer.velocities
        if best is None:
            self._mean[:] = 0.0
            stop = Trajectory.stop(state, self.limits, self.config.dt, self.config.steps)
            return LocalPlan(stop, False, judged)
        return LocalPlan(self._timed(state, best.velocities), not best.meets, judged)

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
        c = self.config
        _check(0.0, state, objects)
        commands = np.zeros((len(self._mean), 1, c.steps), F32)
        commands[:2, :, : round(seconds / c.dt)] = np.array((v, w), F32)[:, None, None]
        poses, reached = arrays.roll_out(commands, self._start(state), self._motion)
        body, field = self._body(obstacles), Field.of(obstacles, "the distance to obstacles")
        if arrays.clearance(poses, body, field, c.obstacle_margin).min() <= c.obstacle_contact:
            return None
        crowd = Crowd.of(objects, state, c, body, self._fastest(state))
        for index, box in enumerate(crowd.box):
            if arrays.gap(poses, body, box, crowd.centre[1:, index]).min() < c.object_contact:
                return None
        return self._timed(state, reached[:, :, 0])

    @property
    def compiled(self) -> bool:
        """Whether rollouts are compiled."""
        return self._rollouts is not arrays

    def _shift(self, now: float) -> None:
        """Move the last answer on to `now`."""
        index = np.arange(self.config.steps)
        at = index + (now - self._mean_time) / self.config.dt
        for row in self._mean:
            row[:] = np.interp(at, index, row)
        self._mean_time = now

    def _start(self, state: State) -> tuple[float, float, float, float, float, float, float]:
        # An integer among them would have all compiled once more.
        x, y, yaw, v, w, vy = (float(value) for value in astuple(state))
        return (x, y, yaw, v, w, vy, steering_angle(self.limits, state))

    def _body(self, obstacles: Grid) -> Body:
        resolution = obstacles.resolution
        if resolution not in self._bodies:
            self._bodies = {resolution: Body.of(self._footprint, resolution)}
        return self._bodies[resolution]

    def _fastest(self, state: State) -> float:
        """Return a speed that no rollout exceeds, m/s."""
        along = max(self.limits.max_speed, self.limits.max_reverse, abs(state.v))
        return hypot(along, max(self.limits.max_lateral_speed, abs(state.vy)))

    def scene(
        self,
        state: State,
        guidance: Guidance,
        objects: MovingObjects,
        obstacles: Grid,
    ) -> Scene:
        """Lay out what the rollouts of a call are judged against; arguments as of `plan`."""
        c = self.config
        body = self._body(obstacles)
        scene = Scene(
            self._start(state),
            self._motion,
            self._weights,
            body,
            Field.of(obstacles, "the distance to obstacles"),
            Field.of(guidance.cost_to_go, "the cost to go"),
            Field.of(guidance.path_distance, "the distance to the path"),
            Crowd.of(objects, state, c, body, self._fastest(state)),
        )
        # Whoever already stands too near may leave, but not go nearer.
        touch = min(c.obstacle_contact, self._rollouts.clearance_at_start(scene) - 0.01)
        contact = np.minimum(c.object_contact, self._rollouts.gaps_at_start(scene) - 0.02)
        return scene._replace(
            weights=self._weights._replace(obstacle_touch=touch),
            crowd=scene.crowd._replace(contact=contact),
        )

    def _judge(self, scene: Scene, top: float, until: float, first: bool) -> int:
        """Judge sequences until all are judged or time is up; return how many are.

        Those of the fan are judged in the first iteration of a call and stay as they are.
        """
        commands, fixed = self._commands, self._fixed
        commands[:, 0] = self._mean
        if first:
            commands[:, 1:fixed] = self._fan
            speeds = commands[0, 1:fixed]
            np.multiply(speeds, F32(top), out=speeds, where=speeds > 0)
            self._slowest = 0.0
        noise = self._noise[self._turn % len(self._noise)]
        self._turn += 1
        begin, end = 0, fixed if first else 1
        while True:
            started = self._clock()
            in_time = started + self._slowest + self._closing_time <= until
            if not in_time and not (first and begin == 0):
                return begin
            if end > fixed:
                part = noise[:, begin - fixed : end - fixed]
                np.add(self._mean[:, None], part, out=commands[:, begin:end])
            _bound(commands[:, begin:end], self.limits, top)
            self._rollouts.judge(
                commands, begin, end, scene, self._reached, self._cost, self._meets
            )
            self._slowest = max(self._slowest, self._clock() - started)
            begin, end = max(end, fixed), min(max(end, fixed) + _CHUNK, len(self._cost))
            if begin == end:
                return end

    def _choose(self, scene: Scene, count: int) -> _Answer | None:
        """Return the best velocities of the first `count` sequences; None if all touch."""
        started = self._clock()
        cost, reached = self._cost[:count], self._reached[:, :count]
        best = int(np.argmin(cost))
        if not np.isfinite(cost[best]):
            return None
        temperature = F32(self.config.temperature)
        weight = np.exp((cost[best] - cost) / temperature)
        # The weighted mean of what the base did, not of what was asked beyond its limits.
        mean = (weight / weight.sum()) @ reached
        of_mean, its_cost, its_meets = (
            np.zeros_like(mean)[:, None],
            np.empty(1, F32),
            np.empty(1, bool),
        )
        self._rollouts.judge(mean[:, None], 0, 1, scene, of_mean, its_cost, its_meets)
        # Left and right of an obstacle average to straight into it: then take the better one.
        if its_cost[0] > cost[best] + temperature:
            answer = _Answer(
                reached[:, best].copy(),
                float(cost[best]),
                bool(self._meets[best]),
            )
        else:
            answer = _Answer(of_mean[:, 0], float(its_cost[0]), bool(its_meets[0]))
        self._closing_time = self._clock() - started
        return answer

    def _timed(self, state: State, velocities: NDArray[F32]) -> Trajectory:
        v, w, *vy = velocities.astype(np.float64)
        return Trajectory.from_velocities(state, v, w, self.config.dt, *vy)


def _bound(commands: NDArray[F32], limits: Limits, top: float) -> None:
    np.clip(commands[0], -limits.max_reverse, top, out=commands[0])
    np.clip(commands[1], -limits.max_yaw_rate, limits.max_yaw_rate, out=commands[1])
    if len(commands) == 3:
        most = limits.max_lateral_speed
        np.clip(commands[2], -most, most, out=commands[2])


def _check(now: float, state: State, objects: MovingObjects) -> None:
    """Raise ValueError for what cannot be planned with."""
    if not np.isfinite(now) or not np.isfinite(astuple(state)).all():
        raise ValueError(f"cannot plan at {now} s from {state}: every number must be finite")
    objects.check()
