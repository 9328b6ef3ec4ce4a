"""Random walk: what stands, or shuffles about without a course."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_robot.fusion.kalman import Array

_PLANE = np.eye(2)


@dataclass(frozen=True)
class RandomWalk:
    """Position diffuses; there is no velocity.

    Attributes:
        drift: Standard deviation of each coordinate after a second, m/√s.
        reported_speed: Standard deviation of each component of the velocity, zero, that is
            reported of it, m/s.
    """

    drift: float
    reported_speed: float

    states = ("x", "y")

    def predict(self, mean: Array, covariance: Array, dt: float) -> tuple[Array, Array]:
        """As `SingleModel.predict`."""
        return mean, covariance + self.drift**2 * dt * _PLANE
