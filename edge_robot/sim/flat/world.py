"""A world of cylinders with a start and a goal, in JSON as the data set BARN is passed on.

A file holds `world` (its number), `start` (x, y, yaw), `goal` (x, y), `goal_radius`, `timeout`,
`cylinders` (x, y, radius) and `path` (x, y: a way through, without start and goal); m, rad, s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError

GOAL_RADIUS = 1.0
TIMEOUT = 100.0
_LARGEST_FILE = 16 << 20
_MOST_CYLINDERS = 20_000
_FARTHEST = 1e4
_LARGEST_RADIUS = 100.0


@dataclass(frozen=True)
class World:
    """One task.

    Attributes:
        number: Of the world in its set.
        cylinders: x, y, radius, (n, 3), m.
        start: x, y, yaw of base_link, m and rad.
        goal: x, y, m.
        path: A way from start to goal that the challenge measures times by, (m, 2), m.
        goal_radius: Distance from the goal that counts as there, m.
        timeout: Longest drive, s.
    """

    number: int
    cylinders: NDArray[np.float64]
    start: tuple[float, float, float]
    goal: tuple[float, float]
    path: NDArray[np.float64]
    goal_radius: float = GOAL_RADIUS
    timeout: float = TIMEOUT

    @property
    def path_length(self) -> float:
        """Length of the reference path, from the start and to the goal, m."""
        points = np.vstack((self.start[:2], self.path, self.goal))
        return float(np.hypot(*np.diff(points, axis=0).T).sum())

    @property
    def goal_from_start(self) -> tuple[float, float]:
        """The goal in the frame of the robot at the start: all it is told, m."""
        x, y, yaw = self.start
        dx, dy = self.goal[0] - x, self.goal[1] - y
        cos, sin = np.cos(yaw), np.sin(yaw)
        return float(cos * dx + sin * dy), float(cos * dy - sin * dx)

    def save(self, file: Path) -> None:
        """Write the world as JSON."""
        values = {
            "world": self.number,
            "start": [float(x) for x in self.start],
            "goal": [float(x) for x in self.goal],
            "goal_radius": self.goal_radius,
            "timeout": self.timeout,
            "cylinders": np.round(self.cylinders, 6).tolist(),
            "path": np.round(self.path, 6).tolist(),
        }
        file.write_text(json.dumps(values))


def read_bounded(file: Path) -> str:
    """Return a file's text.

    Raises:
        UserError: If it cannot be read, is no UTF-8, or is larger than any world.
    """
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UserError(f"{file} is larger than {_LARGEST_FILE >> 20} MiB: no world")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the world {file}: {error}") from error


def read_json(file: Path) -> World:
    """Read a world from JSON.

    Raises:
        UserError: If the file holds no such world.
    """
    try:
        # json's errors are ValueErrors; RecursionError comes of brackets without end.
        values = json.loads(read_bounded(file))
        return checked(
            file,
            number=values["world"],
            cylinders=values["cylinders"],
            start=values["start"],
            goal=values["goal"],
            path=values["path"],
            goal_radius=values.get("goal_radius", GOAL_RADIUS),
            timeout=values.get("timeout", TIMEOUT),
        )
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{file} is no world in JSON: {error}") from error
    except KeyError as error:
        raise UserError(f"{file} is no world in JSON: {error} is missing") from error


def checked(
    file: Path,
    *,
    number: Any,
    cylinders: Iterable[Any],
    start: Any,
    goal: Any,
    path: Iterable[Any],
    goal_radius: float = GOAL_RADIUS,
    timeout: float = TIMEOUT,
) -> World:
    """Return a world of what a file holds.

    Raises:
        UserError: If something is not what a world has.
        ValueError, TypeError: If something is no number at all.
    """
    discs = np.array(cylinders, np.float64).reshape(-1, 3)
    places = [
        np.array(points, np.float64).reshape(-1, width)
        for points, width in ((start, 3), (goal, 2), (path, 2))
    ]
    for what, values in zip(("cylinders", "start", "goal", "path"), (discs, *places), strict=True):
        if not np.all(np.abs(values) < _FARTHEST):
            raise UserError(f"{file}: {what} must be numbers below {_FARTHEST:g}")
    if not 0 < len(discs) <= _MOST_CYLINDERS:
        raise UserError(f"{file}: {len(discs)} cylinders, 1 to {_MOST_CYLINDERS} can be")
    if not np.all((discs[:, 2] > 0) & (discs[:, 2] < _LARGEST_RADIUS)):
        raise UserError(f"{file}: radii must be between 0 and {_LARGEST_RADIUS:g} m")
    if len(places[0]) != 1 or len(places[1]) != 1:
        raise UserError(f"{file}: one start (x, y, yaw) and one goal (x, y) are needed")
    if not (0 < float(goal_radius) < _FARTHEST and 0 < float(timeout) < _FARTHEST):
        raise UserError(f"{file}: goal_radius and timeout must be positive")
    x, y, yaw = places[0][0].tolist()
    goal_x, goal_y = places[1][0].tolist()
    return World(
        int(number),
        discs,
        (x, y, yaw),
        (goal_x, goal_y),
        places[2],
        float(goal_radius),
        float(timeout),
    )
