"""Predictions of a link held against what then happens on simulated links."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fleet.estimation import LinkEstimate, RoundTrips

Delay = Callable[[float, np.random.Generator], float]
TIMEOUT = 1.0
SIZES = (20_000, 60_000)
BUDGETS = (0.1, 0.15, 0.2, 0.3, 0.5)


def gamma(mean: float, spread: float) -> Delay:
    return lambda _, random: mean + float(random.gamma(2.0, spread / 2.0))


def heavy_tailed(_: float, random: np.random.Generator) -> float:
    return 0.05 + 0.02 * float(random.pareto(2.5)) + 0.2 * (random.random() < 0.05)


def service(_: float, random: np.random.Generator) -> float:
    return float(random.lognormal(math.log(0.03), 0.3))


def alternating(first: float, second: float) -> Callable[[float], float]:
    """One value for 20 s, the other for the next."""
    return lambda now: first if now // 20.0 % 2 == 0 else second


class Run:
    """Requests at 5 Hz and heartbeats at 40 Hz over a simulated link, each asked about before."""

    def __init__(
        self,
        seed: int,
        delay: Delay,
        bandwidth: Callable[[float], float] = lambda _: 1e6,
        service: Delay = service,
        duration: float = 120.0,
        tells_service: bool = True,
    ) -> None:
        random = np.random.default_rng(seed)
        round_trips = RoundTrips()
        estimate = LinkEstimate(round_trips)
        arrivals: list[tuple[float, int, Callable[[], None]]] = []
        order = itertools.count()
        predicted, happened = [], []

        def later(at: float, then: Callable[[], None]) -> None:
            heapq.heappush(arrivals, (at, next(order), then))

        def heartbeat(now: float) -> None:
            took = delay(now, random)
            later(now + took, lambda: round_trips.add(took, now + took))

        def request(now: float) -> None:
            size, budget = int(random.choice(SIZES)), float(random.choice(BUDGETS))
            served = service(now, random)
            took = delay(now, random) + served + size / bandwidth(now)
            if now > 3.0:
                predicted.append(estimate.chance_in_time(size, budget, now))
                happened.append(took <= budget)
            told = served if tells_service else 0.0
            if took <= TIMEOUT:
                later(now + took, lambda: estimate.add_answer(size, took, told, now + took))
            else:
                end = now + TIMEOUT
                later(end, lambda: estimate.add_unanswered(size, TIMEOUT, end))

        for tick in range(int(duration * 40)):
            now = tick / 40.0
            while arrivals and arrivals[0][0] <= now:
                heapq.heappop(arrivals)[2]()
            heartbeat(now)
            if tick % 8 == 0:
                request(now)
        self.predicted, self.happened = np.array(predicted), np.array(happened)

    def bias(self, low: float, high: float) -> float:
        """Predicted minus observed share among predictions in a range."""
        among = (self.predicted >= low) & (self.predicted <= high)
        return float(self.predicted[among].mean() - self.happened[among].mean())

    def skill(self) -> float:
        """Brier skill score: 1 where all is foreseen, 0 where a constant would do as well."""
        score = np.mean((self.predicted - self.happened) ** 2)
        return float(1.0 - score / self.happened.var())


LINKS = {
    "stationary": lambda seed: Run(seed, gamma(0.02, 0.02)),
    "backend does not tell": lambda seed: Run(seed, gamma(0.02, 0.02), tells_service=False),
    "heavy tail": lambda seed: Run(seed, heavy_tailed),
    "steps of round trip": lambda seed: Run(
        seed, lambda now, random: alternating(0.02, 0.12)(now) + float(random.gamma(2.0, 0.01))
    ),
    "steps of service": lambda seed: Run(
        seed,
        gamma(0.02, 0.02),
        service=lambda now, random: alternating(0.03, 0.15)(now) * float(random.lognormal(0, 0.3)),
    ),
    "drops of bandwidth": lambda seed: Run(
        seed, gamma(0.02, 0.02), bandwidth=alternating(1e6, 2e5)
    ),
    "bandwidth all but gone": lambda seed: Run(
        seed, gamma(0.02, 0.02), bandwidth=alternating(1e6, 2e4)
    ),
}


@pytest.mark.parametrize("link", LINKS)
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 1000))
def test_the_predicted_chance_is_the_frequency_that_is_then_seen(link: str, seed: int) -> None:
    run = LINKS[link](seed)
    assert abs(run.bias(0.0, 1.0)) < 0.05
    # Where almost nothing passes for 20 s, some of what was sent just before is late.
    surprise = 0.2 if link == "bandwidth all but gone" else 0.08
    assert run.bias(0.9, 1.0) < surprise, "sure, and wrong"
    assert run.bias(0.0, 0.1) > -0.08, "ruled out, and happened"
    assert run.skill() > 0.45


def link(round_trip: float = 0.01) -> LinkEstimate:
    """An estimate that has heard heartbeats, and of no request."""
    round_trips = RoundTrips()
    for beat in range(40):
        round_trips.add(round_trip, beat / 40.0)
    return LinkEstimate(round_trips)


events = st.lists(
    st.tuples(
        st.floats(0.0, 10.0),  # s since the last
        st.integers(1, 10**9),
        st.floats(0.0, 100.0),
        st.floats(-1e6, 1e6),  # what a backend says it needed, whatever that is
        st.booleans(),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=50)
@given(events=events, size=st.integers(1, 10**9))
def test_whatever_happened_a_chance_is_one_and_grows_with_the_budget(
    events: list[tuple[float, int, float, float, bool]], size: int
) -> None:
    estimate, now = link(), 1.0
    for pause, sent, elapsed, served, answered in events:
        now += pause
        if answered:
            estimate.add_answer(sent, elapsed, served, now)
        else:
            estimate.add_unanswered(sent, elapsed, now)
        estimate._round_trips.add(elapsed, now)
    chances = [estimate.chance_in_time(size, budget, now) for budget in (0.0, 0.1, 1.0, 10.0, 1e9)]
    assert chances == sorted(chances) and 0.0 <= chances[0] <= chances[-1] <= 1.0 + 1e-9
    within = [estimate.quantile(share, size, now) for share in (0.1, 0.5, 0.9)]
    assert within == sorted(within)
    for share, time in zip((0.1, 0.5, 0.9), within, strict=True):
        assert math.isinf(time) or estimate.chance_in_time(size, time + 1e-9, now) >= share


def test_hope_for_an_answer_is_given_up_after_what_almost_all_took() -> None:
    estimate = LinkEstimate(RoundTrips())
    for number in range(100):
        now = number * 0.1
        if number == 50:
            assert estimate.almost_surely_within(1000, now) == math.inf, "too few to tell"
        estimate.add_answer(1000, 0.2 if number == 60 else 0.01, 0.0, now)
    assert 0.01 <= estimate.almost_surely_within(1000, 10.0) < 0.02
    for number in range(5):
        estimate.add_unanswered(1000, 0.3, 10.0 + number * 0.1)
    assert estimate.almost_surely_within(1000, 10.5) == math.inf, "not as many are answered"


def test_before_the_first_request_it_believes_the_heartbeats() -> None:
    assert LinkEstimate(RoundTrips()).chance_in_time(10_000, 0.001, 0.0) == 1.0
    assert link(0.05).chance_in_time(10_000, 0.04, 1.0) == 0.0
    assert link(0.05).expected(10_000, 1.0) == 0.05
    assert math.isnan(link().bandwidth)


def test_levels_are_told_apart_and_a_smaller_request_is_predicted_to_be_faster() -> None:
    estimate = link(0.01)
    for number in range(20):
        size = 10_000 + 1_000 * number
        estimate.add_answer(size, 0.01 + 0.03 + size / 1e6, 0.03, 1.0 + 0.1 * number)
    now = 3.0
    assert estimate.service == pytest.approx(0.03)
    assert estimate.bandwidth == pytest.approx(1e6, rel=0.01)
    assert estimate.expected(100_000, now) == pytest.approx(0.14, abs=0.01)
    assert estimate.chance_in_time(100_000, 0.1, now) < 0.1
    assert estimate.chance_in_time(20_000, 0.1, now) > 0.9


def test_a_drop_of_bandwidth_is_followed_in_three_requests_however_seldom_they_are() -> None:
    estimate = link(0.01)
    for number in range(15):
        estimate.add_answer(50_000, 0.01 + 0.05, 0.0, 1.0 + number)
    for number in range(3):
        estimate.add_answer(50_000, 0.01 + 0.5, 0.0, 16.0 + number)
    assert estimate.chance_in_time(50_000, 0.2, 18.0) < 0.1
    assert estimate.bandwidth == pytest.approx(1e5)


def test_what_was_given_up_counts_as_longer_and_not_as_lost() -> None:
    """Hedged requests are cancelled as a rule; taking them for lost would rule the link out."""
    estimate, given_up = link(), 0
    random = np.random.default_rng(1)
    chances = []
    for number in range(160):
        now, took = 1.0 + 0.1 * number, float(random.uniform(0.0, 0.4))
        if took > 0.2 and number % 2:
            estimate.add_unanswered(1_000, 0.2, now)
            given_up += 1
        else:
            estimate.add_answer(1_000, took, 0.0, now)
        chances.append([estimate.chance_in_time(1_000, budget, now) for budget in (0.1, 0.3)])
    assert given_up > 20
    assert np.mean(chances[40:], axis=0) == pytest.approx([0.25, 0.75], abs=0.08)


def test_after_bad_times_silence_brings_the_link_back() -> None:
    estimate, now = link(), 1.0
    for _ in range(60):
        now += 0.2
        estimate.add_unanswered(50_000, 1.0, now)
    assert estimate.chance_in_time(50_000, 0.3, now) < 0.05
    assert estimate.chance_in_time(50_000, 0.3, now + 3.0) < 0.3, "not at once"
    assert estimate.chance_in_time(50_000, 0.3, now + 12.0) > 0.9
    # One answer then says more than all that went before.
    estimate.add_answer(50_000, 0.05, 0.0, now + 12.0)
    for _ in range(4):
        now += 0.2
        estimate.add_answer(50_000, 0.05, 0.0, now + 12.0)
    assert estimate.chance_in_time(50_000, 0.3, now + 12.0) > 0.8
