"""Warehouses are the same for the same seed, solvable, and give people room."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_robot.errors import UserError
from edge_robot.sim.layout import Footprint, Router, clearance, length
from edge_robot.sim.scenario import (
    CLOSED_GAP,
    MIN_GAP,
    PERSON_MARGIN,
    Scenario,
)

SEEDS = range(4)


@pytest.fixture(scope="module", params=[(seed, wild) for wild in (False, True) for seed in SEEDS])
def scenario(request: pytest.FixtureRequest) -> Scenario:
    seed, wild = request.param
    return Scenario.generate(seed, randomise=wild)


def test_same_seed_same_scenario_and_others_differ() -> None:
    assert Scenario.generate(3) == Scenario.generate(3)
    assert Scenario.generate(3) != Scenario.generate(4)
    assert Scenario.generate(3, randomise=True) != Scenario.generate(3)


def test_reference_route_is_wide_enough_all_along(scenario: Scenario) -> None:
    route = np.array(scenario.reference_route)
    assert 25.0 <= length(route) <= 35.0
    assert (route[0] == (scenario.start.x, scenario.start.y)).all()
    assert (route[-1] == (scenario.goal.x, scenario.goal.y)).all()
    dense = np.concatenate(
        [a + np.linspace(0, 1, 200)[:, None] * (b - a) for a, b in itertools.pairwise(route)]
    )
    assert clearance(scenario.footprints, dense).min() > MIN_GAP / 2 - 0.03


def test_robot_can_leave_the_reference_route_and_still_arrive(scenario: Scenario) -> None:
    router = Router(scenario.size, scenario.footprints, 0.45, cell=0.1)
    start, goal = (np.array([p.x, p.y]) for p in (scenario.start, scenario.goal))
    assert router.route(start, goal) is not None


def test_gaps_are_closed_or_wide(scenario: Scenario) -> None:
    items = {item.footprint.name for item in scenario.items}
    assert items
    for a, b in itertools.combinations(scenario.footprints, 2):
        if a.name in items or b.name in items:
            gap = a.gap(b)
            assert 0.0 < gap < CLOSED_GAP or gap >= MIN_GAP - 1e-9, (a.name, b.name)


def test_people_keep_clear_of_what_stands_and_of_the_start(scenario: Scenario) -> None:
    assert len(scenario.people) >= 4
    for person in scenario.people:
        route = np.array(person.route)
        dense = np.concatenate(
            [a + np.linspace(0, 1, 100)[:, None] * (b - a) for a, b in itertools.pairwise(route)]
        )
        assert clearance(scenario.footprints, dense).min() > PERSON_MARGIN - 0.03
        for end in (scenario.start, scenario.goal):
            assert np.hypot(*(dense - (end.x, end.y)).T).min() > 1.3
        assert 0.6 <= person.speed <= 1.3


def test_nobody_turns_round_on_the_drive(scenario: Scenario) -> None:
    drive = np.array(scenario.reference_route)
    dense = np.concatenate(
        [a + np.linspace(0, 1, 200)[:, None] * (b - a) for a, b in itertools.pairwise(drive)]
    )
    for person in scenario.people:
        for end in (person.route[0], person.route[-1]):
            assert np.hypot(*(dense - end).T).min() > 1.25
        legs = np.diff(np.array(person.route), axis=0)
        assert (legs[1:] * legs[:-1]).sum(axis=1).min() >= 0.0, "a hairpin"


def test_people_cross_the_way() -> None:
    for seed in SEEDS:
        scenario = Scenario.generate(seed)
        drive = np.array(scenario.reference_route)
        dense = np.concatenate(
            [a + np.linspace(0, 1, 100)[:, None] * (b - a) for a, b in itertools.pairwise(drive)]
        )
        crossing = sum(
            any(np.hypot(*(dense - point).T).min() < 0.2 for point in np.array(person.route))
            for person in scenario.people
        )
        assert crossing >= len(scenario.people) // 2


@pytest.mark.parametrize("count", [0, 1, 20])
def test_number_of_people_can_be_chosen(count: int) -> None:
    assert len(Scenario.generate(2, people=count).people) == count


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(UserError, match="seed -1"):
        Scenario.generate(-1)
    with pytest.raises(UserError, match="99 people"):
        Scenario.generate(1, people=99)


def test_distance_to_a_turned_rectangle() -> None:
    box = Footprint("b", "box", 1.0, 2.0, np.pi / 2, length=4.0, width=2.0)
    points = np.array([[1.0, 2.0], [3.0, 2.0], [1.0, 5.0], [5.0, 8.0]])
    assert box.distance(points) == pytest.approx([-1.0, 1.0, 1.0, 5.0])
    assert sorted(map(tuple, box.polygon().round(9).tolist())) == [(0, 0), (0, 4), (2, 0), (2, 4)]
    other = Footprint("c", "box", 4.0, 2.0, 0.0, length=1.0, width=1.0)
    assert box.gap(other) == pytest.approx(1.5)
