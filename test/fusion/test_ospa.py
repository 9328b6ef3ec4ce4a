"""OSPA: the definition, worked by hand, and the axioms of a metric."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_robot.fusion.scoring.ospa import ospa

CUTOFF = 2.0
coordinates = st.floats(-4.0, 4.0)
point_sets = st.lists(st.tuples(coordinates, coordinates), max_size=4).map(
    lambda points: np.array(points, float).reshape(-1, 2)
)
orders = st.sampled_from([1.0, 2.0])
Points = NDArray[np.float64]


def by_definition(a: Points, b: Points, order: float) -> float:
    """Try every assignment of the smaller set to the larger."""
    small, large = sorted((a, b), key=len)
    if not len(large):
        return 0.0
    best = min(
        sum(
            min(float(np.hypot(*(p - large[j]))), CUTOFF) ** order
            for p, j in zip(small, chosen, strict=True)
        )
        for chosen in permutations(range(len(large)), len(small))
    )
    missing = len(large) - len(small)
    return float(((best + CUTOFF**order * missing) / len(large)) ** (1.0 / order))


@settings(max_examples=60, deadline=None)
@given(point_sets, point_sets, orders)
def test_it_is_what_the_definition_says(a: Points, b: Points, order: float) -> None:
    found = ospa(a, b, cutoff=CUTOFF, order=order)
    assert found.distance == pytest.approx(by_definition(a, b, order), abs=1e-9)
    parts = found.localisation**order + found.cardinality**order
    assert found.distance**order == pytest.approx(parts, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(point_sets, point_sets, point_sets, orders)
def test_it_is_a_metric(a: Points, b: Points, c: Points, order: float) -> None:
    def distance(x: Points, y: Points) -> float:
        return ospa(x, y, cutoff=CUTOFF, order=order).distance

    assert distance(a, a) == pytest.approx(0.0, abs=1e-9)
    assert distance(a, b) == pytest.approx(distance(b, a))
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
    assert distance(a, b) <= CUTOFF + 1e-9


def test_one_error_and_one_false_track() -> None:
    truth, tracks = np.array([[0.0, 0.0]]), np.array([[0.3, 0.4], [9.0, 9.0]])
    found = ospa(truth, tracks, cutoff=CUTOFF, order=1.0)
    assert (found.distance, found.localisation, found.cardinality) == (1.25, 0.25, 1.0)


@pytest.mark.parametrize(("cutoff", "order"), [(0.0, 1.0), (1.0, 0.5), (float("nan"), 1.0)])
def test_parameters_without_meaning_are_refused(cutoff: float, order: float) -> None:
    with pytest.raises(ValueError, match="OSPA needs"):
        ospa(np.zeros((1, 2)), np.zeros((1, 2)), cutoff=cutoff, order=order)
