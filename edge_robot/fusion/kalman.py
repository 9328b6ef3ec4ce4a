"""Linear Kalman filter for many tracks at once.

Every function takes arrays with any leading dimensions (tracks, or tracks × motion modes) and works
on all of them in one pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def predict(mean: Array, covariance: Array, transition: Array, noise: Array) -> tuple[Array, Array]:
    """Return mean and covariance one step later: F·x and F·P·Fᵀ + Q.

    Args:
        mean: (..., n).
        covariance: (..., n, n).
        transition: F, (..., n, n).
        noise: Q, (..., n, n).
    """
    mean = (transition @ mean[..., None])[..., 0]
    return mean, transition @ covariance @ transition.swapaxes(-1, -2) + noise


def update(
    mean: Array, covariance: Array, innovation: Array, observation: Array, noise: Array
) -> tuple[Array, Array, Array]:
    """Return mean, covariance and log-likelihood after one measurement.

    The covariance is updated in Joseph's form, which stays symmetric and positive definite.

    Args:
        mean: (..., n).
        covariance: (..., n, n).
        innovation: Measured minus expected, (..., m).
        observation: H, the derivative of the measurement by the state, (..., m, n).
        noise: R, (..., m, m).
    """
    cross = covariance @ observation.swapaxes(-1, -2)
    spread = observation @ cross + noise
    gain = np.linalg.solve(spread, cross.swapaxes(-1, -2)).swapaxes(-1, -2)
    mean = mean + (gain @ innovation[..., None])[..., 0]
    keep = np.eye(mean.shape[-1]) - gain @ observation
    covariance = keep @ covariance @ keep.swapaxes(-1, -2) + gain @ noise @ gain.swapaxes(-1, -2)
    return mean, covariance, log_likelihood(innovation, spread)


def log_likelihood(innovation: Array, spread: Array) -> Array:
    """Return the log-density of N(0, spread) at the innovation, (...)."""
    _, log_det = np.linalg.slogdet(spread)
    size = innovation.shape[-1]
    return -0.5 * (squared_distance(innovation, spread) + log_det + size * np.log(2.0 * np.pi))


def squared_distance(innovation: Array, spread: Array) -> Array:
    """Return the squared Mahalanobis distance of the innovation, (...)."""
    return np.asarray((innovation * np.linalg.solve(spread, innovation[..., None])[..., 0]).sum(-1))
