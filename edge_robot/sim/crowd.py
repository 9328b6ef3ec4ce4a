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
            self.position[i], direction = route.at(self._along[i])
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
        for i, route in enumerate(self._routes):
            _, tangent = route.at(self._along[i])
            way = self._sense[i] * tangent
            error = _wrap(math.atan2(way[1], way[0]) - self.heading[i])
            limit = _TURN_RATE * dt
            self.heading[i] = _wrap(self.heading[i] + min(max(error, -limit), limit))
            by_robot = robot is not None and _in_way(
                self.position[i], way, np.array(robot), RADIUS + ROBOT_RADIUS, HALT_GAP
            )
            by_person = self._person_in_way(i, way)
            speed = 0.0
            if by_robot or by_person:
                self._waited[i] += dt
                if self._waited[i] > (_ROBOT_PATIENCE if by_robot else self._patience[i]):
                    self._turn_round(i)
            else:
                self._waited[i] = max(0.0, self._waited[i] - dt)
                speed = self._speed[i] * max(math.cos(error), 0.0)
            before = self.position[i].copy()
            self._advance(i, speed * dt)
            self.velocity[i] = (self.position[i] - before) / dt
        pace = np.hypot(self.velocity[:, 0], self.velocity[:, 1])
        self.stride += (np.minimum(pace / _BRISK, 1.0) - self.stride) * min(1.0, 6.0 * dt)
        self.phase = (self.phase + 2 * math.pi * pace / _DOUBLE_STEP * dt) % (2 * math.pi)

    def _advance(self, i: int, distance: float) -> None:
        along = self._along[i] + self._sense[i] * distance
        if not 0.0 <= along <= self._routes[i].length:
            self._turn_round(i)
            along = min(max(along, 0.0), self._routes[i].length)
        self._along[i] = along
        self.position[i], _ = self._routes[i].at(along)

    def _turn_round(self, i: int) -> None:
        self._sense[i] = -self._sense[i]
        self._waited[i] = 0.0

    def _person_in_way(self, i: int, way: Array) -> bool:
        for j, other in enumerate(self.position):
            if j != i and _in_way(self.position[i], way, other, 2 * RADIUS, _PERSON_GAP):
                return True
        return False


class _Route:
    """A polyline addressed by the distance along it."""

    def __init__(self, points: Array) -> None:
        steps = np.diff(points, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        self._points = points
        self._directions = steps / lengths[:, None]
        self._along = np.concatenate([[0.0], np.cumsum(lengths)])
        self.length = float(self._along[-1])

    def at(self, distance: float) -> tuple[Array, Array]:
        """Return position and direction, each of shape (2,)."""
        leg = int(np.searchsorted(self._along[1:-1], distance, side="right"))
        direction = self._directions[leg]
        return self._points[leg] + (distance - self._along[leg]) * direction, direction


def _in_way(position: Array, way: Array, other: Array, radii: float, gap: float) -> bool:
    """Tell whether walking on along `way` would soon run into a disc around `other`."""
    dx, dy = other[0] - position[0], other[1] - position[1]
    ahead = dx * way[0] + dy * way[1]
    aside = abs(dy * way[0] - dx * way[1])
    return bool(ahead > 0 and aside < radii + _SIDE_ROOM and math.hypot(dx, dy) < radii + gap)


def _wrap(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi
