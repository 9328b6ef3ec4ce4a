"""Floors to plan on: maps of offices, warehouses, mazes and clutter, by seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_robot.planning.costmap import Grid

_FREE, _OCCUPIED = -4, 6  # evidence, as a costmap that has seen all
_WALL = 0.15  # m


def floor(kind: str, side: float, resolution: float, seed: int) -> Grid:
    """Return evidence on a square floor with a wall around.

    Args:
        kind: One of `KINDS`.
        side: Of the floor, m.
        resolution: Side of a cell, m.
        seed: Of whatever is left to chance.
    """
    count = round(side / resolution)
    values = np.full((count, count), _FREE, np.int8)

    def draw(x: float, y: float, width: float, height: float, value: int = _OCCUPIED) -> None:
        low_x, low_y, high_x, high_y = (
            max(0, round(v / resolution)) for v in (x, y, x + width, y + height)
        )
        values[low_y:high_y, low_x:high_x] = value

    KINDS[kind](draw, side, np.random.default_rng(seed))
    for x, y, width, height in (
        (0.0, 0.0, side, _WALL),
        (0.0, side - _WALL, side, _WALL),
        (0.0, 0.0, _WALL, side),
        (side - _WALL, 0.0, _WALL, side),
    ):
        draw(x, y, width, height)
    return Grid(values, (0.0, 0.0), resolution)


_Draw = Callable[..., None]


def _office(draw: _Draw, side: float, random: np.random.Generator) -> None:
    """Draw rooms of 5 m either side of corridors, most with a door, each with desks."""
    room, corridor, door = 5.0, 2.0, 0.9
    y = 0.0
    while y < side:
        for wall in (y + room, y + room + corridor, y + 2 * room + corridor):
            draw(0.0, wall, side, _WALL)
        for x in np.arange(0.0, side, room):
            for low, wall in ((y, y + room), (y + room + corridor, y + room + corridor)):
                draw(x, low, _WALL, room)
                at = x + random.uniform(0.3, room - door - 0.3)
                draw(at, wall, door, _WALL, _FREE)
                for _ in range(2):
                    desk_x, desk_y = random.uniform(0.5, room - 2.0, 2)
                    draw(x + desk_x, low + desk_y, 1.6, 0.8)
        # From one corridor to the next.
        for at in random.uniform(0.0, side - 1.5, max(1, int(side / 15))):
            draw(at, y + room + corridor, 1.5, room + 2 * _WALL, _FREE)
            draw(at, y + 2 * room + corridor, 1.5, room + _WALL, _FREE)
        y += 2 * room + corridor


def _warehouse(draw: _Draw, side: float, random: np.random.Generator) -> None:
    """Draw rows of shelves with aisles between, some blocked by pallets."""
    for y in np.arange(3.0, side - 3.0, 3.2):
        for x in np.arange(3.0, side - 10.0, 12.0):
            draw(x, y, 10.0, 1.2)
            if random.random() < 0.3:
                draw(x + random.uniform(0.0, 8.0), y + 1.2, 1.2, random.uniform(0.8, 2.0))


def _maze(draw: _Draw, side: float, random: np.random.Generator) -> None:
    """Draw a maze of corridors 2 m wide with one way, and no more, between any two places."""
    pitch = 2.0
    count = int(side / pitch)
    for k in range(count + 1):
        draw(0.0, k * pitch, side, _WALL)
        draw(k * pitch, 0.0, _WALL, side)
    seen = np.zeros((count, count), bool)
    stack = [(0, 0)]
    seen[0, 0] = True
    while stack:
        i, j = stack[-1]
        ways = [
            (a, b)
            for a, b in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1))
            if 0 <= a < count and 0 <= b < count and not seen[a, b]
        ]
        if not ways:
            stack.pop()
            continue
        a, b = ways[random.integers(len(ways))]
        long = pitch - _WALL
        if a == i:
            draw(max(j, b) * pitch, i * pitch + _WALL, _WALL, long, _FREE)
        else:
            draw(j * pitch + _WALL, max(i, a) * pitch, long, _WALL, _FREE)
        seen[a, b] = True
        stack.append((a, b))


def _clutter(draw: _Draw, side: float, random: np.random.Generator) -> None:
    """Draw boxes of 0.2 to 1.5 m anywhere, on about a quarter of the floor."""
    for _ in range(int(0.35 * side * side)):
        draw(*random.uniform(0.0, side, 2), *random.uniform(0.2, 1.5, 2))


KINDS: dict[str, Callable[[_Draw, float, np.random.Generator], None]] = {
    "office": _office,
    "warehouse": _warehouse,
    "maze": _maze,
    "clutter": _clutter,
}
