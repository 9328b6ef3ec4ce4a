"""Sixty worlds with moving obstacles, by number: the same ones for everybody.

In turn: things that cross the way and mind nothing (as in DynaBARN: Nair et al., 2022), people who
walk across, and people who come along the corridor, both ways. The robot's task is 14 m straight
on, between two walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.flat.walkers import RADIUS, SPEED, SPEED_SIGMA, WalkersConfig
from edge_robot.sim.flat.world import World

COUNT = 60
KINDS = ("things", "crossing", "corridor")

_LENGTH = 14.0
_WIDTHS = {"things": 10.0, "crossing": 10.0, "corridor": 5.0}
_POST = 0.1
_FREE_START = 2.5  # m around the robot that nobody begins in


@dataclass(frozen=True)
class MovingWorld:
    """A world, and what moves in it.

    Attributes:
        kind: Of `KINDS`.
        world: What stands.
        walkers: What moves.
    """

    kind: str
    world: World
    walkers: WalkersConfig


def moving_world(number: int) -> MovingWorld:
    """Return world `number`."""
    kind = KINDS[number % len(KINDS)]
    random = np.random.default_rng((number, 0xC0D))
    half = _WIDTHS[kind] / 2
    x = np.arange(-2.0, _LENGTH + 3.0, 2 * _POST)
    walls = [np.column_stack((x, np.full_like(x, side))) for side in (-half, half)]
    posts = np.column_stack((random.uniform(3.0, _LENGTH - 3.0, 3), random.uniform(-2.0, 2.0, 3)))
    if kind == "things":
        posts = posts[:0]
    places = np.vstack((*walls, posts))
    radii = np.full(len(places), _POST)
    radii[len(places) - len(posts) :] = 0.2
    cylinders = np.column_stack((places, radii))
    world = World(
        number, cylinders, (0.0, 0.0, 0.0), (_LENGTH, 0.0), np.empty((0, 2)), timeout=60.0
    )
    return MovingWorld(kind, world, _MAKERS[kind](random, half - 0.6))


def _things(random: np.random.Generator, half: float) -> WalkersConfig:
    """Discs on crooked ways through the field, each at its own speed."""
    count = 12
    routes = np.stack(
        (random.uniform(1.5, _LENGTH, (count, 4)), random.uniform(-half, half, (count, 4))), -1
    )
    routes[:, 0, 0] = random.uniform(_FREE_START, _LENGTH, count)
    speed = random.uniform(0.4, 1.2, count)
    radius = random.uniform(0.2, 0.4, count)
    return WalkersConfig(routes, np.zeros(count), speed, radius, False, 0.0)


def _crossing(random: np.random.Generator, half: float) -> WalkersConfig:
    """People who walk from side to side."""
    count = 14
    x = random.uniform(_FREE_START, _LENGTH - 1.0, count)
    x = np.column_stack((x, x + random.uniform(-1.5, 1.5, count)))
    side = random.choice((-1.0, 1.0), count)
    routes = np.stack((x, half * np.column_stack((side, -side))), -1)
    return _people(random, routes)


def _corridor(random: np.random.Generator, half: float) -> WalkersConfig:
    """People who come towards the robot, and some who go its way."""
    count = 10
    begin = random.uniform(5.0, _LENGTH, count)
    y = random.uniform(-half, half, (count, 2))
    against = random.random(count) < 0.75
    end = np.where(against, -1.0, _LENGTH + 2.0)
    routes = np.stack((np.column_stack((begin, end)), y), -1)
    return _people(random, routes, start=0.0)


def _people(
    random: np.random.Generator, routes: NDArray[np.float64], start: float = 0.8
) -> WalkersConfig:
    count = len(routes)
    speed = np.clip(random.normal(SPEED, SPEED_SIGMA, count), 0.7, 2.0)
    began = random.uniform(0.0, start, count) if start else np.zeros(count)
    return WalkersConfig(routes, began, speed, np.full(count, RADIUS), True, MINDS_ROBOT)


MINDS_ROBOT = 0.2
"""How far people make way for the robot, compared with how they do for each other."""

_MAKERS = {"things": _things, "crossing": _crossing, "corridor": _corridor}
