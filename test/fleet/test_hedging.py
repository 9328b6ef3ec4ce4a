"""Second requests: how many, when, and what they are worth, in a simulation of two replicas."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fleet.hedging import MEMORY, WARM_UP, WINDOW, HedgePolicy

CAP = 0.05
STALL = 1.0
"""Of a request that was lost, s."""


@dataclass
class Outcome:
    """What became of the requests of a simulated drive."""

    times: dict[int, float] = field(default_factory=dict)
    alone: list[float] = field(default_factory=list)  # what each would have taken without a second
    seconds: list[int] = field(default_factory=list)  # requests that were asked a second time


def drive(cap: float, count: int = 4000, lost: float = 0.02) -> Outcome:
    """Ask 30 times a second; answers take 40 ± 30 ms, log-normal, and a stall if lost."""
    rng, policy, out = random.Random(1), HedgePolicy(cap), Outcome()
    spread = math.log(1.0 + (30.0 / 40.0) ** 2)

    def response_time() -> float:
        delay = rng.lognormvariate(math.log(0.040) - spread / 2.0, math.sqrt(spread))
        return delay + (STALL if rng.random() < lost else 0.0)

    events = [(number / 30.0, "send", number) for number in range(count)]
    while events:
        now, kind, number = heapq.heappop(events)
        begun = number / 30.0
        if kind == "send":
            policy.sent()
            out.alone.append(response_time())
            heapq.heappush(events, (now + out.alone[-1], "first", number))
            if policy.delay < math.inf:
                heapq.heappush(events, (now + policy.delay, "slow", number))
        elif number in out.times:
            continue
        elif kind == "slow" and policy.take():
            out.seconds.append(number)
            heapq.heappush(events, (now + response_time(), "second", number))
        elif kind == "slow":
            heapq.heappush(events, (now + 0.02, "slow", number))
        else:
            out.times[number] = now - begun
            policy.answered(now - begun if kind == "first" else math.inf)
    return out


def test_the_tail_is_cut_by_spending_on_the_worst_alone() -> None:
    out = drive(CAP)
    alone = np.array(out.alone)
    times = np.array([out.times[number] for number in range(len(alone))])
    assert np.quantile(alone, 0.99) > 5.0 * np.quantile(times, 0.99)
    assert len(out.seconds) <= CAP * len(alone)
    assert np.quantile(alone[out.seconds], 0.1) > np.quantile(alone, 0.9)
    stalled = np.flatnonzero(alone > STALL)
    assert len(set(stalled) & set(out.seconds)) > 0.9 * len(stalled[stalled > WARM_UP])


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=700),
    st.floats(0.0, 0.3),
)
@settings(max_examples=30, deadline=None)
def test_the_cap_holds_over_every_window_and_from_the_start(asked: list[int], cap: float) -> None:
    policy, seconds = HedgePolicy(cap), []
    for times in asked:
        policy.sent()
        seconds.append(sum(policy.take() for _ in range(times)))
    total = np.concatenate([[0], np.cumsum(seconds)])
    for end in range(1, len(total)):
        assert total[end] <= cap * end
        assert total[end] - total[max(0, end - WINDOW)] <= cap * WINDOW


def test_nobody_is_asked_twice_before_it_is_known_what_is_slow() -> None:
    policy = HedgePolicy(CAP)
    for _ in range(WARM_UP - 1):
        policy.answered(0.04)
    assert policy.delay == math.inf
    policy.answered(0.04)
    assert policy.delay == 0.04


@given(st.lists(st.floats(0.001, 2.0) | st.just(math.inf), min_size=WARM_UP, max_size=500))
@settings(max_examples=10, deadline=None)
def test_as_many_are_slower_than_the_delay_as_may_be_asked_twice(times: list[float]) -> None:
    policy = HedgePolicy(CAP)
    for elapsed in times:
        policy.answered(elapsed)
    recent = np.array(times[-MEMORY:])
    assert np.mean(recent > policy.delay) <= max(CAP, np.mean(recent == math.inf))
    assert np.mean(recent >= policy.delay) >= CAP


def test_after_an_outage_the_slow_are_still_asked_twice() -> None:
    policy = HedgePolicy(CAP)
    for elapsed in [0.04] * WARM_UP + [math.inf] * WARM_UP:
        policy.answered(elapsed)
    assert policy.delay == 0.04
