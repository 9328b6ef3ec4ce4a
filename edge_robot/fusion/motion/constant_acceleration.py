"""Constant acceleration: what speeds up or brakes, disturbed by white noise of jerk."""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.fusion import kalman
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.motion.single import planar_integrators


@dataclass(frozen=True)
class ConstantAcceleration:
    """The Wiener-process acceleration model.

    Attributes:
        jerk_noise: Power spectral density of each component, m²/s⁵.
    """

    jerk_noise: float

    states = ("x", "y", "vx", "vy", "ax", "ay")

    def predict(self, mean: Array, covariance: Array, dt: float) -> tuple[Array, Array]:
        """As `SingleModel.predict`."""
        transition, noise = planar_integrators(3, dt)
        return kalman.predict(mean, covariance, transition, self.jerk_noise * noise)
