"""A corridor with posts and people in it, the robot's body and wheels, and what sensors see.

Plain geometry: everything is a disc but the robot, which is its rectangle. People walk to and fro;
they look where they go and stop before the robot, but never make way for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.flat import vehicle
from edge_robot.sim.flat.vehicle import Motion, clearance

LENGTH, HALF_WIDTH = 8.0, 2.2
GOAL = (6.0, 0.0)
GOAL_RADIUS = 0.6
PERSON_RADIUS, PERSON_HEIGHT = 0.25, 1.72
BEAMS = 360
RANGE = 10.0

_WALL_RADIUS, _WALL_STEP = 0.3, 0.5
_SCAN_NOISE = 0.01
_NOTICED = 2.5  # m; nearer, people look where the robot is
_ROOM = 1.2  # between posts, m: the robot fits through anywhere
_TOUCHING = 0.05  # speed of the robot's hull from which a contact is its doing, m/s
_ANGLES = np.linspace(-math.pi, math.pi, BEAMS, endpoint=False)
_BEAM_X, _BEAM_Y = np.cos(_ANGLES), np.sin(_ANGLES)


@dataclass
class Walker:
    """A person who walks between two places.

    Attributes:
        x: m.
        y: m.
        ends: Where they turn, m.
        speed: m/s.
        attention: How near before them the robot may come until they stop, m.
        target: Which end they walk to.
        pace: Present speed, m/s.
    """

    x: float
    y: float
    ends: tuple[tuple[float, float], tuple[float, float]]
    speed: float
    attention: float
    target: int = 0
    pace: float = 0.0

    @property
    def heading(self) -> float:
        """Where they are going, rad."""
        x, y = self.ends[self.target]
        return math.atan2(y - self.y, x - self.x)


class Arena:
    """The world as it is.

    Args:
        seed: Of posts, people and noise.

    Attributes:
        motion: The robot.
        posts: Walls and posts: x, y, radius, (n, 3), m.
        walkers: The people.
        command: Speed and yaw rate the wheels are asked for now, m/s and rad/s.
        holds_until: When the wheels stop by themselves, s.
        time: s.
        shift: How odometry has jumped: x, y, yaw, m and rad.
        collision: What the robot ran into first, and when; empty if nothing.
        bumps: People who walked into the robot while it stood.
        closest: Least clearance so far, m.
    """

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng((seed, 0xA4E))
        self._noise = np.random.default_rng((seed, 0x5CA))
        self.motion = Motion(0.0, 0.0, 0.0)
        self.posts = np.array(_walls() + _posts(random))
        self.walkers = [_walker(random, n) for n in range(3)]
        self.command = (0.0, 0.0)
        self.holds_until = -math.inf
        self.time = 0.0
        self.shift = (0.0, 0.0, 0.0)
        self.collision = ""
        self.bumps = 0
        self.closest = math.inf
        self.distance = 0.0
        self._touching = False

    @property
    def commanded(self) -> tuple[float, float]:
        """What the wheels obey now."""
        return self.command if self.time < self.holds_until else (0.0, 0.0)

    @property
    def at_goal(self) -> bool:
        """Whether the robot is where it should go."""
        return math.hypot(self.motion.x - GOAL[0], self.motion.y - GOAL[1]) < GOAL_RADIUS

    def discs(self) -> NDArray[np.float64]:
        """Return all there is: x, y, radius, (n, 3), m."""
        people = [(walker.x, walker.y, PERSON_RADIUS) for walker in self.walkers]
        return np.vstack((self.posts, people))

    def step(self) -> None:
        """Let `vehicle.STEP` pass."""
        self.motion.step(self.commanded, 1.0, (0.0, 0.0))
        self.time += vehicle.STEP
        self.distance += abs(self.motion.v) * vehicle.STEP
        for walker in self.walkers:
            self._walk(walker)
        self._touch()

    def _walk(self, walker: Walker) -> None:
        motion, heading = self.motion, walker.heading
        blocked = False
        if math.hypot(motion.x - walker.x, motion.y - walker.y) < _NOTICED:
            ahead = walker.x + walker.attention * math.cos(heading)
            beside = walker.y + walker.attention * math.sin(heading)
            near = np.array([(ahead, beside, PERSON_RADIUS), (walker.x, walker.y, PERSON_RADIUS)])
            blocked = clearance(motion.x, motion.y, motion.yaw, near) < 0.1
        goal = 0.0 if blocked else walker.speed
        walker.pace += min(max(goal - walker.pace, -4.0 * vehicle.STEP), 2.0 * vehicle.STEP)
        if blocked and walker.pace < 0.05:
            walker.pace = 0.0
        walker.x += walker.pace * vehicle.STEP * math.cos(heading)
        walker.y += walker.pace * vehicle.STEP * math.sin(heading)
        x, y = walker.ends[walker.target]
        if math.hypot(x - walker.x, y - walker.y) < 0.1:
            walker.target = 1 - walker.target
            walker.pace = 0.0

    def _touch(self) -> None:
        motion = self.motion
        gap = clearance(motion.x, motion.y, motion.yaw, self.discs())
        self.closest = min(self.closest, gap)
        if gap >= vehicle.CONTACT:
            self._touching = False
            return
        moving = abs(motion.v) + abs(motion.w) * vehicle.CIRCUMSCRIBED_RADIUS
        if moving > _TOUCHING:
            post = clearance(motion.x, motion.y, motion.yaw, self.posts) < vehicle.CONTACT
            what = "a post" if post else "a person"
            self.collision = self.collision or f"ran into {what} at {moving:.2f} m/s"
        elif not self._touching:
            self.bumps += 1
        self._touching = True

    # What is seen.

    def scan(self) -> NDArray[np.float32]:
        """Return ranges all around from base_link's origin, from behind counter-clockwise, m."""
        motion, discs = self.motion, self.discs()
        dx, dy = discs[:, 0] - motion.x, discs[:, 1] - motion.y
        cos, sin = math.cos(motion.yaw), math.sin(motion.yaw)
        ahead, aside = dx * cos + dy * sin, dy * cos - dx * sin
        near = np.hypot(dx, dy) < RANGE
        ahead, aside, radius = ahead[near, None], aside[near, None], discs[near, 2, None]
        along = ahead * _BEAM_X + aside * _BEAM_Y
        off = aside * _BEAM_X - ahead * _BEAM_Y
        half = radius**2 - off**2
        hit = (half > 0) & (along > 0)
        ranges = np.where(hit, along - np.sqrt(np.maximum(half, 0.0)), np.inf).min(axis=0)
        ranges = np.maximum(ranges + _SCAN_NOISE * self._noise.standard_normal(BEAMS), 0.02)
        return np.where(ranges < RANGE, ranges, np.inf).astype(np.float32)

    def seen(self, far: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return what is in sight from the robot, in its frame, and which of that are people.

        Args:
            far: Range, m.

        Returns:
            Discs: x, y, radius, (n, 3), m; and (n,) whether each is a person.
        """
        motion, discs = self.motion, self.discs()
        dx, dy = discs[:, 0] - motion.x, discs[:, 1] - motion.y
        away = np.hypot(dx, dy)
        cos, sin = dx / away, dy / away
        along = np.outer(cos, dx) + np.outer(sin, dy)
        off = np.abs(np.outer(cos, dy) - np.outer(sin, dx))
        before = (along > 0) & (along < away[:, None] - 0.3) & (off < discs[:, 2])
        np.fill_diagonal(before, val=False)
        visible = (away < far) & ~before.any(axis=1)
        person = np.arange(len(discs)) >= len(self.posts)
        c, s = math.cos(motion.yaw), math.sin(motion.yaw)
        local = np.column_stack((dx * c + dy * s, dy * c - dx * s, discs[:, 2]))
        return local[visible], person[visible]

    def odometry(self) -> tuple[float, float, float]:
        """Return where the wheels believe the robot to be: x, y, yaw, m and rad."""
        x, y, yaw = self.shift
        motion = self.motion
        return motion.x + x, motion.y + y, motion.yaw + yaw


def _walls() -> list[tuple[float, float, float]]:
    xs = np.arange(-2.0, LENGTH + _WALL_STEP, _WALL_STEP).tolist()
    ys = np.arange(-HALF_WIDTH, HALF_WIDTH + 0.1, _WALL_STEP).tolist()
    side = HALF_WIDTH + _WALL_RADIUS
    walls = [(x, y, _WALL_RADIUS) for x in xs for y in (-side, side)]
    return walls + [(x, y, _WALL_RADIUS) for y in ys for x in (-2.0, LENGTH)]


def _posts(random: np.random.Generator) -> list[tuple[float, float, float]]:
    posts: list[tuple[float, float, float]] = []
    for _ in range(40):
        x, y = random.uniform(1.5, GOAL[0] - 1.5), random.uniform(-HALF_WIDTH, HALF_WIDTH)
        radius = random.uniform(0.08, 0.3)
        if all(math.hypot(x - a, y - b) > radius + r + _ROOM for a, b, r in posts):
            posts.append((x, y, radius))
    return posts[:6]


def _walker(random: np.random.Generator, number: int) -> Walker:
    if number < 2:  # crosses
        x, other = random.uniform(1.8, 5.5, 2)
        side = HALF_WIDTH - 0.4
        ends = ((float(x), side), (float(other), -side))
    else:  # comes along
        y, other = random.uniform(-1.5, 1.5, 2)
        ends = ((-1.2, float(y)), (LENGTH - 0.8, float(other)))
    share = random.uniform()
    (x0, y0), (x1, y1) = ends
    x, y = x1 + share * (x0 - x1), y1 + share * (y0 - y1)
    if math.hypot(x, y) < 1.5:
        x, y = x1, y1
    return Walker(x, y, ends, float(random.uniform(0.6, 1.3)), float(random.uniform(0.5, 0.9)))
