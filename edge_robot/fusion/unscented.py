"""Unscented Kalman update for many tracks at once: measurements too bent for their derivative.

The scaled unscented transform (Julier, Uhlmann 2004: Unscented Filtering and Nonlinear Estimation;
weights as van der Merwe 2004). As in `kalman`, arrays have any leading dimensions.
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
    alpha: float = 1.0,
    beta: float = 0.0,
    kappa: float = 0.0,
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
        alpha: Spread of the sigma points. With the defaults all weights are positive, and so is
            what they make (the cubature points of Arasaratnam and Haykin 2009).
        beta: Of the distribution's tails; 2 fits a Gaussian where alpha is small.
        kappa: Second scale of the spread.

    Raises:
        numpy.linalg.LinAlgError: A covariance is not positive definite.
    """
    size = mean.shape[-1]
    scale = alpha**2 * (size + kappa)
    weights = np.full(2 * size + 1, 0.5 / scale)
    weights[0] = 1.0 - size / scale
    of_covariance = weights.copy()
    of_covariance[0] += 1.0 - alpha**2 + beta

    root = np.linalg.cholesky(scale * covariance)
    steps = kalman.transposed(np.asarray(root, float))
    offsets = np.concatenate([np.zeros_like(mean[..., None, :]), steps, -steps], axis=-2)
    images = expected(mean[..., None, :] + offsets)
    # Differences from the middle one have a mean where angles have none.
    spread = subtract(images, images[..., :1, :])
    shift = weights @ spread
    spread = spread - shift[..., None, :]

    weighted = kalman.transposed(np.asarray(of_covariance[:, None] * spread, float))
    cross = weighted @ offsets
    observation = cross @ kalman.inverse(covariance)[0]
    residual = weighted @ spread - observation @ kalman.transposed(cross)
    innovation = subtract(measured, images[..., 0, :] + shift)
    return kalman.update(mean, covariance, innovation, observation, noise + residual)
