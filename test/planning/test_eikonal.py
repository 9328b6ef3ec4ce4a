from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.planning import eikonal
from edge_robot.planning.compiled import COMPILED


def solved(cost: np.ndarray, seed: tuple[int, int], start: tuple[int, int], margin: float = np.inf):
    return eikonal.at_once(eikonal.cost_to_go(cost.astype(np.float32), seed, start, margin))


def random_cost(seed: int, shape: tuple[int, int]) -> np.ndarray:
    random = np.random.default_rng(seed)
    cost = 1.0 + random.random(shape) * 3
    cost[random.random(shape) < 0.3] = np.inf
    cost[1, 2] = cost[-2, -2] = 1.0
    return cost


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled here")
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31))
def test_compiled_and_numpy_find_the_same(seed) -> None:
    cost = random_cost(seed, (37, 50))
    results = []
    for sweep in (eikonal.sweep_blocks_compiled, eikonal.sweep_blocks_numpy):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(eikonal, "_sweep_blocks", sweep)
            results.append(solved(cost, (1, 2), (35, 48)))
    np.testing.assert_allclose(*results, atol=0.05)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_every_cell_fits_its_neighbours(seed) -> None:
    cost = random_cost(seed, (37, 50))
    value = solved(cost, (1, 2), (35, 48))
    around = np.pad(value, 1, constant_values=np.inf)
    a = np.minimum(around[:-2, 1:-1], around[2:, 1:-1])
    b = np.minimum(around[1:-1, :-2], around[1:-1, 2:])
    with np.errstate(invalid="ignore"):
        slope = np.hypot(np.maximum(value - a, 0), np.maximum(value - b, 0))
    found = np.isfinite(value)
    assert found[1, 2]
    found[1, 2] = False
    np.testing.assert_allclose(slope[found], cost[found], rtol=0.01)
    # Whoever has a neighbour with a way has one, too, unless it is closed itself.
    assert not np.any(~np.isfinite(value) & np.isfinite(cost) & np.isfinite(np.minimum(a, b)))


def test_in_the_open_it_is_the_distance_in_every_direction() -> None:
    value = solved(np.ones((200, 240)), (100, 120), (0, 0))
    i, j = np.indices(value.shape)
    away = np.hypot(i - 100, j - 120)
    far = away > 50
    assert np.all(np.abs(value - away)[far] < 0.025 * away[far])


def test_what_is_not_on_the_way_is_not_visited() -> None:
    value = solved(np.ones((64, 1000)), (32, 500), (32, 600), margin=40.0)
    whole = solved(np.ones((64, 1000)), (32, 500), (32, 600))
    assert not np.isfinite(value[:, :400]).any()
    assert not np.isfinite(value[:, 700:]).any()
    near = np.s_[:, 580:620]
    np.testing.assert_allclose(value[near], whole[near], rtol=1e-3)
