"""Moving obstacles: people who walk by the social force model, and things that mind nobody.

Social force model after Helbing and Molnár (Physical Review E 51, 4282, 1995), with their
parameters: everyone accelerates towards their own velocity, and is pushed away by others (more so
by those in front) and by what stands about. What they do about the robot is a separate weight:
people who walk on as if it were not there are the harder case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RADIUS = 0.25
"""Of a person, m."""
SPEED, SPEED_SIGMA = 1.34, 0.26
"""Of people who walk freely, m/s."""

_RELAXATION = 0.5  # s
_PUSH, _PUSH_RANGE = 2.1, 0.3  # m²/s², m
_WALL_PUSH, _WALL_RANGE = 10.0, 0.2  # m²/s², m
_STRIDE = 2.0  # s, how far ahead others' steps are minded
_SIGHT = np.cos(np.radians(100.0))  # half of 200°
_UNSEEN = 0.5  # weight of what is behind
_FASTEST = 1.3  # times the own speed
_ARRIVED = 0.5  # m
_WALL_REACH = 2.0  # m
_JITTER = 0.1  # m/s² per square root of a second: no two people meet exactly head-on


@dataclass(frozen=True)
class WalkersConfig:
    """How some moving obstacles behave.

    Attributes:
        routes: Each one's points to walk between to and fro, (n, k, 2), m.
        start: Share of the first leg they have walked at the beginning, (n,).
        speed: Each one's own, (n,), m/s.
        radius: (n,), m.
        sociable: Whether they keep away from each other and from what stands about.
        minds_robot: Weight of the robot among those they keep away from, 0 to 1.
    """

    routes: Array
    start: Array
    speed: Array
    radius: Array
    sociable: bool
    minds_robot: float


class Walkers:
    """Moving obstacles in motion.

    Args:
        config: How they behave.
        obstacles: x, y, radius of what stands about, (m, 3), m.
        seed: Of their whims.

    Attributes:
        position: (n, 2), m.
        velocity: (n, 2), m/s.
    """

    def __init__(self, config: WalkersConfig, obstacles: Array, seed: int) -> None:
        self.config = config
        self._obstacles = obstacles
        self._random = np.random.default_rng((seed, 0x3A1C))
        count = len(config.routes)
        self._next = np.ones(count, int)
        self._sense = np.ones(count, int)
        way = config.routes[:, 1] - config.routes[:, 0]
        self.position = config.routes[:, 0] + config.start[:, None] * way
        self.velocity = config.speed[:, None] * _unit(way)

    @property
    def discs(self) -> Array:
        """x, y, radius, (n, 3), m."""
        return np.column_stack((self.position, self.config.radius))

    def decide(self, dt: float, robot: tuple[float, float], robot_velocity: Array) -> None:
        """Choose velocities for the next `dt` seconds.

        Args:
            dt: s.
            robot: Where the robot is, m.
            robot_velocity: (2,), m/s.
        """
        config = self.config
        wanted = self._headings() * config.speed[:, None]
        push = (wanted - self.velocity) / _RELAXATION
        if config.sociable:
            push += self._from_others(robot, robot_velocity) + self._from_walls()
            push += _JITTER / np.sqrt(dt) * self._random.standard_normal(push.shape)
        self.velocity = self.velocity + dt * push
        pace = np.hypot(*self.velocity.T)
        most = _FASTEST * config.speed
        self.velocity *= np.minimum(1.0, most / np.maximum(pace, 1e-9))[:, None]

    def move(self, dt: float) -> None:
        """Walk on for `dt` seconds at the velocities chosen."""
        self.position = self.position + dt * self.velocity

    def _headings(self) -> Array:
        """Return the directions to walk in, (n, 2), turning round at the ends of the routes."""
        routes = self.config.routes
        everyone = np.arange(len(routes))
        way = routes[everyone, self._next] - self.position
        arrived = np.hypot(*way.T) < _ARRIVED
        ends = (self._next + self._sense < 0) | (self._next + self._sense >= routes.shape[1])
        self._sense = np.where(arrived & ends, -self._sense, self._sense)
        self._next = np.where(arrived, self._next + self._sense, self._next)
        return _unit(routes[everyone, self._next] - self.position)

    def _from_others(self, robot: tuple[float, float], robot_velocity: Array) -> Array:
        """Return accelerations away from each other and from the robot, (n, 2), m/s²."""
        place = np.vstack((self.position, robot))
        velocity = np.vstack((self.velocity, robot_velocity))
        apart = self.position[:, None] - place
        step = _STRIDE * velocity
        length = np.hypot(*step.T)
        now = np.hypot(apart[..., 0], apart[..., 1])
        later = apart - step
        then = np.hypot(later[..., 0], later[..., 1])
        # Equipotential lines are ellipses of semi-minor axis b around the other and their step.
        b = 0.5 * np.sqrt(np.maximum((now + then) ** 2 - length**2, 1e-6))
        now, then = np.maximum(now, 1e-6)[..., None], np.maximum(then, 1e-6)[..., None]
        gradient = (now + then) / (4 * b[..., None]) * (apart / now + later / then)
        push = _PUSH / _PUSH_RANGE * np.exp(-b / _PUSH_RANGE)[..., None] * gradient
        ahead = np.einsum("ni,nmi->nm", _unit(self.velocity), -apart / now) > _SIGHT
        weight = np.where(ahead, 1.0, _UNSEEN)
        weight[:, -1] *= self.config.minds_robot
        np.fill_diagonal(weight, 0.0)
        return np.einsum("nm,nmi->ni", weight, push)

    def _from_walls(self) -> Array:
        """Return accelerations away from the nearest obstacle of each, (n, 2), m/s²."""
        apart = self.position[:, None] - self._obstacles[:, :2]
        gap = np.hypot(apart[..., 0], apart[..., 1]) - self._obstacles[:, 2]
        nearest = gap.argmin(axis=1)
        everyone = np.arange(len(gap))
        away = _unit(apart[everyone, nearest])
        gap = np.maximum(gap[everyone, nearest] - self.config.radius, 0.0)
        push = _WALL_PUSH / _WALL_RANGE * np.exp(-gap / _WALL_RANGE)
        return np.where(gap < _WALL_REACH, push, 0.0)[:, None] * away


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.hypot(*vectors.T), 1e-9)[:, None]
