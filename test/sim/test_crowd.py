"""People walk, keep clear of things and of each other, and halt only for a robot in their way."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_robot.sim.crowd import HALT_GAP, RADIUS, ROBOT_RADIUS, Crowd
from edge_robot.sim.layout import clearance
from edge_robot.sim.scenario import Scenario

DT = 0.02


@pytest.fixture(scope="module")
def throng() -> Scenario:
    return Scenario.generate(6, people=12)


@pytest.fixture
def walker(warehouse: Scenario) -> Crowd:
    """One person about to walk 10 m along x from the origin at 1 m/s."""
    person = dataclasses.replace(
        warehouse.people[0], route=((0.0, 0.0), (10.0, 0.0)), start=0.0, speed=1.0
    )
    return Crowd(dataclasses.replace(warehouse, people=(person,)))


def walk(crowd: Crowd, seconds: float, robot: tuple[float, float] | None = None) -> None:
    for _ in range(round(seconds / DT)):
        crowd.step(DT, robot)


def test_a_minute_without_touching_anything(throng: Scenario) -> None:
    crowd = Crowd(throng)
    before, walked = crowd.position.copy(), np.zeros(len(throng.people))
    nearest_thing, nearest_person = np.inf, np.inf
    for _ in range(round(60 / DT)):
        crowd.step(DT, None)
        steps = np.hypot(*(crowd.position - before).T)
        assert (steps <= 1.3 * DT + 1e-9).all(), "somebody jumped"
        walked += steps
        before = crowd.position.copy()
        nearest_thing = min(nearest_thing, clearance(throng.footprints, crowd.position).min())
        apart = np.hypot(*(crowd.position[:, None] - crowd.position).transpose(2, 0, 1))
        nearest_person = min(nearest_person, apart[np.triu_indices(len(apart), 1)].min())
    assert nearest_thing > RADIUS + 0.15
    assert nearest_person > 2 * RADIUS
    assert (walked > 15.0).all(), "somebody stood about"


def test_walks_at_their_speed_and_back(walker: Crowd) -> None:
    walk(walker, 5.0)
    assert walker.position[0] == pytest.approx([5.0, 0.0], abs=0.05)
    assert walker.velocity[0] == pytest.approx([1.0, 0.0])
    walk(walker, 10.0)
    assert walker.velocity[0] == pytest.approx([-1.0, 0.0])


def test_halts_right_in_front_of_the_robot(walker: Crowd) -> None:
    walk(walker, 5.0, robot=(3.0, 0.0))
    gap = 3.0 - walker.position[0, 0] - RADIUS - ROBOT_RADIUS
    assert walker.velocity[0] == pytest.approx([0.0, 0.0])
    assert gap == pytest.approx(HALT_GAP, abs=0.03)
    assert walker.stride[0] < 0.05


def test_pays_no_attention_to_a_robot_beside_or_behind(walker: Crowd) -> None:
    walk(walker, 3.0, robot=(2.0, 0.7))
    assert walker.position[0, 0] == pytest.approx(3.0, abs=0.05)
    walk(walker, 1.0, robot=(2.6, 0.0))
    assert walker.velocity[0] == pytest.approx([1.0, 0.0])


def test_turns_back_when_the_robot_does_not_move(walker: Crowd) -> None:
    walk(walker, 7.8, robot=(3.0, 0.0))
    assert walker.velocity[0, 0] == pytest.approx(-1.0)


def test_same_scenario_same_walk(throng: Scenario) -> None:
    first, second = Crowd(throng), Crowd(throng)
    walk(first, 10.0)
    walk(second, 10.0)
    assert (first.place == second.place).all()
    assert (first.phase == second.phase).all()
