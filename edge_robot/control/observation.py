"""What one sensor of the collision monitor last saw, and whether that may still be believed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from edge_robot.control.collision_monitor import Sight
from edge_robot.control.commands import CLOCK_TOLERANCE
from edge_robot.errors import UserError
from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class SourceSettings(Settings):
    """One sensor as a user gives it."""

    type: str = setting(
        "scan", "scan (LaserScan) or pointcloud (PointCloud2)", one_of=("scan", "pointcloud")
    )
    topic: str = setting("scan", "where it publishes")
    source_timeout: float = setting(
        0.15,
        "silence above which the robot is blind, and age above which nothing is believed, s",
        ge=0.001,
        le=60.0,
    )
    required: bool = setting(
        True, "blind: stop; false: go no faster than blind_speed, once it has been heard"
    )
    min_height: float = setting(
        0.05, "pointcloud: lowest point above the floor that counts, m", ge=-100.0, le=100.0
    )
    max_height: float = setting(
        0.6, "pointcloud: highest point that counts, m", ge=-100.0, le=100.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.min_height < self.max_height:
            raise UserError(f"min_height is {self.min_height:g}; give less than max_height")


DEFAULT_SOURCES = {
    "scan": SourceSettings(),
    "lidar": SourceSettings(
        type="pointcloud", topic="lidar/points", source_timeout=0.18, required=False
    ),
}
"""Of a robot nobody has said more of."""


class Observation:
    """The newest measurement of a sensor.

    Args:
        name: Of the sensor.
        settings: Its settings.

    Attributes:
        name: As given.
        settings: As given.
        refused: Measurements that were not believed, by reason.
    """

    def __init__(self, name: str, settings: SourceSettings) -> None:
        self.name = name
        self.settings = settings
        self.refused: Counter[str] = Counter()
        self._points: NDArray[np.float64] = np.empty((0, 2))
        self._stamp: int | None = None
        self._age = 0.0  # on arrival
        self._heard = -inf

    def reason_against(self, stamp: int, now: int) -> str:
        """Return why a measurement may not be believed, and count it; empty if it may.

        Args:
            stamp: When it was measured, ns.
            now: The time, ns on the same clock.
        """
        age = (now - stamp) * 1e-9
        if stamp == self._stamp:
            # A driver that repeats its last measurement is as blind as a silent one.
            reason = "the same stamp again"
        elif age > self.settings.source_timeout:
            reason = "too old on arrival"
        elif age < -CLOCK_TOLERANCE:
            reason = "of the future"
        else:
            return ""
        self.refused[reason] += 1
        return reason

    def take(self, points: NDArray[np.float64], stamp: int, now: int, steady: float) -> None:
        """Take a measurement that may be believed.

        Args:
            points: In base_link, (n, 2), m.
            stamp: When it was measured, ns.
            now: The time, ns on the same clock.
            steady: The time, s on a steady clock.
        """
        self._points, self._stamp = points, stamp
        self._age, self._heard = max((now - stamp) * 1e-9, 0.0), steady

    @property
    def was_heard(self) -> bool:
        """Whether it ever saw anything that could be believed."""
        return self._stamp is not None

    def is_stale(self, steady: float) -> bool:
        """Return whether it has been silent for too long, at a time on the steady clock, s."""
        return steady - self._heard > self.settings.source_timeout

    def sight(self, steady: float) -> Sight:
        """Return what it sees, at a time on the steady clock, s."""
        return Sight(self.name, self._points, self._age + steady - self._heard)


def thinned(points: NDArray[np.float64], cell: float = 0.01) -> NDArray[np.float64]:
    """Return one point of each square cell, (m, 2), m: walls come once, not once per ring.

    What is left out is within a cell's diagonal of what is kept, far less than a zone's margin.

    Args:
        points: (n, 2), m.
        cell: Side of a cell, m.
    """
    column, row = np.floor(points.T / cell).astype(np.int64)
    # Unique for all that a sensor reaches: ten kilometres.
    _, kept = np.unique(column * 2_000_003 + row, return_index=True)
    return points[kept]
