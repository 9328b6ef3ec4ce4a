"""Quotas and fair shares, by themselves and in a scheduler that is asked for too much."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fleet.backend.batching import BatchCosts
from edge_robot.fleet.backend.fairness import FairShares, Quota, Quotas, jain_index


def test_a_quota_bounds_requests_bytes_and_places() -> None:
    quotas = Quotas(Quota(places=2), {"chatty": Quota(requests=2.0, bytes=100.0, burst=1.0)})
    assert quotas.refusal("any", 10**9, 1, 0.0) == ""
    assert "2 requests waiting" in quotas.refusal("any", 1, 2, 0.0)
    assert [quotas.refusal("chatty", 50, 0, 0.0) for _ in range(2)] == ["", ""]
    assert "more often" in quotas.refusal("chatty", 0, 0, 0.0)
    assert "bytes" in quotas.refusal("chatty", 60, 0, 0.5)  # 50 have come back
    assert quotas.refusal("chatty", 50, 0, 0.5) == "", "a refusal must cost nothing"


def test_robots_without_end_are_forgotten_but_not_their_debts() -> None:
    quotas = Quotas(Quota(requests=1.0, burst=1.0), {})
    shares = FairShares(lead=0.0)
    shares.arrive("debtor")
    shares.charge("debtor", 100.0)
    for number in range(5000):
        now = 2e-3 * number
        quotas.refusal(f"robot {number}", 1, 0, now)
        shares.arrive(f"robot {number}")
    assert quotas.refusal("robot 4999", 1, 0, now) != ""
    assert len(quotas._buckets) <= 1024 and len(shares._clocks) <= 1024
    shares.arrive("debtor")
    assert shares.within(["debtor", "robot 1"]) == {"robot 1"}


@settings(max_examples=30, deadline=None)
@given(
    demands=st.lists(st.integers(1, 40), min_size=2, max_size=12),
    cost=st.floats(0.001, 0.05),
    lead=st.floats(0.0, 0.2),
)
def test_whoever_always_waits_gets_as_much_as_any_other(
    demands: list[int], cost: float, lead: float
) -> None:
    """A robot asks with deadlines that let it be first always: it stays within lead and request."""
    shares = FairShares(lead)
    served = dict.fromkeys(range(len(demands)), 0.0)
    for robot in served:
        shares.arrive(str(robot))
    for _ in range(300):
        within = shares.within(map(str, served))
        assert within
        robot = max((int(name) for name in within), key=lambda name: demands[name])
        shares.charge(str(robot), cost)
        served[robot] += cost
        assert max(served.values()) - min(served.values()) <= lead + cost + 1e-9


def test_nobody_saves_up_a_share_by_being_away() -> None:
    shares = FairShares(lead=0.0)
    shares.arrive("here")
    for _ in range(100):
        shares.within(["here"])
        shares.charge("here", 1.0)
    shares.within(["here"])
    shares.arrive("back")
    taken = {"here": 0, "back": 0}
    for _ in range(20):
        robot = min(shares.within(taken))
        shares.charge(robot, 1.0)
        taken[robot] += 1
    assert taken == {"here": 10, "back": 10}


def test_jain_index() -> None:
    assert jain_index([3.0, 3.0, 3.0]) == pytest.approx(1.0)
    assert jain_index([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)


def cheapest(costs: BatchCosts, time_of: dict[int, float], available: int) -> int:
    """Return the size that is used once all have been tried."""
    now = 0.0
    for _ in range(40):
        size = costs.best(available, now)
        now += time_of[size]
        costs.add(size, time_of[size], now)
    return costs.best(available, now)


def test_a_batch_size_is_used_if_it_was_measured_to_pay() -> None:
    per_run = {size: 0.010 + 0.001 * size for size in (1, 2, 4, 6)}
    per_item = {size: 0.010 * size for size in (1, 2, 4, 6)}
    costs = BatchCosts(6)
    assert cheapest(costs, per_run, available=9) == 6
    assert costs.wanted() == 6
    assert costs.best(5, 1.0) == 4, "there are not six"
    costs = BatchCosts(6)
    assert cheapest(costs, per_item, available=9) == 1
    assert costs.wanted() == 1


def test_a_slow_moment_is_not_held_against_requests_for_ever() -> None:
    costs = BatchCosts(1)
    costs.add(1, 5.0, now=10.0)
    assert costs.quickest(11.0) == 5.0
    assert costs.quickest(13.0) == 0.0, "nothing would be computed, and so never be measured again"
