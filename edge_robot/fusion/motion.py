"""How tracked objects move: an interacting multiple model filter of two modes, still and moving.

Most of what a robot sees stands still. One constant-velocity filter would give every box and
shelf a small random speed; weighing "it stands" against "it moves" with each measurement gives
standing things none, and lets a person who starts to walk be seen walking within a few sweeps.

States are (x, y, vx, vy), m and m/s. Arrays are (N tracks, 2 modes, ...).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_robot.fusion import kalman
from edge_robot.fusion.kalman import Array
from edge_robot.settings import setting

STILL, MOVING = 0, 1
_TINY = 1e-9  # least probability of a mode: no mode dies for good


@dataclass(frozen=True)
class MotionModel:
    """The two modes and how objects change between them."""

    acceleration_noise: float = setting(
        0.4, "power spectral density of a moving object's acceleration, m²/s³"
    )
    start_speed: float = setting(
        1.0, "standard deviation of each velocity component of what starts to move, m/s"
    )
    still_drift: float = setting(0.01, "how a standing object's position may creep, m/√s")
    still_speed: float = setting(
        0.02, "standard deviation of a standing object's velocity as reported, m/s"
    )
    still_time: float = setting(15.0, "mean time an object stands before it moves, s")
    moving_time: float = setting(5.0, "mean time an object moves before it stands, s")
    still_share: float = setting(0.8, "probability that an object first seen stands")

    def predict(
        self, mean: Array, covariance: Array, modes: Array, dt: float
    ) -> tuple[Array, Array, Array]:
        """Mix the modes and predict each one `dt` seconds ahead."""
        switch = self._switch(dt)
        expected = modes @ switch
        # weights[n, i, j]: probability that the track was in mode i, given that it is in j now.
        weights = modes[:, :, None] * switch / expected[:, None, :]
        mixed = np.einsum("nij,nik->njk", weights, mean)
        offset = mean[:, :, None, :] - mixed[:, None, :, :]
        spread = covariance[:, :, None] + offset[..., :, None] * offset[..., None, :]
        mixed_covariance = np.einsum("nij,nijkl->njkl", weights, spread)
        transition, noise = self._matrices(dt)
        mean, covariance = kalman.predict(mixed, mixed_covariance, transition, noise)
        return mean, covariance, expected

    def update(
        self,
        mean: Array,
        covariance: Array,
        modes: Array,
        innovation: Array,
        observation: Array,
        noise: Array,
    ) -> tuple[Array, Array, Array]:
        """Update both modes with one measurement per track, and weigh them by its likelihood.

        Args:
            mean: (N, 2, 4).
            covariance: (N, 2, 4, 4).
            modes: (N, 2) probabilities.
            innovation: (N, 2, m), each mode's own.
            observation: (N, m, 4).
            noise: (N, m, m).
        """
        mean, covariance, log_likelihood = kalman.update(
            mean, covariance, innovation, observation[:, None], noise[:, None]
        )
        weight = modes * np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
        weight = np.maximum(weight / weight.sum(axis=1, keepdims=True), _TINY)
        return mean, covariance, weight / weight.sum(axis=1, keepdims=True)

    def combine(self, mean: Array, covariance: Array, modes: Array) -> tuple[Array, Array]:
        """Return mean (N, 4) and covariance (N, 4, 4) over both modes of each track."""
        # The still mode carries the velocity of a possible start; while still there is none.
        covariance = covariance.copy()
        covariance[:, STILL, 2:, :] = covariance[:, STILL, :, 2:] = 0.0
        covariance[:, STILL, [2, 3], [2, 3]] = self.still_speed**2
        mean = mean.copy()
        mean[:, STILL, 2:] = 0.0
        combined = np.einsum("nj,njk->nk", modes, mean)
        offset = mean - combined[:, None]
        spread = covariance + offset[..., :, None] * offset[..., None, :]
        return combined, np.einsum("nj,njkl->nkl", modes, spread)

    def start(self, position: Array, covariance: Array) -> tuple[Array, Array, Array]:
        """Return mean, covariance and mode probabilities of tracks first seen at `position`.

        Args:
            position: (N, 2) m.
            covariance: (N, 2, 2) of the position.
        """
        count = len(position)
        mean = np.zeros((count, 2, 4))
        mean[:, :, :2] = position[:, None]
        full = np.zeros((count, 2, 4, 4))
        full[:, :, :2, :2] = covariance[:, None]
        full[:, :, [2, 3], [2, 3]] = self.start_speed**2
        return mean, full, np.tile([self.still_share, 1.0 - self.still_share], (count, 1))

    def _switch(self, dt: float) -> Array:
        """Return the (2, 2) probabilities of going from mode (row) to mode (column) within dt."""
        starting, stopping = 1.0 / self.still_time, 1.0 / self.moving_time
        changed = (1.0 - np.exp(-(starting + stopping) * dt)) / (starting + stopping)
        return np.array(
            [
                [1.0 - starting * changed, starting * changed],
                [stopping * changed, 1.0 - stopping * changed],
            ]
        )

    def _matrices(self, dt: float) -> tuple[Array, Array]:
        """Return transition and noise, (2, 4, 4) each, of both modes."""
        transition = np.zeros((2, 4, 4))
        transition[:, [0, 1], [0, 1]] = 1.0
        transition[MOVING] = np.eye(4)
        transition[MOVING, [0, 1], [2, 3]] = dt
        noise = np.zeros((2, 4, 4))
        noise[STILL, [0, 1], [0, 1]] = self.still_drift**2 * dt
        noise[STILL, [2, 3], [2, 3]] = self.start_speed**2
        q = self.acceleration_noise
        noise[MOVING, [0, 1], [0, 1]] = q * dt**3 / 3.0
        noise[MOVING, [0, 1, 2, 3], [2, 3, 0, 1]] = q * dt**2 / 2.0
        noise[MOVING, [2, 3], [2, 3]] = q * dt
        return transition, noise
