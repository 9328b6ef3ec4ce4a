"""Tells what moved from what stood still, by looking at the same space half a second before.

A point where an earlier ray passed through was not there then: something came. A point on a
surface that was measured then: it stood still. A point behind such a surface, or where the
earlier sweep has no returns, tells nothing. And where a box's points were then and rays pass
through now, something left.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.lidar.points import Sweep
from edge_robot.settings import Settings, setting

_HALF_HEIGHT = np.pi / 4  # rad; steeper rays are left out
_LEAST = 3  # points that tell something, fewer say nothing
_MOST = 10  # points of a thing come and stay together: more say no more than these
_KEPT = 48  # points of each box that are looked at
_CAME_MOVING, _CAME_STANDING = 0.5, 0.05  # share of points in free space, of what moved or stood
_LEFT = 0.4  # log likelihood ratio of a point that was left behind; weak, for whose was it?
_NEAR = 1.0  # m; from a box to what it may have left behind
_PRIOR = np.log(0.2 / 0.8)  # most things stand
_SURE = 0.98
_AROUND = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)


@dataclass(frozen=True)
class MovingConfig(Settings):
    """How two sweeps are compared."""

    baseline: float = setting(
        0.5,
        "age of the sweep with which boxes are compared to see what moved, s",
        ge=0.01,
        le=60.0,
        live=True,
    )
    same_surface: float = setting(
        0.15,
        "two ranges in one direction that differ by less are of the same surface, m",
        ge=0.0,
        le=100.0,
        live=True,
    )
    same_surface_growth: float = setting(
        0.01,
        "growth of that with range, for the heading's error, m per m",
        ge=0.0,
        le=10.0,
        live=True,
    )


@dataclass(frozen=True)
class _Past:
    """A sweep, and what is needed to look at it from elsewhere."""

    stamp: float
    fixed_from_sensor: NDArray[np.float64]
    image: NDArray[np.float32]
    members: NDArray[np.float32]


class MovingObjects:
    """Remembers recent sweeps and gives every box of a new one a probability that it moves.

    Args:
        azimuth_step: Angle between neighbouring returns, rad.
        elevation_step: Angle between neighbouring beams, rad.
        config: How sweeps are compared.

    Attributes:
        config: The same; may be replaced.
    """

    def __init__(self, azimuth_step: float, elevation_step: float, config: MovingConfig) -> None:
        self.config = config
        self._column = 2.0 * azimuth_step
        self._row = elevation_step
        self._columns = int(np.ceil(2.0 * np.pi / self._column))
        self._rows = int(np.ceil(2.0 * _HALF_HEIGHT / self._row))
        self._past: deque[_Past] = deque()

    def judge(
        self,
        stamp: float,
        fixed_from_sensor: NDArray[np.float64] | None,
        sweep: NDArray[np.float32] | Sweep,
        members: NDArray[np.float32],
        counts: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """Return each box's probability to be of a thing that moves; NaN where nothing is known.

        Slower than about `same_surface` per `baseline` looks like standing. Without a pose, or
        without a sweep of about `baseline` before, nothing is known.

        Args:
            stamp: Capture time, s.
            fixed_from_sensor: (4, 4) pose of the sensor at that time in a frame that does not
                move with it; None if not known: the sweep is not remembered either.
            sweep: (N, 3+) every point of the sweep, sensor frame, m.
            members: (K, 3) the points of the boxes, ordered by box, sensor frame, m.
            counts: (M,) points of each box; they sum to K.
        """
        unknown = np.full(len(counts), np.nan)
        if fixed_from_sensor is None:
            return unknown
        members, counts = _thin(members, counts)
        now = _Past(stamp, fixed_from_sensor, self._image(Sweep.of(sweep)), members)
        then = self._before(stamp)
        self._past.append(now)
        if then is None or not len(counts):
            return unknown

        box = np.repeat(np.arange(len(counts)), counts)
        came, same = self._compare(_seen_from(members, now, then), then)
        came_count = np.bincount(box[came], minlength=len(counts))
        telling = came_count + np.bincount(box[same], minlength=len(counts))
        left, _ = self._compare(_seen_from(then.members, then, now), now)
        left_count = _owners(_seen_from(then.members, then, now)[left], members, counts)

        share = came_count / np.maximum(telling, 1)
        evidence = np.minimum(telling, _MOST) * (
            share * np.log(_CAME_MOVING / _CAME_STANDING)
            + (1 - share) * np.log((1 - _CAME_MOVING) / (1 - _CAME_STANDING))
        )
        evidence += _LEFT * np.where(left_count >= _LEAST, np.minimum(left_count, _MOST), 0)
        probability = 1.0 / (1.0 + np.exp(-(_PRIOR + evidence)))
        known = (telling >= _LEAST) | (left_count >= _LEAST)
        return np.where(known, np.clip(probability, 1.0 - _SURE, _SURE), np.nan)

    def _before(self, stamp: float) -> _Past | None:
        """Return the sweep of about `baseline` before; forget what is older, or of another time."""
        while self._past and not 0.0 < stamp - self._past[0].stamp <= 2.0 * self.config.baseline:
            self._past.popleft()
        ages = [stamp - past.stamp for past in self._past]
        good = [age for age in ages if 0.5 * self.config.baseline <= age]
        if not good:
            return None
        return self._past[ages.index(min(good, key=lambda age: abs(age - self.config.baseline)))]

    def _image(self, sweep: Sweep) -> NDArray[np.float32]:
        """Return the nearest range in every direction, m; infinite where there is no return."""
        row, column, distance, inside = self._directions(sweep)
        image = np.full((self._rows, self._columns), np.inf, np.float32)
        # Flat: with two indices `at` takes ten times as long.
        at = row * self._columns + column
        np.minimum.at(image.reshape(-1), at[inside], distance[inside])
        return image

    def _directions(
        self, points: Sweep
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.bool_]]:
        up = points.elevation
        row = ((up + np.float32(_HALF_HEIGHT)) / np.float32(self._row)).astype(np.intp)
        around = points.azimuth + np.float32(np.pi)
        column = (around / np.float32(self._column)).astype(np.intp) % self._columns
        inside = (np.abs(up) < _HALF_HEIGHT) & (row < self._rows)
        return row, column, np.hypot(points.distance, points.xyz[:, 2]), inside

    def _compare(
        self, xyz: NDArray[np.float32], past: _Past
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which points are where a sweep's rays passed through, and which on its surfaces.

        Args:
            xyz: (K, 3) in the sensor frame of that sweep.
            past: The sweep.
        """
        row, column, distance, inside = self._directions(Sweep.of(xyz))
        rows = np.clip(row[:, None] + _AROUND[:, 0], 0, self._rows - 1)
        ranges = past.image[rows, (column[:, None] + _AROUND[:, 1]) % self._columns]
        config = self.config
        margin = (config.same_surface + config.same_surface_growth * distance)[:, None]
        beyond = ranges - distance[:, None]
        same = inside & (np.abs(beyond) <= margin).any(axis=1)
        # Nothing returned from a direction: the sky, or black cloth.
        returned = np.isfinite(ranges).sum(axis=1) >= _LEAST
        through = inside & returned & (beyond > margin).all(axis=1)
        return through, same


def _thin(
    members: NDArray[np.float32], counts: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return at most _KEPT evenly spaced points of each box."""
    kept = np.minimum(counts, _KEPT)
    box = np.repeat(np.arange(len(counts)), kept)
    rank = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
    starts = np.cumsum(counts) - counts
    return members[starts[box] + rank * counts[box] // kept[box]], kept


def _seen_from(xyz: NDArray[np.float32], of: _Past, by: _Past) -> NDArray[np.float32]:
    """Return points of one sweep in the sensor frame of another."""
    move = (np.linalg.inv(by.fixed_from_sensor) @ of.fixed_from_sensor).astype(np.float32)
    return xyz @ move[:3, :3].T + move[:3, 3]


def _owners(
    left: NDArray[np.float32], members: NDArray[np.float32], counts: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return how many of the points that were left are nearest to each box, and near it."""
    if not len(left):
        return np.zeros(len(counts), np.intp)
    starts = np.cumsum(counts) - counts
    low = np.minimum.reduceat(members[:, :2], starts)
    high = np.maximum.reduceat(members[:, :2], starts)
    outside = np.maximum(low - left[:, None, :2], left[:, None, :2] - high)
    distance = np.linalg.norm(np.maximum(outside, 0.0), axis=-1)
    nearest = distance.argmin(axis=1)
    near = distance[np.arange(len(left)), nearest] < _NEAR
    return np.bincount(nearest[near], minlength=len(counts))
