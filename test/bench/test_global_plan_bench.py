from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from edge_robot.bench.planning import global_plan
from edge_robot.bench.planning.floor_plans import KINDS, floor


def test_the_shortest_way_by_hand() -> None:
    free = np.ones((11, 21), bool)
    free[3:, 10] = False  # a wall with its end at row 3
    assert global_plan.shortest(free, (8, 2), (8, 18)) == pytest.approx(
        2 * np.hypot(8 - 2, 9 - 2) + 2
    )
    assert global_plan.shortest(free, (0, 0), (0, 20)) == pytest.approx(20)
    free[:, 10] = False
    assert global_plan.shortest(free, (8, 2), (8, 18)) == np.inf


@pytest.mark.parametrize("kind", KINDS)
def test_floors_have_a_wall_around_and_ways_within(kind) -> None:
    grid = floor(kind, 30.0, 0.05, seed=4)
    assert grid.values.shape == (600, 600)
    assert np.all(grid.values[[0, -1]] > 0)
    assert np.all(grid.values[:, [0, -1]] > 0)
    sizes = np.bincount(ndimage.label(grid.values < 0)[0].ravel())[1:]
    assert sizes.max() > 0.8 * sizes.sum()
    assert np.array_equal(grid.values, floor(kind, 30.0, 0.05, seed=4).values)


def test_its_figures(monkeypatch) -> None:
    monkeypatch.setattr(global_plan, "_SIDE", 20.0)
    monkeypatch.setattr(global_plan, "_SMALL_SIDE", 10.0)
    told: list[str] = []
    figures = global_plan.measure(told.append, pairs=2, exact_pairs=1, numpy_pairs=0)["global_plan"]
    assert list(figures["kinds"]) == list(KINDS)
    assert figures["all"]["plans"] == 8
    assert 0 < figures["all"]["p50_ms"] <= figures["all"]["max_ms"]
    assert 0.98 < figures["length_over_shortest"]["length_alone_fine"]["max"] < 1.03
    assert len(told) == 5
