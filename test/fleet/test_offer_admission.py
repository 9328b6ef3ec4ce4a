"""What all work together may spend on the fleet."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_robot.fleet.admission import Admission, Budgets, Price

PRICE = Price(size=60e3, energy=0.3, money=0.01)


@pytest.mark.parametrize(
    ("budgets", "name"),
    [
        (Budgets(byte_rate=60e3, byte_burst=120e3), "bytes"),
        (Budgets(power=0.3, energy_burst=0.6), "energy"),
        (Budgets(spending_rate=0.01, money_burst=0.02), "money"),
    ],
)
def test_each_budget_bears_its_burst_then_its_rate(budgets: Budgets, name: str) -> None:
    admission = Admission(budgets)
    assert [admission.spend(PRICE, 10.0) for _ in range(2)] == ["", ""]
    assert admission.spend(PRICE, 10.0).startswith(name)
    assert admission.lacks(PRICE, 10.9).startswith(name)
    assert not admission.spend(PRICE, 11.01)


def test_without_budgets_nothing_is_refused() -> None:
    assert not Admission(Budgets()).spend(Price(1e12, 1e12, 1e12), 0.0)


@given(
    st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 5.0), st.floats(0.0, 5.0)), max_size=30)
)
@settings(max_examples=30, deadline=None)
def test_what_one_budget_refuses_costs_the_others_nothing(
    steps: list[tuple[float, float, float]],
) -> None:
    admission = Admission(Budgets(1.0, 3.0, 1.0, 3.0))
    probes = [Price(0.2 * amount, 0.2 * amount, 0.0) for amount in range(16)]
    now = size = energy = 0.0
    for pause, more_bytes, more_energy in steps:
        now += pause
        price = Price(more_bytes, more_energy, 0.0)
        before = [admission.lacks(probe, now) for probe in probes]
        lacking = admission.spend(price, now)
        if lacking:
            assert [admission.lacks(probe, now) for probe in probes] == before
        else:
            size, energy = size + more_bytes, energy + more_energy
        assert size <= 3.0 + now + 1e-6 and energy <= 3.0 + now + 1e-6
