"""Covariance intersection: two estimates in one, whatever they have in common.

Two robots that watch one person share its whims (process noise) and, when they exchange what they
know, each other's measurements. Treated as independent, their estimates would be counted twice.
Julier & Uhlmann, "A non-divergent estimation algorithm in the presence of unknown correlations",
American Control Conference 1997: for each ω in 0..1,

    P⁻¹ = ω·Pa⁻¹ + (1 - ω)·Pb⁻¹,    P⁻¹·x = ω·Pa⁻¹·xa + (1 - ω)·Pb⁻¹·xb

is consistent for every correlation of the two errors. It is the Kalman update of (xa, Pa / ω) with
a measurement xb of covariance Pb / (1 - ω), which is how it is applied here.
"""

from __future__ import annotations

import numpy as np

from edge_robot.fusion.kalman import Array

_STEPS = 12  # of Newton's method; any ω is consistent, the best one only saves a little more
_LEAST = 1e-9  # of ω and 1 - ω: neither side is ever divided by nothing


def intersection_weight(a: Array, b: Array) -> Array:
    """Return ω, the weight of `a`, that makes the determinant of the intersection least, (...).

    With λ the eigenvalues of Pa·Pb⁻¹, log det P⁻¹ = Σ log(ω + (1 - ω)·λ) + const is concave in ω;
    its maximum is found by Newton's method, kept between what is known to be too low and too high.
    The determinant does not depend on the units of the states, the trace does.

    Args:
        a: Pa, (..., n, n), positive definite.
        b: Pb, likewise.
    """
    root = np.linalg.cholesky(b)
    half = np.linalg.solve(root, a)
    ratio = np.linalg.eigvalsh(np.linalg.solve(root, half.swapaxes(-1, -2)))
    gain = 1.0 - np.maximum(ratio, 0.0)
    low, high = np.zeros(a.shape[:-2]), np.ones(a.shape[:-2])
    omega = np.full(a.shape[:-2], 0.5)
    for _ in range(_STEPS):
        slopes = gain / (1.0 - gain + omega[..., None] * gain)
        slope, curvature = slopes.sum(axis=-1), (slopes**2).sum(axis=-1)
        low, high = np.where(slope > 0.0, omega, low), np.where(slope > 0.0, high, omega)
        guess = omega + slope / np.maximum(curvature, _LEAST)
        inside = (guess > low) & (guess < high)
        omega = np.where(inside, guess, 0.5 * (low + high))
    # Where one side is the better in all, or nearly, the best lies at an end.
    omega = np.where(gain.sum(axis=-1) >= 0.0, 1.0, omega)
    omega = np.where((gain / np.maximum(1.0 - gain, _LEAST)).sum(axis=-1) <= 0.0, 0.0, omega)
    return np.clip(omega, _LEAST, 1.0 - _LEAST)
