"""Kalman filter for many tracks at once: linear, or extended where the matrices are Jacobians.

Every function takes arrays with any leading dimensions (tracks, or tracks × motion models) and
works on all of them in one pass. LAPACK on thousands of small matrices spends its time on calls, so
the one factorisation needed is written out over the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator

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
    return np.matvec(transition, mean), congruence(transition, covariance) + noise


def congruence(matrix: Array, covariance: Array) -> Array:
    """Return A·P·Aᵀ, (..., k, k), the covariance of A·x.

    Args:
        matrix: A, (..., k, n).
        covariance: P, (..., n, n).
    """
    return matrix @ covariance @ transposed(matrix)


def update(
    mean: Array, covariance: Array, innovation: Array, observation: Array, noise: Array
) -> tuple[Array, Array, Array]:
    """Return mean, covariance and log-likelihood after one measurement.

    The covariance is updated in Joseph's form, which stays symmetric and positive definite.

    Args:
        mean: (..., n).
        covariance: (..., n, n).
        innovation: Measured minus expected, (..., m).
        observation: H, the derivative of the measurement by the first k ≤ n states, (..., m, k);
            of the others it does not depend.
        noise: R, (..., m, m).
    """
    used = observation.shape[-1]
    cross = covariance[..., :used] @ transposed(observation)
    white, log_det = whitener(observation @ cross[..., :used, :] + noise)
    gain = cross @ (transposed(white) @ white)
    keep = np.broadcast_to(np.eye(mean.shape[-1]), covariance.shape).copy()
    keep[..., :used] -= gain @ observation
    whitened = np.matvec(white, innovation)
    return (
        mean + np.matvec(gain, innovation),
        congruence(keep, covariance) + congruence(gain, noise),
        _log_density(np.vecdot(whitened, whitened), log_det, innovation.shape[-1]),
    )


def log_likelihood(innovation: Array, spread: Array) -> Array:
    """Return the log-density of N(0, spread) at the innovation, (...)."""
    distance, log_det = distance_and_log_det(innovation, spread)
    return _log_density(distance, log_det, innovation.shape[-1])


def squared_distance(innovation: Array, spread: Array) -> Array:
    """Return the squared Mahalanobis distance of the innovation, (...)."""
    return distance_and_log_det(innovation, spread)[0]


def distance_and_log_det(innovation: Array, spread: Array) -> tuple[Array, Array]:
    """Return the squared Mahalanobis distance and ln det spread, (...) each; as `whitener`."""
    batch = np.broadcast_shapes(innovation.shape[:-1], spread.shape[:-2])
    spread = spread[(None,) * (len(batch) + 2 - spread.ndim)]
    rest = np.moveaxis(np.broadcast_to(innovation, (*batch, innovation.shape[-1])), -1, 0).copy()
    distance, log_det = np.zeros((2, *batch))
    for j, scale, below in _eliminate(spread):
        whitened = rest[j] * scale
        distance += whitened * whitened
        log_det -= 2.0 * np.log(scale)
        rest[j + 1 :] -= below * whitened
    return distance, log_det


def whitener(spread: Array) -> tuple[Array, Array]:
    """Return W = L⁻¹ where spread = L·Lᵀ (Cholesky), and ln det spread.

    W·ν has unit covariance where ν has covariance `spread`, and Wᵀ·W is the inverse of `spread`.

    Args:
        spread: (..., m, m), positive definite; what comes of it is NaN where it is not.

    Returns:
        W, (..., m, m) and lower triangular; ln det spread, (...).
    """
    white = np.zeros((*spread.shape[-2:], *spread.shape[:-2]))
    log_det = np.zeros(spread.shape[:-2])
    for j, scale, below in _eliminate(spread):
        white[j, j] = 1.0
        white[j, : j + 1] *= scale
        log_det -= 2.0 * np.log(scale)
        white[j + 1 :, : j + 1] -= below[:, None] * white[j, : j + 1]
    return white.transpose(*range(2, white.ndim), 0, 1).copy(), log_det


def _eliminate(spread: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yield the columns of the Cholesky factor L, each for the whole batch.

    Outer products, one column after the other (Golub, Van Loan: Matrix Computations, 4.2.5).

    Yields:
        j, 1 / L[j, j] of shape (...), and L[j + 1:, j] of shape (m − j − 1, ...).
    """
    batch = range(spread.ndim - 2)
    rest = spread.transpose(-2, -1, *batch).copy()
    for j in range(len(rest)):
        scale = 1.0 / np.sqrt(rest[j, j])
        below = rest[j + 1 :, j] * scale
        yield j, scale, below
        rest[j + 1 :, j + 1 :] -= below[:, None] * below


def transposed(matrix: Array) -> Array:
    """Return the transposes, (..., n, m) of (..., m, n), laid out as products want them."""
    return np.ascontiguousarray(matrix.swapaxes(-1, -2))


def _log_density(distance: Array, log_det: Array, size: int) -> Array:
    return -0.5 * (distance + log_det + size * np.log(2.0 * np.pi))
