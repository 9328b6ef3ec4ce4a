"""The batched filter against filterpy, one filter at a time."""

from __future__ import annotations

import numpy as np
from filterpy.kalman import KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fusion import kalman


def random_covariance(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    root = rng.normal(size=(count, size, size))
    return root @ root.swapaxes(1, 2) + 0.01 * np.eye(size)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    tracks=st.integers(1, 6),
    states=st.integers(1, 5),
    measured=st.integers(1, 3),
    steps=st.integers(1, 20),
    direct=st.booleans(),
)
def test_equals_filterpy(
    seed: int, tracks: int, states: int, measured: int, steps: int, direct: bool
) -> None:
    measured = min(measured, states) if direct else measured
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(tracks, states))
    covariance = random_covariance(rng, tracks, states)
    oracles = []
    for i in range(tracks):
        oracle = KalmanFilter(dim_x=states, dim_z=measured)
        oracle.x, oracle.P = mean[i].copy(), covariance[i].copy()
        oracles.append(oracle)
    for _ in range(steps):
        transition = np.eye(states) + 0.2 * rng.normal(size=(tracks, states, states))
        process = random_covariance(rng, tracks, states)
        observation = rng.normal(size=(tracks, measured, states))
        if direct:
            observation = np.broadcast_to(np.eye(measured, states), observation.shape)
        noise = random_covariance(rng, tracks, measured)
        z = rng.normal(size=(tracks, measured))
        mean, covariance = kalman.predict(mean, covariance, transition, process)
        innovation = z - (observation @ mean[..., None])[..., 0]
        mean, covariance, likelihood = kalman.update(
            mean, covariance, innovation, None if direct else observation, noise
        )
        for i, oracle in enumerate(oracles):
            oracle.predict(F=transition[i], Q=process[i])
            oracle.update(z[i], R=noise[i], H=observation[i])
            scale = 1.0 + np.abs(oracle.P).max()
            np.testing.assert_allclose(mean[i], oracle.x, atol=1e-9 * scale)
            np.testing.assert_allclose(covariance[i], oracle.P, atol=1e-9 * scale)
            np.testing.assert_allclose(likelihood[i], oracle.log_likelihood, rtol=1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), precision=st.floats(1e-8, 1.0))
def test_covariance_stays_symmetric_and_positive(seed: int, precision: float) -> None:
    rng = np.random.default_rng(seed)
    mean, covariance = np.zeros((3, 4)), np.tile(np.eye(4) * 1e4, (3, 1, 1))
    observation = np.broadcast_to(np.eye(2, 4), (3, 2, 4))
    transition = np.eye(4)
    transition[0, 2] = transition[1, 3] = 0.1
    for _ in range(100):
        mean, covariance = kalman.predict(mean, covariance, transition, 1e-6 * np.eye(4))
        mean, covariance, _ = kalman.update(
            mean, covariance, rng.normal(size=(3, 2)), observation, precision * np.eye(2)
        )
    largest = np.abs(covariance).max()
    np.testing.assert_allclose(covariance, covariance.swapaxes(1, 2), atol=1e-12 * largest)
    assert (np.linalg.eigvalsh(covariance) > -1e-12 * largest).all()
    assert largest < 1e4


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 7),
    shapes=st.sampled_from([((), ()), ((5,), ()), ((), (4,)), ((3, 1), (4,)), ((3, 4), (3, 4))]),
)
def test_distances_of_any_pairs(
    seed: int, size: int, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    rng = np.random.default_rng(seed)
    innovation = rng.normal(size=(*shapes[0], size))
    root = rng.normal(size=(*shapes[1], size, size))
    spread = root @ root.swapaxes(-1, -2) + 0.01 * np.eye(size)
    distance, log_det = kalman.distance_and_log_det(innovation, spread)
    solved = np.linalg.solve(spread, innovation[..., None])[..., 0]
    expected, sign_and_log = (innovation * solved).sum(-1), np.linalg.slogdet(spread)
    np.testing.assert_allclose(distance, expected, rtol=1e-9)
    np.testing.assert_allclose(log_det, np.broadcast_to(sign_and_log[1], log_det.shape), atol=1e-9)
    inverse, log_det = kalman.inverse(spread)
    np.testing.assert_allclose(inverse, np.linalg.inv(spread), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(log_det, sign_and_log[1], atol=1e-9)


def test_no_tracks() -> None:
    mean, covariance, likelihood = kalman.update(
        np.empty((0, 4)),
        np.empty((0, 4, 4)),
        np.empty((0, 2)),
        np.empty((0, 2, 4)),
        np.empty((0, 2, 2)),
    )
    assert (mean.shape, covariance.shape, likelihood.shape) == ((0, 4), (0, 4, 4), (0,))
