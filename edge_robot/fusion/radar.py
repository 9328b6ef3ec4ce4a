"""The radar as a measuring instrument: range, azimuth and range rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_robot.fusion.angles import wrapped
from edge_robot.fusion.kalman import Array, congruence

RANGE, AZIMUTH, RANGE_RATE = range(3)
_NEAREST = 1e-3  # m; nothing has a direction nearer than this


@dataclass(frozen=True)
class RadarView:
    """A radar at one instant; states are (..., 4) x, y, vx, vy of the fixed frame.

    Attributes:
        origin: (2,) m, fixed frame.
        heading: Of its x axis in the fixed frame, rad.
        velocity: (2,) its own, m/s, fixed frame.
    """

    origin: Array
    heading: float
    velocity: Array

    def expected(self, state: Array) -> Array:
        """Return range, azimuth and range rate of states, (..., 3); m, rad and m/s."""
        offset = state[..., :2] - self.origin
        distance = np.maximum(np.hypot(offset[..., 0], offset[..., 1]), _NEAREST)
        azimuth = np.arctan2(offset[..., 1], offset[..., 0]) - self.heading
        rate = (offset * (state[..., 2:4] - self.velocity)).sum(-1) / distance
        return np.stack([distance, wrapped(azimuth), rate], axis=-1)

    def derivative(self, state: Array) -> Array:
        """Return the derivative of `expected` by the states, (..., 3, 4)."""
        offset = state[..., :2] - self.origin
        distance = np.maximum(np.hypot(offset[..., 0], offset[..., 1]), _NEAREST)[..., None]
        along = offset / distance
        across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
        moving = state[..., 2:4] - self.velocity
        found = np.zeros((*state.shape[:-1], 3, 4))
        found[..., RANGE, :2] = found[..., RANGE_RATE, 2:] = along
        found[..., AZIMUTH, :2] = across / distance
        found[..., RANGE_RATE, :2] = (moving * across).sum(-1, keepdims=True) * across / distance
        return found

    def locate(self, measured: Array, noise: Array) -> tuple[Array, Array]:
        """Return where detections are in the fixed frame, (M, 2) m, and covariances (M, 2, 2).

        Args:
            measured: (M, 3).
            noise: (M, 3, 3).
        """
        distance, angle = measured[:, RANGE], measured[:, AZIMUTH] + self.heading
        along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        across = np.stack([-along[:, 1], along[:, 0]], axis=-1)
        by_polar = np.stack([along, distance[:, None] * across], axis=-1)
        return self.origin + distance[:, None] * along, congruence(by_polar, noise[:, :2, :2])


def difference(one: Array, other: Array) -> Array:
    """Return the difference of two measurements, (..., 3), the azimuth's within ±π."""
    found = one - other
    found[..., AZIMUTH] = wrapped(found[..., AZIMUTH])
    return found
