"""How people walk.

Everyone follows their own route to its end and back, for ever. The rules:

- They halt for a person in their way, and when the robot is right in front of them: closer than
  0.6 m, and where their next steps would bring them. Apart from that they pay no attention to the
  robot: they neither give way nor step aside, and they walk on in front of it.
- Who has halted for longer than their patience (4 s for the robot) turns round and walks back.
- They turn at a finite rate and slow down meanwhile, so that nobody jumps.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.scenario import Scenario

Array = NDArray[np.float64]

RADIUS = 0.25
"""Radius of a person as others see it, m."""
ROBOT_RADIUS = 0.30
"""Radius of the robot as people see it, m."""
HALT_GAP = 0.6
"""Free space to the robot ahead below which a person halts, m."""

_PERSON_GAP = 0.5
_SIDE_ROOM = 0.05
_TURN_RATE = 3.0
_ROBOT_PATIENCE = 4.0
_DOUBLE_STEP = 1.45  # m per turn of the gait
_BRISK = 1.2  # m/s at which the stride is full


class Crowd:
    """All people of a scenario in motion.

    Args:
        scenario: Whose people.

    Attributes:
        position: Where they are, shape (n, 2), m, map frame.
        heading: Where they look, shape (n,), rad.
        velocity: Shape (n, 2), m/s.
        phase: Phase of the gait, shape (n,), rad.
        stride: Size of the steps, 0 standing to 1 walking briskly, shape (n,).
    """

    def __init__(self, scenario: Scenario) -> None:
        people = scenario.people
        count = len(people)
        self._routes = [_Route(np.array(person.route)) for person in people]
        self._speed = np.array([person.speed for person in people])
        self._along = np.array([person.start for person in people])
        self._sense = np.ones(count)
        self._waited = np.zeros(count)
        self._patience = 1.0 + 0.7 * (np.arange(count) % 5)
        self.position = np.zeros((count, 2))
        self.heading = np.zeros(count)
        for i, route in enumerate(self._routes):
            along = float(self._along[i])
            self.position[i], direction = route.at(along), route.direction(along)
            self.heading[i] = math.atan2(direction[1], direction[0])
        self.velocity = np.zeros((count, 2))
        self.phase = np.array([person.phase for person in people])
        self.stride = np.minimum(self._speed / _BRISK, 1.0)

    @property
    def place(self) -> Array:
        """x, y and heading of everyone, shape (n, 3)."""
        return np.column_stack([self.position, self.heading])

    def step(self, dt: float, robot: tuple[float, float] | None) -> None:
        """Walk on for `dt` seconds, the robot standing at `robot` (map frame; None: nowhere)."""
        if not self._routes:
            return
        along = self._along.tolist()
        ahead = [route.direction(at) for route, at in zip(self._routes, along, strict=True)]
        way = np.array(ahead) * self._sense[:, None]
        error = _wrap(np.arctan2(way[:, 1], way[:, 0]) - self.heading)
        self.heading = _wrap(self.heading + np.clip(error, -_TURN_RATE * dt, _TURN_RATE * dt))
        by_person = _in_way(self.position, way, self.position, 2 * RADIUS, _PERSON_GAP).any(axis=1)
        by_robot = np.zeros_like(by_person)
        if robot is not None:
            spot = np.array([robot])
            by_robot = _in_way(self.position, way, spot, RADIUS + ROBOT_RADIUS, HALT_GAP)[:, 0]
        halted = by_person | by_robot
        self._waited = np.where(halted, self._waited + dt, np.maximum(self._waited - dt, 0.0))
        patience = np.where(by_robot, _ROBOT_PATIENCE, self._patience)
        for i in np.flatnonzero(halted & (self._waited > patience)).tolist():
            self._turn_round(i)
        speed = np.where(halted, 0.0, self._speed * np.maximum(np.cos(error), 0.0))
        before = self.position.copy()
        for i in np.flatnonzero(speed).tolist():
            self._advance(i, speed[i] * dt)
        self.velocity = (self.position - before) / dt
        pace = np.hypot(self.velocity[:, 0], self.velocity[:, 1])
        self.stride += (np.minimum(pace / _BRISK, 1.0) - self.stride) * min(1.0, 6.0 * dt)
        self.phase = (self.phase + 2 * math.pi * pace / _DOUBLE_STEP * dt) % (2 * math.pi)

    def _advance(self, i: int, distance: float) -> None:
        along = float(self._along[i] + self._sense[i] * distance)
        if not 0.0 <= along <= self._routes[i].length:
            self._turn_round(i)
            along = min(max(along, 0.0), self._routes[i].length)
        self._along[i] = along
        self.position[i] = self._routes[i].at(along)

    def _turn_round(self, i: int) -> None:
        self._sense[i] = -self._sense[i]
        self._waited[i] = 0.0


class _Route:
    """A polyline addressed by the distance along it: plain numbers, asked for one at a time."""

    def __init__(self, points: Array) -> None:
        steps = np.diff(points, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        self._points = points.tolist()
        self._directions = (steps / lengths[:, None]).tolist()
        self._along = [0.0, *np.cumsum(lengths).tolist()]
        self.length: float = self._along[-1]

    def _leg(self, distance: float) -> int:
        return bisect_right(self._along, distance, 1, len(self._along) - 1) - 1

    def direction(self, distance: float) -> list[float]:
        """Return the direction there, a unit vector."""
        direction: list[float] = self._directions[self._leg(distance)]
        return direction

    def at(self, distance: float) -> tuple[float, float]:
        """Return the position there."""
        leg = self._leg(distance)
        (x, y), (dx, dy) = self._points[leg], self._directions[leg]
        on = distance - self._along[leg]
        return x + on * dx, y + on * dy


def _in_way(
    position: Array, way: Array, others: Array, radii: float, gap: float
) -> NDArray[np.bool_]:
    """Tell who, walking on, would soon run into which disc, shape (people, others).

    Args:
        position: Where people are, shape (n, 2).
        way: The directions they walk in, unit vectors, shape (n, 2).
        others: Centres of the discs, shape (m, 2).
        radii: Of a person and a disc together, m.
        gap: Free space below which a disc counts, m.
    """
    dx, dy = (others[:, axis] - position[:, axis : axis + 1] for axis in (0, 1))
    ahead = dx * way[:, :1] + dy * way[:, 1:]
    aside = np.abs(dy * way[:, :1] - dx * way[:, 1:])
    return (ahead > 0) & (aside < radii + _SIDE_ROOM) & (np.hypot(dx, dy) < radii + gap)


def _wrap(angle: Array) -> Array:
    return (angle + math.pi) % (2 * math.pi) - math.pi
