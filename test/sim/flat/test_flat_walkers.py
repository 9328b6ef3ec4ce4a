from __future__ import annotations

import numpy as np
import pytest

from edge_robot.sim.flat.drive import drive
from edge_robot.sim.flat.interface import Odometry, Scan
from edge_robot.sim.flat.moving_worlds import COUNT, KINDS, moving_world
from edge_robot.sim.flat.setting import NOMINAL
from edge_robot.sim.flat.walkers import Walkers, WalkersConfig
from edge_robot.sim.flat.world import World

NOWHERE = (-99.0, 0.0)
STILL = np.zeros(2)
WALL = np.array([[0.0, 99.0, 1.0]])


def people(*routes: list[tuple[float, float]], sociable: bool = True) -> WalkersConfig:
    count = len(routes)
    return WalkersConfig(
        np.array(routes), np.zeros(count), np.full(count, 1.2), np.full(count, 0.25), sociable, 0.0
    )


def walk(walkers: Walkers, seconds: float) -> list[np.ndarray]:
    places = []
    for _ in range(round(seconds / 0.05)):
        walkers.decide(0.05, NOWHERE, STILL)
        walkers.move(0.05)
        places.append(walkers.position.copy())
    return places


@pytest.mark.parametrize("sociable", [True, False])
def test_two_who_meet_make_way_only_if_they_are_sociable(sociable: bool) -> None:
    config = people([(0, 0), (6, 0.1)], [(6, 0), (0, -0.1)], sociable=sociable)
    places = np.array(walk(Walkers(config, WALL, 1), 4.0))
    nearest = np.hypot(*(places[:, 0] - places[:, 1]).T).min()
    assert nearest > 0.5 if sociable else nearest < 0.2


def test_walkers_turn_round_where_their_route_ends() -> None:
    walkers = Walkers(people([(0, 0), (3, 0)], sociable=False), WALL, 0)
    x = np.array(walk(walkers, 9.0))[:, 0, 0]
    assert 2.4 < x.max() < 3.5 and x[-1] < x.max() - 1.0
    assert x.min() > -0.1


def test_people_keep_off_walls() -> None:
    x = np.arange(-1.0, 8.0, 0.2)
    wall = np.column_stack((x, np.zeros_like(x), np.full_like(x, 0.1)))
    walkers = Walkers(people([(0, 0.8), (6, 0.3)]), wall, 0)
    assert np.array(walk(walkers, 4.0))[:, 0, 1].min() > 0.35


def test_the_sixty_worlds_are_the_same_for_everybody_and_begin_free() -> None:
    kinds = []
    for number in range(COUNT):
        moving = moving_world(number)
        np.testing.assert_array_equal(moving.walkers.routes, moving_world(number).walkers.routes)
        kinds.append(moving.kind)
        discs = np.vstack((moving.world.cylinders, Walkers(moving.walkers, WALL, 0).discs))
        assert (np.hypot(discs[:, 0], discs[:, 1]) - discs[:, 2]).min() > 0.8
    assert {kinds.count(kind) for kind in KINDS} == {20}


class Stands:
    def step(
        self, time: float, scan: Scan, odometry: Odometry, goal: tuple[float, float]
    ) -> tuple[float, float]:
        return 0.0, 0.0


def test_who_walks_into_a_standing_robot_is_told_apart() -> None:
    world = World(0, WALL, (0.0, 0.0, 0.0), (5.0, 0.0), np.empty((0, 2)))
    outcome = drive(world, Stands(), NOMINAL, 0, people([(3, 0), (-3, 0)], sociable=False))
    assert outcome.collided and outcome.struck
    assert outcome.gaps[0] == pytest.approx(3 - 0.229 - 0.25)
    assert outcome.gaps[-1] < 0.05
