"""Kalman filter for many tracks at once: linear, or extended where the matrices are Jacobians.

Every function takes arrays with any leading dimensions (tracks, or tracks × motion models) and
works on all of them in one pass. LAPACK on thousands of small matrices spends its time on calls, so
the one inverse needed is written out over the whole batch.
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
    return np.matvec(transition, mean), congruence(transition, covariance) + noise


def congruence(matrix: Array, covariance: Array) -> Array:
    """Return A·P·Aᵀ, (..., k, k), the covariance of A·x.

    Args:
        matrix: A, (..., k, n).
        covariance: P, (..., n, n).
    """
    return matrix @ covariance @ transposed(matrix)


def update(
    mean: Array, covariance: Array, innovation: Array, observation: Array | None, noise: Array
) -> tuple[Array, Array, Array]:
    """Return mean, covariance and log-likelihood after one measurement.

    The covariance is updated in Joseph's form, (1 − K·H)·P·(1 − K·H)ᵀ + K·R·Kᵀ, multiplied out to
    A − (A·Hᵀ − K·R)·Kᵀ with A = P − K·H·P: the same for any gain, in products of m columns rather
    than n. Rounding leaves it asymmetric by less than 1e-13 of its greatest entry.

    Args:
        mean: (..., n).
        covariance: (..., n, n).
        innovation: Measured minus expected, (..., m).
        observation: H, the derivative of the measurement by the first k ≤ n states, (..., m, k);
            of the others it does not depend. None: the first m states themselves are measured.
        noise: R, (..., m, m).
    """
    measured = innovation.shape[-1]
    if observation is None:
        cross = covariance[..., :measured]
        precision, log_det = inverse(cross[..., :measured, :] + noise)
        gain = cross @ precision
        after = covariance - gain @ covariance[..., :measured, :]
        surplus = after[..., :measured] - gain @ noise
    else:
        used, columns = observation.shape[-1], transposed(observation)
        cross = covariance[..., :used] @ columns
        precision, log_det = inverse(observation @ cross[..., :used, :] + noise)
        gain = cross @ precision
        after = covariance - gain @ (observation @ covariance[..., :used, :])
        surplus = after[..., :used] @ columns - gain @ noise
    after -= surplus @ transposed(gain)
    distance = np.vecdot(innovation, np.matvec(precision, innovation))
    log_density = _log_density(distance, log_det, measured)
    return mean + np.matvec(gain, innovation), after, log_density


def log_likelihood(innovation: Array, spread: Array) -> Array:
    """Return the log-density of N(0, spread) at the innovation, (...)."""
    distance, log_det = distance_and_log_det(innovation, spread)
    return _log_density(distance, log_det, innovation.shape[-1])


def squared_distance(innovation: Array, spread: Array) -> Array:
    """Return the squared Mahalanobis distance of the innovation, (...)."""
    if innovation.shape[-1] == 2:
        return _planar_distance(innovation, *_planar_pivots(spread))
    return distance_and_log_det(innovation, spread)[0]


def distance_and_log_det(innovation: Array, spread: Array) -> tuple[Array, Array]:
    """Return the squared Mahalanobis distance and ln det spread, (...) each; as `inverse`."""
    if innovation.shape[-1] == 2:
        pivots = _planar_pivots(spread)
        distance = _planar_distance(innovation, *pivots)
        return distance, np.broadcast_to(np.log(pivots[0] * pivots[2]), distance.shape)
    negative, log_det = _swept(spread)
    batch = np.broadcast_shapes(innovation.shape[:-1], log_det.shape)
    rows = np.moveaxis(np.broadcast_to(innovation, (*batch, innovation.shape[-1])), -1, 0)
    distance = np.zeros(batch)
    for i, row in enumerate(rows):
        for j, other in enumerate(rows):
            distance -= negative[i, j] * row * other
    return distance, np.broadcast_to(log_det, batch)


def _planar_pivots(spread: Array) -> tuple[Array, Array, Array]:
    """Return a and b of L·diag(a, b)·Lᵀ = spread, (..., 2, 2), around L's lower left, l: a, l, b.

    In two dimensions, where most measurements are, all is in closed form. With pivots as the sweep
    has them no difference of large products is taken.
    """
    xx, xy = spread[..., 0, 0], spread[..., 0, 1]
    slope = xy / xx
    return xx, slope, spread[..., 1, 1] - xy * slope


def _planar_distance(innovation: Array, first: Array, slope: Array, second: Array) -> Array:
    x = innovation[..., 0]
    return np.asarray(x * x / first + (innovation[..., 1] - slope * x) ** 2 / second)


def inverse(spread: Array) -> tuple[Array, Array]:
    """Return the inverses of symmetric positive definite matrices, and ln det of them.

    Args:
        spread: (..., m, m); what comes of it is NaN or without meaning where it is not positive
            definite.

    Returns:
        (..., m, m) and (...).
    """
    if spread.shape[-1] == 2:
        first, slope, second = _planar_pivots(spread)
        found = np.empty_like(spread)
        found[..., 1, 1] = lower = 1.0 / second
        found[..., 0, 1] = found[..., 1, 0] = across = -slope * lower
        found[..., 0, 0] = 1.0 / first - slope * across
        return found, np.log(first * second)
    negative, log_det = _swept(spread)
    found = negative.transpose(*range(2, negative.ndim), 0, 1).copy()
    return np.negative(found, out=found), log_det


def _swept(spread: Array) -> tuple[Array, Array]:
    """Return −spread⁻¹ as (m, m, ...), for quick sums over the batch, and ln det spread, (...).

    Sweeps one pivot after the other (Goodnight 1979: A tutorial on the SWEEP operator); the pivots
    of a positive definite matrix are positive, so none needs exchanging.
    """
    swept = spread.transpose(-2, -1, *range(spread.ndim - 2)).copy()
    product, pivots = np.empty_like(swept), np.empty(swept.shape[1:])
    for j, column in enumerate(swept):
        pivots[j] = column[j]
        scaled = column / pivots[j]
        np.multiply(column[:, None], scaled, out=product)
        swept -= product
        swept[:, j] = column[...] = scaled
        column[j] = -1.0 / pivots[j]
    return swept, np.log(pivots).sum(axis=0)


def transposed(matrix: Array) -> Array:
    """Return the transposes, (..., n, m) of (..., m, n), laid out as products want them."""
    return np.ascontiguousarray(matrix.swapaxes(-1, -2))


def _log_density(distance: Array, log_det: Array, size: int) -> Array:
    return -0.5 * (distance + log_det + size * np.log(2.0 * np.pi))
