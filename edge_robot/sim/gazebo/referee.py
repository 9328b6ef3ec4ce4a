"""Who touches what in Gazebo, told from where everything is.

Geometry rather than contact sensors: it names what stands as the scenario does, and needs no
messages of Gazebo's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim import crowd
from edge_robot.sim.layout import Footprint, Pose2
from edge_robot.sim.robot import CHASSIS_LENGTH, CHASSIS_WIDTH, TRACK, WHEEL_RADIUS, WHEEL_WIDTH
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.touches import Touches

Array = NDArray[np.float64]

TOUCH = 0.005
"""Free space below which two things count as touching, m: contacts keep them apart by less."""

_RECTANGLES = ((CHASSIS_LENGTH, CHASSIS_WIDTH), (2 * WHEEL_RADIUS, TRACK + WHEEL_WIDTH))
"""Length and width of the two rectangles that the robot covers, m."""


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
        bodies = [
            Footprint("robot", "robot", robot.x, robot.y, robot.yaw, length, width)
            for length, width in _RECTANGLES
        ]
        # Two convex shapes that touch without being one in the other do so at a corner of one.
        corners = np.concatenate([body.polygon() for body in bodies])
        gaps = self._outside(corners).min(axis=1)
        for body in bodies:
            np.minimum(gaps, body.distance(self._corners).min(axis=1), out=gaps)
            self._note(self._people, body.distance(people) - crowd.RADIUS, time)
        self._note(self._things, gaps, time)

    def _note(self, names: list[str], gaps: Array, time: float) -> None:
        for index in np.flatnonzero(gaps < TOUCH).tolist():
            self._touches.note(names[index], time)

    def _outside(self, points: Array) -> Array:
        """Return how far points, shape (m, 2), are outside of each thing, shape (things, m), m.

        As `Footprint.distance`, for all things at once.
        """
        delta = points - self._centres[:, None]
        cos, sin = np.cos(self._yaws)[:, None], np.sin(self._yaws)[:, None]
        along = np.abs(delta[..., 0] * cos + delta[..., 1] * sin) - self._halves[:, :1]
        across = np.abs(delta[..., 1] * cos - delta[..., 0] * sin) - self._halves[:, 1:]
        distance: Array = np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))
        return distance
