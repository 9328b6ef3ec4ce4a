"""Where work goes: privacy, latency, compute, cost, in this order, and why."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fleet.endpoints import Endpoint
from edge_robot.fleet.placement import Candidate, place
from edge_robot.fleet.privacy_policy import Tier
from edge_robot.fleet.work import Reason

LEAST = 0.5
NEAR = Endpoint("near", "near:1", Tier.FOG)
TWIN = Endpoint("twin", "twin:1", Tier.FOG)
FAR = Endpoint("far", "far:1", Tier.CLOUD, cost=0.01)
CHEAP = Endpoint("cheap", "cheap:1", Tier.CLOUD, cost=0.001)
WITHHELD = (Reason.PRIVACY, "a protected object too large")


def chosen(*candidates: Candidate) -> str | None:
    choice = place(candidates, LEAST)
    return choice.endpoint and choice.endpoint.name


def test_privacy_comes_before_everything() -> None:
    near = Candidate(NEAR, WITHHELD, chance=1.0, explore=True)
    assert chosen(near, Candidate(FAR, chance=0.6)) == "far"
    choice = place([near], LEAST)
    assert choice.endpoint is None and choice.reason is Reason.PRIVACY
    assert "near: a protected object too large" in choice.detail


def test_latency_comes_before_tier_and_cost() -> None:
    assert chosen(Candidate(NEAR, chance=0.4), Candidate(FAR, chance=0.6)) == "far"
    assert chosen(Candidate(NEAR, stalled=True), Candidate(FAR)) == "far"
    assert chosen(Candidate(NEAR, stalled=True)) == "near", "if nobody else can"


def test_the_nearest_tier_comes_before_cost_and_cost_before_speed() -> None:
    near, far = Candidate(NEAR, expected=0.2), Candidate(FAR, expected=0.01)
    assert chosen(far, near) == "near"
    assert chosen(Candidate(CHEAP), Candidate(replace(NEAR, cost=1.0))) == "near"
    assert chosen(far, Candidate(CHEAP, expected=0.2)) == "cheap"


def test_among_equals_where_an_answer_is_expected_first() -> None:
    near, twin = Candidate(NEAR, expected=0.04), Candidate(TWIN, expected=0.05)
    assert chosen(near, twin) == "near"
    assert chosen(replace(near, outstanding=1), twin) == "twin"
    assert chosen(replace(near, expected=0.05), twin) == "near", "in the order they are given"


def test_who_was_not_asked_for_long_is_tried_only_where_nobody_is_likely() -> None:
    dark = Candidate(NEAR, chance=0.1, explore=True)
    assert chosen(dark) == "near"
    assert chosen(dark, Candidate(FAR, chance=0.9)) == "far"
    choice = place([Candidate(NEAR, chance=0.1)], LEAST)
    assert choice.reason is Reason.TOO_LATE and "near: 10% in time" in choice.detail


def test_what_came_nearest_says_what_is_missing() -> None:
    down, broken = (Reason.LINK_DOWN, "reset"), (Reason.BREAKER_OPEN, "3 failed")
    choice = place([Candidate(NEAR, down), Candidate(TWIN, broken), Candidate(FAR, down)], LEAST)
    assert choice.reason is Reason.BREAKER_OPEN
    assert choice.detail == "near: reset; twin: 3 failed; far: reset"
    assert place([], LEAST).reason is Reason.NO_ENDPOINT


@given(
    st.lists(
        st.builds(
            Candidate,
            endpoint=st.sampled_from([NEAR, TWIN, FAR, CHEAP]),
            obstacle=st.sampled_from([None, WITHHELD, (Reason.LINK_DOWN, "reset")]),
            chance=st.floats(0.0, 1.0),
            expected=st.floats(0.0, 1.0),
            outstanding=st.integers(0, 3),
            stalled=st.booleans(),
            explore=st.booleans(),
        ),
        max_size=4,
        unique_by=lambda candidate: candidate.endpoint,
    )
)
@settings(max_examples=60, deadline=None)
def test_only_where_it_may_and_can_go_and_all_are_accounted_for(
    candidates: list[Candidate],
) -> None:
    choice = place(candidates, LEAST)
    able = [c for c in candidates if c.obstacle is None and (c.chance >= LEAST or c.explore)]
    assert (choice.endpoint is None) == (not able) == (choice.reason is not None)
    assert choice.endpoint in [None, *(c.endpoint for c in able)]
    assert all(c.endpoint.name in choice.detail for c in candidates)
