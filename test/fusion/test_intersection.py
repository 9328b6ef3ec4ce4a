"""Covariance intersection: consistent for every correlation, and no surer than it may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_robot.bench.fusion.two_robots import WAYS, intersect, walks
from edge_robot.fusion.intersection import intersection_weight

Matrix = NDArray[np.float64]


def spd(rng: np.random.Generator, size: int) -> Matrix:
    """Return a random covariance whose standard deviations span three decades."""
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    return np.asarray(turn @ np.diag(10.0 ** rng.uniform(-3.0, 3.0, size)) @ turn.T)


def any_correlation(rng: np.random.Generator, size: int) -> Matrix:
    """Return a matrix of norm at most 1, often 1: total correlation is the worst case."""
    left, _, right = np.linalg.svd(rng.normal(size=(size, size)))
    share = np.minimum(rng.uniform(0.0, 2.0, size), 1.0)
    return np.asarray(left @ np.diag(share) @ right)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_true_covariance_never_exceeds_the_claimed_one(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = spd(rng, size), spd(rng, size)
    cross = np.linalg.cholesky(a) @ any_correlation(rng, size) @ np.linalg.cholesky(b).T
    weight = intersection_weight(a, b)
    zero = np.zeros(size)
    _, claimed = intersect(zero, a, zero, b)
    from_a = weight * claimed @ np.linalg.inv(a)
    from_b = (1.0 - weight) * claimed @ np.linalg.inv(b)
    both = from_a @ cross @ from_b.T
    true = from_a @ a @ from_a.T + from_b @ b @ from_b.T + both + both.T
    root = np.linalg.inv(np.linalg.cholesky(claimed))
    assert np.linalg.eigvalsh(root @ true @ root.T).max() <= 1.0 + 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_the_weight_makes_the_determinant_least(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = spd(rng, size), spd(rng, size)

    def log_det(weight: float) -> float:
        information = weight * np.linalg.inv(a) + (1.0 - weight) * np.linalg.inv(b)
        return float(-np.linalg.slogdet(information)[1])

    best = float(intersection_weight(a[None], b[None])[0])
    assert log_det(best) <= min(log_det(w) for w in np.linspace(0.0, 1.0, 101)) + 1e-3


def test_what_comes_back_is_no_news() -> None:
    """A's own estimate returns to it, as it was and less sure: nothing becomes surer."""
    rng = np.random.default_rng(1)
    a = spd(rng, 4)
    mean = rng.normal(size=4)
    for echo in (a, a + np.diag([0.01, 0.01, 0.1, 0.1])):
        fused, claimed = intersect(mean, a, mean, echo)
        np.testing.assert_allclose(fused, mean, rtol=1e-9)
        np.testing.assert_allclose(claimed, a, rtol=1e-6)


@pytest.mark.parametrize("silent_after", [150, 50], ids=["both see", "rumour"])
def test_two_robots_never_become_overconfident_where_naive_fusion_does(silent_after: int) -> None:
    """They share the person's whims, and each hears its own words again."""
    alone, naive, honest = (
        walks(WAYS[way], silent_after, runs=30) for way in ("alone", "naive", "intersection")
    )
    assert honest["nees"] < 4.4
    assert honest["position_rmse_m"] < alone["position_rmse_m"]
    assert naive["nees"] > 40.0
