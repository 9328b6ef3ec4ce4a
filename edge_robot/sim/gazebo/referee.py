"""Who touches what in Gazebo, told from where everything is.

Geometry rather than contact sensors: it names what stands as the scenario does, and needs no
messages of Gazebo's own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim import crowd
from edge_robot.sim.layout import Pose2
from edge_robot.sim.robot import CHASSIS_LENGTH, CHASSIS_WIDTH, TRACK, WHEEL_RADIUS, WHEEL_WIDTH
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.touches import Touches

Array = NDArray[np.float64]

TOUCH = 0.005
"""Free space below which two things count as touching, m: contacts keep them apart by less."""

_HALVES = np.array(
    [
        [CHASSIS_LENGTH / 2, CHASSIS_WIDTH / 2],
        [WHEEL_RADIUS, (TRACK + WHEEL_WIDTH) / 2],
    ]
)
"""Half length and half width of the two rectangles that the robot covers, shape (2, 2), m."""

_SIGNS = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])


class Referee:
    """Counts how often the robot begins to touch anything but the floor.

    Args:
        scenario: What stands and who walks.
    """

    def __init__(self, scenario: Scenario) -> None:
        things = scenario.footprints
        self._things = [thing.name for thing in things]
        self._people = [person.name for person in scenario.people]
        self._centres = np.array([(thing.x, thing.y) for thing in things])
        self._yaws = np.array([thing.yaw for thing in things])
        self._halves = np.array([(thing.length / 2, thing.width / 2) for thing in things])
        self._corners = np.stack([thing.polygon() for thing in things])
        self._touches = Touches()

    @property
    def collided_with(self) -> list[str]:
        """What was touched, oldest first; one entry for each collision."""
        return self._touches.collided_with

    def watch(self, time: float, robot: Pose2, people: Array) -> None:
        """Look at a moment.

        Args:
            time: When, s.
            robot: Where the robot is, map frame.
            people: Where the scenario's people are, shape (n, 2), m; NaN where it is not known.
        """
        place = np.array([robot.x, robot.y])
        corners = (_SIGNS[None] * _HALVES[:, None]).reshape(-1, 2)
        out = _turned(corners, robot.yaw) + place
        # Two convex shapes that touch without being one in the other do so at a corner of one.
        gaps = _outside(out[None], self._centres, self._yaws, self._halves).min(axis=1)
        for half in _HALVES:
            into = _outside(
                self._corners.reshape(1, -1, 2), place[None], np.array([robot.yaw]), half[None]
            )
            np.minimum(gaps, into.reshape(len(gaps), 4).min(axis=1), out=gaps)
            if len(people):
                away = _outside(people[None], place[None], np.array([robot.yaw]), half[None])[0]
                self._note(self._people, away - crowd.RADIUS, time)
        self._note(self._things, gaps, time)

    def _note(self, names: list[str], gaps: Array, time: float) -> None:
        for index in np.flatnonzero(gaps < TOUCH).tolist():
            self._touches.note(names[index], time)


def _turned(points: Array, yaw: float) -> Array:
    cos, sin = math.cos(yaw), math.sin(yaw)
    return points @ np.array([[cos, sin], [-sin, cos]])


def _outside(points: Array, centres: Array, yaws: Array, halves: Array) -> Array:
    """Return how far points are outside of rectangles, 0 within; shape (rectangles, points).

    Args:
        points: Shape (1, points, 2).
        centres: Of the rectangles, shape (n, 2).
        yaws: Directions of their lengths, shape (n,), rad.
        halves: Half lengths and widths, shape (n, 2).
    """
    delta = points - centres[:, None]
    cos, sin = np.cos(yaws)[:, None], np.sin(yaws)[:, None]
    along = np.abs(delta[..., 0] * cos + delta[..., 1] * sin) - halves[:, :1]
    across = np.abs(delta[..., 1] * cos - delta[..., 0] * sin) - halves[:, 1:]
    distance: Array = np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))
    return distance
