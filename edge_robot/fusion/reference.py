"""Where one lidar alone says that the tracked objects were: what other sensors are held against.

The tracks themselves will not do: every sensor has drawn them towards what it says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import BoxMeasurement, LidarMeasurement
from edge_robot.fusion.tracks import BirthKey

Sweep: TypeAlias = LidarMeasurement | BoxMeasurement

SPAN = 0.35
"""The motion of an object at an instant is fitted to the sweeps within this of it, s."""
_LEAST_SWEEPS = 4
_STILL = 0.3  # m/s; slower is taken for standing: the fit is no better than that
_UNSTEADY = 0.15  # m; what is this far from a straight line is not moving steadily


@dataclass(frozen=True)
class Motion:
    """K objects at one instant, as the lidar has them, in the fixed frame.

    Attributes:
        centers: (K, 3) m.
        velocities: (K, 3) m/s; the third is 0.
        sizes: (K, 3) m.
        yaws: (K,) rad.
        valid: (K,) whether the lidar saw them before and after, and moving steadily.
    """

    centers: Array
    velocities: Array
    sizes: Array
    yaws: Array
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class _Told:
    """A sweep, with the key of each box's track; worked out when it is first asked for."""

    sweep: Sweep
    keys: NDArray[np.object_]

    @cached_property
    def rows(self) -> dict[BirthKey, int]:
        return {key: row for row, key in enumerate(self.keys) if key is not None}

    @cached_property
    def boxes(self) -> Array:
        """(M, 7) x y z, size, yaw; fixed frame."""
        pose = self.sweep.fixed_from_sensor
        centers = self.sweep.centers @ pose[:3, :3].T + pose[:3, 3]
        yaws = self.sweep.yaws + np.arctan2(pose[1, 0], pose[0, 0])
        return np.column_stack([centers, self.sweep.sizes, yaws])


class Reference:
    """The last sweeps of one lidar, with the track of each box."""

    def __init__(self) -> None:
        self._sweeps: deque[_Told] = deque()

    def add(self, sweep: Sweep, keys: NDArray[np.object_]) -> None:
        """Take a sweep later than those before, and the key of each box's track (None: none)."""
        self._sweeps.append(_Told(sweep, keys))
        while self._sweeps[0].sweep.stamp < sweep.stamp - 3 * SPAN * 1e9:
            self._sweeps.popleft()

    def motion(self, keys: Sequence[BirthKey | None], stamp: int) -> Motion:
        """Return the tracks at an instant: a straight line through the lidar's boxes around it.

        Args:
            keys: K tracks.
            stamp: ns; the sweeps up to `SPAN` after it must have been added.
        """
        near = [told for told in self._sweeps if abs(told.sweep.stamp - stamp) <= SPAN * 1e9]
        boxes = np.full((len(keys), len(near), 7), np.nan)
        for column, told in enumerate(near):
            for row, key in enumerate(keys):
                if key in told.rows:
                    boxes[row, column] = told.boxes[told.rows[key]]
        seen = ~np.isnan(boxes[..., 0])
        time = np.array([told.sweep.stamp - stamp for told in near]) * 1e-9
        weight = seen / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        places = np.where(seen[..., None], boxes[..., :3], 0.0)
        mean_time = weight @ time
        mean_place = np.einsum("ks,ksd->kd", weight, places)
        off = np.where(seen, time - mean_time[:, None], 0.0)
        spread = np.maximum((off**2).sum(axis=1), 1e-9)
        velocities = np.einsum("ks,ksd->kd", off, places - mean_place[:, None]) / spread[:, None]
        velocities[:, 2] = 0.0
        velocities[np.hypot(velocities[:, 0], velocities[:, 1]) < _STILL] = 0.0
        line = mean_place[:, None] + off[..., None] * velocities[:, None]
        astray = np.hypot(*np.moveaxis(places - line, -1, 0)[:2])
        astray = np.sqrt(
            (np.where(seen, astray, 0.0) ** 2).sum(axis=1) / np.maximum(seen.sum(1), 1)
        )
        around = (seen & (time <= 0.0)).any(axis=1) & (seen & (time >= 0.0)).any(axis=1)
        valid = around & (seen.sum(axis=1) >= _LEAST_SWEEPS) & (astray < _UNSTEADY)
        distance = np.where(seen, np.abs(time), np.inf)
        nearest = distance.argmin(axis=1) if near else np.zeros(len(keys), np.intp)
        shape = boxes[np.arange(len(keys)), nearest] if near else np.full((len(keys), 7), np.nan)
        return Motion(
            centers=mean_place - mean_time[:, None] * velocities,
            velocities=velocities,
            sizes=shape[:, 3:6],
            yaws=shape[:, 6],
            valid=valid,
        )
