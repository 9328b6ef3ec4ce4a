"""One drive: the world, the robot and a planner in their turns.

Every 25 ms (40 Hz) there is a scan and odometry of one capture time. The planner is called with
the newest that has arrived; its CPU time is measured. An answer within the period takes effect at
the period's end, so drives repeat exactly by their seed; a slower one takes effect when it is
ready, and the planner misses the scans meanwhile.

The clock of the result starts when the robot has moved 0.1 m, as the challenge's does, and stops
when the robot is within the goal's radius. Any contact ends the drive; who walked into a robot that
stood still is told apart.
"""

from __future__ import annotations

import time as wall
from collections import deque
from dataclasses import dataclass
from math import cos, erf, exp, hypot, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.flat import lidar, vehicle
from edge_robot.sim.flat.interface import Odometry, Planner, Scan
from edge_robot.sim.flat.setting import Setting
from edge_robot.sim.flat.vehicle import STEP, Motion, clearance
from edge_robot.sim.flat.walkers import Walkers, WalkersConfig
from edge_robot.sim.flat.world import World

PERIOD = 0.025
"""Time between scans, and between calls of the planner, s."""

_STEPS = round(PERIOD / STEP)
_STARTED = 0.1
_STANDS_V, _STANDS_W = 0.05, 0.1
_SLIP_MEMORY = exp(-PERIOD / 0.5)
_HEADING_DRIFT = 0.2  # rad/m per unit of drift
_VELOCITY_NOISE = 0.01
# Farther away than this at the start of a period, nothing can be touched within it.
_REACH = PERIOD * (vehicle.MAX_SPEED + vehicle.MAX_YAW_RATE * vehicle.CIRCUMSCRIBED_RADIUS) + 0.01


@dataclass(frozen=True)
class Outcome:
    """How a drive ended.

    Attributes:
        success: The goal was reached.
        collided: Something was touched.
        struck: It was something moving, and the robot stood.
        seconds: From the first 0.1 m to the end, s.
        closest: Least distance between the body and anything, m.
        calls: Of the planner.
        overruns: Calls that took longer than a period.
        planner_seconds: CPU time of the planner, s.
        path: Where the robot was at every period, (n, 3): x, y, yaw, m and rad.
        gaps: Distance between the body and the nearest moving obstacle then, (n,), m.
    """

    success: bool
    collided: bool
    struck: bool
    seconds: float
    closest: float
    calls: int
    overruns: int
    planner_seconds: float
    path: NDArray[np.float64]
    gaps: NDArray[np.float64]


def drive(
    world: World,
    planner: Planner,
    setting: Setting,
    seed: int,
    walkers: WalkersConfig | None = None,
) -> Outcome:
    """Let a planner drive through a world.

    Args:
        world: Where.
        planner: Fresh: it knows nothing of the world.
        setting: Disturbances.
        seed: Of noise, slip and drift; together with the world's number it fixes all of them.
        walkers: What moves about.

    Raises:
        ValueError: If the planner asks for what is no number.
    """
    return _Drive(world, planner, setting, seed, walkers).run()


class _Drive:
    def __init__(
        self,
        world: World,
        planner: Planner,
        setting: Setting,
        seed: int,
        walkers: WalkersConfig | None,
    ) -> None:
        self._world, self._planner, self._setting = world, planner, setting
        self._walkers = Walkers(walkers, world.cylinders, seed) if walkers else None
        self._discs = self._all_discs()
        streams = np.random.default_rng((seed, world.number)).spawn(3)
        self._scan_noise, self._slip_noise, self._odometry_noise = streams
        self._motion = Motion(*world.start)
        self._slip_state = self._slip_noise.standard_normal(2)
        errors = self._odometry_noise.standard_normal(3) * setting.drift
        self._odometry_errors = errors * (1.0, 1.0, _HEADING_DRIFT)
        self._believed = [0.0, 0.0, 0.0]
        self._seen: deque[tuple[Scan, Odometry]] = deque(maxlen=setting.sensing_delay + 1)
        self._commands: deque[tuple[float, tuple[float, float]]] = deque()
        self._command, self._commanded_at = (0.0, 0.0), -np.inf
        self._closest = np.inf
        self._calls = self._overruns = 0
        self._planner_seconds = 0.0

    def run(self) -> Outcome:
        world, motion = self._world, self._motion
        started: float | None = None
        ready = 0.0
        path, gaps = [], []
        success = collided = False
        tick = 0
        now = 0.0
        while not (success or collided) and now - (started or 0.0) < world.timeout:
            now = tick * PERIOD
            path.append((motion.x, motion.y, motion.yaw))
            moving = self._discs[len(world.cylinders) :]
            gaps.append(clearance(motion.x, motion.y, motion.yaw, moving))
            self._sense(now)
            if len(self._seen) == self._seen.maxlen and now > ready - 1e-9:
                ready = self._plan(now)
            collided = self._move(now)
            tick += 1
            now = tick * PERIOD
            if started is None and _away(motion, world.start) > _STARTED:
                started = now
            success = not collided and _away(motion, world.goal) < world.goal_radius
        return Outcome(
            success,
            collided,
            collided and self._was_struck(),
            now - (started or 0.0),
            self._closest,
            self._calls,
            self._overruns,
            self._planner_seconds,
            np.array(path),
            np.array(gaps),
        )

    def _sense(self, now: float) -> None:
        motion = self._motion
        ranges = lidar.cast(motion.x, motion.y, motion.yaw, self._discs)
        ranges += self._setting.scan_noise * self._scan_noise.standard_normal(len(ranges))
        scan = Scan(now, lidar.ANGLES, ranges, lidar.MOUNT_X)
        noise = _VELOCITY_NOISE * self._odometry_noise.standard_normal(2)
        scale, turn, _ = self._odometry_errors.tolist()
        x, y, yaw = self._believed
        v = motion.v * (1.0 + scale) + float(noise[0])
        w = motion.w * (1.0 + turn) + float(noise[1])
        self._seen.append((scan, Odometry(now, x, y, yaw, v, w)))

    def _plan(self, now: float) -> float:
        """Ask the planner; return when it can be asked again."""
        scan, odometry = self._seen[0]
        begun = wall.process_time()
        command = self._planner.step(now, scan, odometry, self._world.goal_from_start)
        took = wall.process_time() - begun
        if not np.isfinite(command).all():
            raise ValueError(f"at {now:.3f} s the planner asks for {command}: no velocities")
        self._calls += 1
        self._overruns += took > PERIOD
        self._planner_seconds += took
        ready = now + max(took, PERIOD)
        self._commands.append((ready + self._setting.command_latency, command))
        return ready

    def _move(self, now: float) -> bool:
        """Let a period pass; return whether the robot touched something."""
        motion, setting = self._motion, self._setting
        slip = self._slip()
        if self._walkers:
            way = motion.v * np.array((cos(motion.yaw), sin(motion.yaw)))
            self._walkers.decide(PERIOD, (motion.x, motion.y), way)
        discs = self._discs
        self._closest = min(self._closest, clearance(motion.x, motion.y, motion.yaw, discs))
        apart = np.hypot(discs[:, 0] - motion.x, discs[:, 1] - motion.y) - discs[:, 2]
        near = apart < vehicle.CIRCUMSCRIBED_RADIUS + _REACH
        near[len(self._world.cylinders) :] = True  # they come at any speed
        anything = bool(near.any())
        for step in range(_STEPS):
            at = now + step * STEP + 1e-9
            while self._commands and self._commands[0][0] <= at:
                self._commanded_at, self._command = self._commands.popleft()
            heard = at - self._commanded_at < vehicle.COMMAND_TIMEOUT
            motion.step(self._command if heard else (0.0, 0.0), setting.speed_gain, slip)
            self._believe()
            if self._walkers:
                self._walkers.move(STEP)
                self._discs = self._all_discs()
            if anything:
                gap = clearance(motion.x, motion.y, motion.yaw, self._discs[near])
                self._closest = min(self._closest, gap)
                if gap < vehicle.CONTACT:
                    return True
        return False

    def _all_discs(self) -> NDArray[np.float64]:
        standing = self._world.cylinders
        return np.vstack((standing, self._walkers.discs)) if self._walkers else standing

    def _was_struck(self) -> bool:
        """Return whether the contact is with something that moves, and the robot stands."""
        motion = self._motion
        moving = self._discs[len(self._world.cylinders) :]
        touching = clearance(motion.x, motion.y, motion.yaw, moving) < vehicle.CONTACT
        return touching and abs(motion.v) < _STANDS_V and abs(motion.w) < _STANDS_W

    def _believe(self) -> None:
        """Integrate odometry by one step."""
        motion, believed = self._motion, self._believed
        scale, turn, heading = self._odometry_errors.tolist()
        way = motion.v * STEP * (1.0 + scale)
        angle = motion.w * STEP * (1.0 + turn) + abs(way) * heading
        middle = believed[2] + 0.5 * angle
        believed[0] += way * cos(middle)
        believed[1] += way * sin(middle)
        believed[2] += angle

    def _slip(self) -> tuple[float, float]:
        """Return the share lost by each side; Gaussian walks made uniform by their distribution."""
        fresh = self._slip_noise.standard_normal(2)
        self._slip_state *= _SLIP_MEMORY
        self._slip_state += sqrt(1.0 - _SLIP_MEMORY**2) * fresh
        left, right = self._slip_state.tolist()
        most = self._setting.slip
        return most * _normal_cdf(left), most * _normal_cdf(right)


def _normal_cdf(value: float) -> float:
    return 0.5 * (1.0 + erf(value / sqrt(2.0)))


def _away(motion: Motion, place: tuple[float, ...]) -> float:
    return hypot(motion.x - place[0], motion.y - place[1])
