"""Constant velocity: what goes straight on, disturbed by white noise of acceleration."""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.fusion import kalman
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.motion.single import planar_integrators


@dataclass(frozen=True)
class ConstantVelocity:
    """The white-noise acceleration model.

    Attributes:
        acceleration_noise: Power spectral density of each component, m²/s³.
    """

    acceleration_noise: float

    states = ("x", "y", "vx", "vy")

    def predict(self, mean: Array, covariance: Array, dt: float) -> tuple[Array, Array]:
        """As `SingleModel.predict`."""
        transition, noise = planar_integrators(2, dt)
        return kalman.predict(mean, covariance, transition, self.acceleration_noise * noise)
