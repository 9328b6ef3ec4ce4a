"""Unscented Kalman update for many tracks at once: measurements too bent for their derivative.

The unscented transform (Julier, Uhlmann 2004: Unscented Filtering and Nonlinear Estimation) with
points of equal, positive weight, so that what they make is positive too (the cubature points of
Arasaratnam and Haykin 2009). As in `kalman`, arrays have any leading dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_robot.fusion import kalman
from edge_robot.fusion.kalman import Array


def update(
    mean: Array,
    covariance: Array,
    measured: Array,
    expected: Callable[[Array], Array],
    noise: Array,
    *,
    subtract: Callable[[Array, Array], Array] = np.subtract,
) -> tuple[Array, Array, Array]:
    """Return mean, covariance and log-likelihood after one measurement.

    The sigma points' regression of the measurement on the state takes the place of the derivative,
    with its residual as noise beside the sensor's, and the covariance is updated in Joseph's form.

    Args:
        mean: (..., n).
        covariance: (..., n, n), positive definite.
        measured: (..., m).
        expected: The measurement of given states: (..., n) to (..., m).
        noise: R, (..., m, m).
        subtract: Difference of two measurements, (..., m) each; angles wrap.

    Raises:
        numpy.linalg.LinAlgError: A covariance is not positive definite.
    """
    size = mean.shape[-1]
    steps = kalman.transposed(np.asarray(np.linalg.cholesky(size * covariance), float))
    offsets = np.concatenate([steps, -steps], axis=-2)
    # Differences from the middle one have a mean where angles have none.
    middle = expected(mean)
    spread = subtract(expected(mean[..., None, :] + offsets), middle[..., None, :])
    shift = spread.mean(axis=-2)
    spread = spread - shift[..., None, :]

    weighted = kalman.transposed(np.asarray(spread / (2 * size), float))
    cross = weighted @ offsets
    observation = cross @ kalman.inverse(covariance)[0]
    residual = weighted @ spread - observation @ kalman.transposed(cross)
    innovation = subtract(measured, middle + shift)
    return kalman.update(mean, covariance, innovation, observation, noise + residual)
