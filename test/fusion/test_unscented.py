"""The unscented and the extended update against filterpy's, one filter at a time."""

from __future__ import annotations

import numpy as np
from filterpy.kalman import ExtendedKalmanFilter, MerweScaledSigmaPoints, UnscentedKalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fusion import kalman, unscented
from edge_robot.fusion.radar import RadarView, difference

NOISE = np.diag([0.2, 0.02, 0.1]) ** 2


def views() -> st.SearchStrategy[RadarView]:
    number = st.floats(-5.0, 5.0)
    return st.builds(
        lambda x, y, heading, vx, vy: RadarView(np.array([x, y]), heading, np.array([vx, vy])),
        *(number, number, st.floats(-4.0, 4.0), number, number),
    )


def states(rng: np.random.Generator, view: RadarView, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return states around the radar, on all sides, and covariances."""
    angle = rng.uniform(-np.pi, np.pi, count)
    away = rng.uniform(3.0, 40.0, count)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    root = rng.normal(size=(count, 4, 4)) * 0.5
    mean = np.hstack([view.origin + away, rng.normal(0.0, 5.0, (count, 2))])
    return mean, root @ root.swapaxes(1, 2) + 0.05 * np.eye(4)


@settings(max_examples=40, deadline=None)
@given(view=views(), seed=st.integers(0, 2**32 - 1))
def test_derivative_of_the_radar(view: RadarView, seed: int) -> None:
    mean, _ = states(np.random.default_rng(seed), view, 5)
    for k, step in enumerate(1e-6 * np.eye(4)):
        slope = difference(view.expected(mean + step), view.expected(mean - step)) / 2e-6
        np.testing.assert_allclose(view.derivative(mean)[..., k], slope, rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(view=views(), seed=st.integers(0, 2**32 - 1))
def test_equals_filterpy(view: RadarView, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, covariance = states(rng, view, 3)
    extended = mean.copy(), covariance.copy()
    transition, process = np.eye(4) + 0.1 * np.eye(4, k=2), 0.05 * np.eye(4)

    def mean_measurement(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return images[0] + weights @ difference(images, images[0])

    points = MerweScaledSigmaPoints(4, alpha=1.0, beta=0.0, kappa=0.0)
    bent, straightened = [], []
    for i in range(3):
        ukf = UnscentedKalmanFilter(
            *(4, 3, 0.1, view.expected, lambda x, dt: transition @ x, points),
            z_mean_fn=mean_measurement,
            residual_z=difference,
        )
        ekf = ExtendedKalmanFilter(4, 3)
        for one in (ukf, ekf):
            one.x, one.P, one.Q, one.R = mean[i].copy(), covariance[i].copy(), process, NOISE
        ekf.F = transition
        bent.append(ukf)
        straightened.append(ekf)
    for _ in range(4):
        mean, covariance = kalman.predict(mean, covariance, transition, process)
        extended = kalman.predict(*extended, transition, process)
        measured = view.expected(mean) + rng.normal(size=(3, 3)) @ np.sqrt(NOISE)
        innovation = difference(measured, view.expected(extended[0]))
        extended = kalman.update(*extended, innovation, view.derivative(extended[0]), NOISE)[:2]
        mean, covariance, likelihood = unscented.update(
            *(mean, covariance, measured, view.expected, NOISE), subtract=difference
        )
        for i, (ukf, ekf) in enumerate(zip(bent, straightened, strict=True)):
            ukf.predict()
            # filterpy measures the points it predicted; ours draws them anew from the covariance.
            ukf.sigmas_f = points.sigma_points(ukf.x, ukf.P)
            ukf.update(measured[i])
            np.testing.assert_allclose(mean[i], ukf.x, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(covariance[i], ukf.P, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(likelihood[i], ukf.log_likelihood, rtol=1e-6, atol=1e-6)
            ekf.predict()
            ekf.update(measured[i], view.derivative, view.expected, residual=difference)
            np.testing.assert_allclose(extended[0][i], ekf.x, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(extended[1][i], ekf.P, rtol=1e-9, atol=1e-9)


def test_covariance_stays_positive_over_thousands_of_updates() -> None:
    """Of the linear filter, from almost nothing known, over 10,000; of the unscented over 2,000."""
    rng = np.random.default_rng(0)
    view = RadarView(np.zeros(2), 0.3, np.zeros(2))
    transition, process = np.eye(4) + 0.1 * np.eye(4, k=2), 1e-4 * np.eye(4)
    start = np.tile([5.0, 1.0, 0.0, 0.0], (3, 1))
    linear = start, np.tile(1e8 * np.eye(4), (3, 1, 1))
    bent = start, np.tile(np.eye(4), (3, 1, 1))
    noise = np.array([1e-10, 1e-4, 1e6])[:, None, None] * np.eye(3)
    for _ in range(10_000):
        linear = kalman.predict(*linear, transition, process)
        innovation = np.array([5.0, 1.0]) + rng.normal(0.0, 0.01, (3, 2)) - linear[0][:, :2]
        linear = kalman.update(*linear, innovation, np.eye(2), noise[:, :2, :2])[:2]
    for _ in range(2_000):
        bent = kalman.predict(*bent, transition, process)
        measured = view.expected(start) + rng.normal(0.0, 0.01, (3, 3))
        bent = unscented.update(*(*bent, measured, view.expected, noise), subtract=difference)[:2]
    for mean, covariance in (linear, bent):
        assert np.isfinite(mean).all()
        np.testing.assert_allclose(covariance, covariance.swapaxes(1, 2), rtol=1e-9, atol=1e-15)
        assert np.linalg.eigvalsh(covariance).min() > 0.0
