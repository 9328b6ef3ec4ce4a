"""The circuit breaker on a fake clock."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fleet.breaker import BreakerState, CircuitBreaker

FAILURES = 3


def closed(now: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(threshold=FAILURES, pause=1.0, max_pause=8.0, jitter=lambda: 0.999)
    breaker.link_found(now)
    assert breaker.allows(now)
    breaker.started()
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    return breaker


def test_offers_nothing_before_there_is_a_link() -> None:
    breaker = CircuitBreaker()
    assert not breaker.allows(1e9)


def test_a_found_link_is_tried_with_one_request() -> None:
    breaker = CircuitBreaker()
    breaker.link_found(5.0)
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.allows(5.0)
    breaker.started()
    assert not breaker.allows(5.0)
    breaker.succeeded()
    assert breaker.allows(5.0) and breaker.state is BreakerState.CLOSED


def test_a_trial_that_is_cancelled_decides_nothing() -> None:
    breaker = CircuitBreaker()
    breaker.link_found(5.0)
    assert breaker.allows(5.0)
    breaker.started()
    breaker.abandoned()
    assert breaker.state is BreakerState.HALF_OPEN and breaker.allows(5.0)


def test_failures_in_a_row_open_it_and_pauses_double_to_a_limit() -> None:
    breaker = closed()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0, "wrong shape")
    breaker.succeeded()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0, "wrong shape")
    assert breaker.state is BreakerState.CLOSED, "only failures in a row count"
    breaker.failed(0.0, "wrong shape")
    assert breaker.state is BreakerState.OPEN and "wrong shape" in breaker.cause

    now, pauses = 0.0, []
    for _ in range(6):
        begun = now
        while not breaker.allows(now):
            now += 0.01
        pauses.append(now - begun)
        breaker.started()
        breaker.failed(now, "wrong shape")
    assert all(a <= b + 0.02 for a, b in pairwise(pauses))
    assert 0.4 < pauses[0] < 1.1 and 7.5 < pauses[-1] < 8.1


@given(
    st.lists(
        st.sampled_from(["ok", "fail", "start", "drop", "lost", "found", "wait"]), max_size=100
    )
)
@settings(max_examples=60, deadline=None)
def test_invariants(events: list[str]) -> None:
    breaker = CircuitBreaker(threshold=FAILURES)
    link, now, in_a_row = False, 0.0, 0
    for event in events:
        if event == "ok":
            breaker.succeeded()
            in_a_row = 0
        elif event == "fail":
            breaker.failed(now, "error")
            in_a_row += 1
        elif event == "start":
            if breaker.allows(now):
                breaker.started()
        elif event == "drop":
            breaker.abandoned()
        elif event == "lost":
            breaker.link_lost()
            link = False
        elif event == "found":
            breaker.link_found(now)
            link, in_a_row = True, 0
        else:
            now += 3.0
        if not link:
            assert not breaker.allows(now), "no link, no work"
        if breaker.state is BreakerState.CLOSED:
            assert in_a_row < FAILURES
    breaker.link_found(now)
    assert breaker.allows(now), "a link that came back is tried at once"
