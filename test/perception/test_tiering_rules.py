"""Budgets, novelty and consistency: the parts of the tier policy that nobody learns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sightings import expected, found

from edge_robot.perception.tiering.consistency import compare
from edge_robot.perception.tiering.novelty import RecentViews, view_of
from edge_robot.perception.tiering.selection import Selection
from edge_robot.token_bucket import TokenBucket


@given(
    st.floats(0.1, 100.0),
    st.floats(0.1, 100.0),
    st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.0, 10.0), st.booleans()), max_size=60),
)
def test_a_budget_is_never_exceeded(
    rate: float, burst: float, asked: list[tuple[float, float, bool]]
) -> None:
    bucket = TokenBucket(rate, burst)
    now = 100.0
    spent: list[tuple[float, float]] = []
    for amount, pause, unused in asked:
        now += pause
        if bucket.take(amount, now):
            if unused:
                bucket.give_back(amount)
            else:
                spent.append((now, amount))
    for first in range(len(spent)):
        for last in range(first, len(spent)):
            window = spent[last][0] - spent[first][0]
            total = sum(amount for _, amount in spent[first : last + 1])
            assert total <= burst + rate * window + 1e-6 * (burst + total)


def test_a_budget_refills_to_its_burst_and_no_further() -> None:
    bucket = TokenBucket(rate=2.0, burst=10.0)
    assert bucket.take(10.0, now=5.0)
    assert not bucket.take(1.0, now=5.4)
    assert bucket.take(1.0, now=5.5)
    assert bucket.left(now=1000.0) == 10.0
    assert bucket.left(now=999.0) == 10.0  # a clock that steps back refills nothing


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_best_are_chosen_at_the_share_asked_for_on_any_scale(
    share: float, scale: float
) -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(size=2000)
    selection = Selection()
    chosen = np.array([selection.choose(value * scale, share) for value in values])
    assert chosen[100:].mean() == pytest.approx(share, abs=0.04)
    assert values[100:][chosen[100:]].mean() > values[100:].mean() + 0.3 * (1.0 - share)


def test_nothing_is_chosen_at_share_nought_once_warm() -> None:
    selection = Selection(window=20, warm_up=5)
    assert [selection.choose(1.0, 0.0) for _ in range(9)] == [True] * 5 + [False] * 4


def test_a_view_is_news_until_it_is_sent_and_again_when_it_is_old() -> None:
    rng = np.random.default_rng(2)
    scene, other = rng.integers(0, 200, (2, 40, 60, 3)).astype(np.uint8)
    views = RecentViews(memory=4.0, scale=0.2)
    assert views.novelty(view_of(scene), now=0.0) == 1.0
    views.sent(view_of(scene), now=0.0)
    assert views.novelty(view_of(scene), now=0.0) == pytest.approx(0.0, abs=1e-6)
    assert views.novelty(view_of((scene + 50).astype(np.uint8)), now=0.0) < 0.01  # other light
    assert views.novelty(view_of(other), now=0.0) > 0.9
    assert views.novelty(view_of(scene), now=2.0) == pytest.approx(0.5, abs=1e-6)
    assert views.novelty(view_of(scene), now=9.0) == 1.0


def test_a_blank_view_is_a_view() -> None:
    views = RecentViews(memory=4.0, scale=0.2)
    blank = view_of(np.zeros((40, 60, 3), np.uint8))
    views.sent(blank, now=0.0)
    assert 0.0 <= views.novelty(blank, now=0.0) <= 1.0


def test_surprise_counts_what_is_missing_what_is_extra_and_what_is_called_otherwise() -> None:
    here, there, away = (0, 0, 20, 40), (50, 0, 70, 40), (90, 0, 99, 40)
    agreed = compare(found((here, 0.8, 0)), expected((here, "person", 0.9)))
    assert agreed.total == 0.0
    surprise = compare(
        found((here, 0.5, 1), (away, 0.4, 0)),
        expected((there, "person", 0.9), (here, "person", 0.8)),
    )
    assert surprise.unseen == pytest.approx(0.9)
    assert surprise.untracked == pytest.approx(0.4)
    assert surprise.flipped == pytest.approx(0.8 * 0.5)
    assert compare(found(), expected()).total == 0.0
    assert compare(found(), expected((here, "box", 0.7))).unseen == pytest.approx(0.7)
