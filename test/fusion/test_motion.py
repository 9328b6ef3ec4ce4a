"""The motion model against filterpy's IMM estimator, and what it says of things that stand."""

from __future__ import annotations

import numpy as np
import pytest
from filterpy.kalman import IMMEstimator, KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fusion.motion import MotionModel

STILL, MOVING = 0, 1  # the default models
MODEL = MotionModel()
NOISE = 0.05**2 * np.eye(2)


def run(
    path: np.ndarray, dt: float = 0.1, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return combined mean, covariance and modes after each noisy measurement of a path."""
    rng = np.random.default_rng(seed)
    state = MODEL.start(path[:1], NOISE[None])
    found = []
    for point in path[1:]:
        mean, covariance, modes = MODEL.predict(*state, dt)
        z = point + rng.normal(0.0, 0.05, 2)
        state = MODEL.update(
            mean,
            covariance,
            modes,
            z - mean[:, :, :2],
            np.eye(2, 4)[None],
            NOISE[None],
        )
        combined, spread = MODEL.combine(*state)
        found.append((combined[0], spread[0], state[2][0]))
    return found


def two_mode_matrices(dt: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return transitions and noises of still, and of constant velocity, written out."""
    straight = np.eye(4) + dt * np.eye(4, k=2)
    a, b, c = 0.4 * np.array([dt**3 / 3, dt**2 / 2, dt])
    accelerated = np.array([[a, 0, b, 0], [0, a, 0, b], [b, 0, c, 0], [0, b, 0, c]])
    creep = np.diag([0.01**2 * dt, 0.01**2 * dt, 1.0, 1.0])
    return [np.diag([1.0, 1.0, 0.0, 0.0]), straight], [creep, accelerated]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dt=st.floats(0.02, 0.5), speed=st.floats(0.0, 2.0))
def test_equals_filterpy(seed: int, dt: float, speed: float) -> None:
    rng = np.random.default_rng(seed)
    mean, covariance, modes = MODEL.start(rng.normal(size=(1, 2)), NOISE[None])
    transition, noise = two_mode_matrices(dt)
    filters = []
    for mode in (STILL, MOVING):
        one = KalmanFilter(dim_x=4, dim_z=2)
        one.x, one.P = mean[0, mode].copy(), covariance[0, mode].copy()
        one.F, one.Q, one.H, one.R = transition[mode], noise[mode], np.eye(2, 4), NOISE
        filters.append(one)
    oracle = IMMEstimator(filters, modes[0].copy(), MODEL.transition_probabilities(dt))
    at = mean[0, 0, :2].copy()
    for _ in range(15):
        at += (speed * dt, 0.0)
        z = at + rng.normal(0.0, 0.05, 2)
        mean, covariance, modes = MODEL.predict(mean, covariance, modes, dt)
        mean, covariance, modes = MODEL.update(
            mean, covariance, modes, z - mean[:, :, :2], np.eye(2, 4)[None], NOISE[None]
        )
        oracle.predict()
        oracle.update(z)
        if oracle.mu.min() < 1e-8:
            return  # from here on the model keeps the lesser mode alive
        for mode in (STILL, MOVING):
            np.testing.assert_allclose(mean[0, mode], filters[mode].x, atol=1e-9)
            np.testing.assert_allclose(covariance[0, mode], filters[mode].P, atol=1e-9)
        np.testing.assert_allclose(modes[0], oracle.mu, atol=1e-9)


def test_what_stands_has_no_speed() -> None:
    states = run(np.tile([3.0, 1.0], (300, 1)))
    speeds = np.array([np.hypot(*mean[2:]) for mean, _, _ in states[10:]])
    assert np.percentile(speeds, 99) < 0.15
    assert np.median(speeds) < 0.03


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.5])
def test_who_starts_to_walk_is_seen_walking_within_half_a_second(speed: float) -> None:
    t = np.arange(60) * 0.1
    path = np.column_stack([np.maximum(t - 3.0, 0.0) * speed, 0.0 * t])
    states = run(path)
    assert states[28][2][STILL] > 0.5
    assert states[29 + 8][2][MOVING] > 0.5
    late = np.array([mean[2:] for mean, _, _ in states[45:]])
    np.testing.assert_allclose(late.mean(axis=0), [speed, 0.0], atol=0.15)


def test_covariance_is_honest() -> None:
    """Normalized errors of a walk agree with the covariance, neither boasting nor timid."""
    t = np.arange(40) * 0.1
    path = np.column_stack([1.0 * t, 0.3 * t])
    truth = np.array([1.0, 0.3])
    errors = []
    for seed in range(60):
        mean, covariance, _ = run(path, seed=seed)[-1]
        error = np.concatenate([mean[:2] - path[-1], mean[2:] - truth])
        errors.append(error @ np.linalg.solve(covariance, error))
    assert 1.0 < np.mean(errors) < 6.0  # 4 expected of a model that assumes no acceleration


def test_prediction_of_nothing_and_by_nothing() -> None:
    empty = MODEL.start(np.empty((0, 2)), np.empty((0, 2, 2)))
    assert len(MODEL.predict(*empty, 0.1)[0]) == 0
    state = MODEL.start(np.array([[1.0, 2.0]]), NOISE[None])
    mean, _, modes = MODEL.predict(*state, 0.0)
    np.testing.assert_allclose(mean[:, :, :2], state[0][:, :, :2])
    np.testing.assert_allclose(modes, state[2])


def test_models_may_be_named_in_a_list_as_parameters_come() -> None:
    model = MotionModel(motion_models=list(MODEL.motion_models))
    state = model.start(np.array([[1.0, 2.0]]), NOISE[None])
    np.testing.assert_array_equal(model.predict(*state, 0.1)[0], MODEL.predict(*state, 0.1)[0])
