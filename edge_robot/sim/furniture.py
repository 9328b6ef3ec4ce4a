"""What racks, pallets and forklifts are made of: boxes, and the wheels of a forklift.

Every part is in the frame on the floor in the middle of its bay or thing. Both worlds, MuJoCo's
and Gazebo's, are drawn from here.
"""

from __future__ import annotations

import itertools

import numpy as np

from edge_robot.sim.layout import Footprint
from edge_robot.sim.scenario import PLINTH_HEIGHT, Item, Part, Rack, Rgb

WOOD = 8
"""Index into `Scenario.surfaces`."""

DECK_HEIGHT = 0.144
"""Of one wooden pallet, m."""

_DARK: Rgb = (0.13, 0.13, 0.14)
_GREY: Rgb = (0.35, 0.36, 0.38)


def bay_frame(rack: Rack, number: int) -> list[Part]:
    """Return plinth, uprights, boards, beams and back of a bay; the goods are `Bay.goods`."""
    bay, length, depth = rack.bays[number], rack.bay_length, rack.footprint.width
    plinth = (length, depth - 0.04, PLINTH_HEIGHT)
    frame = [_box((0, 0, PLINTH_HEIGHT / 2), plinth, (0.30, 0.31, 0.33))]
    posts = [-length / 2 + 0.04]
    if number == len(rack.bays) - 1:
        posts.append(length / 2 - 0.04)
    sides = (-depth / 2 + 0.04, depth / 2 - 0.04)
    for x, y in itertools.product(posts, sides):
        frame.append(_box((x, y, rack.height / 2), (0.08, 0.08, rack.height), rack.upright_rgb))
    for level in rack.levels:
        frame.append(_box((0, 0, level), (length, depth - 0.06, 0.03), (0.62, 0.58, 0.50)))
        for y in (-depth / 2 + 0.02, depth / 2 - 0.02):
            frame.append(_box((0, y, level - 0.04), (length - 0.08, 0.04, 0.1), rack.beam_rgb))
    if bay.backed:
        panel = (length - 0.08, 0.02, rack.height - PLINTH_HEIGHT)
        middle = (0, 0, (rack.height + PLINTH_HEIGHT) / 2)
        frame.append(_box(middle, panel, (0.55, 0.57, 0.60)))
    return frame


def item_body(item: Item) -> list[Part]:
    """Return what an item is made of beside its load, which is `Item.parts`."""
    if item.footprint.kind == "forklift":
        return _forklift(item)
    return [part for deck in range(item.decks) for part in _deck(item.footprint, deck)]


def _deck(place: Footprint, number: int) -> list[Part]:
    """One wooden pallet: top boards, three bearers, bottom boards."""
    length, width, base = place.length, place.width, DECK_HEIGHT * number
    out = []
    for y in np.linspace(-width / 2 + 0.07, width / 2 - 0.07, 4).tolist():
        out.append(_board((0, y, base + 0.133), (length, 0.13, 0.022)))
    for x in (-length / 2 + 0.07, 0, length / 2 - 0.07):
        out.append(_board((x, 0, base + 0.072), (0.14, width, 0.1), (0.8,) * 3))
        out.append(_board((x, 0, base + 0.011), (0.12, width, 0.022)))
    return out


def _forklift(item: Item) -> list[Part]:
    """A counterbalance truck facing +x, its forks at the height of the scanner."""
    rgb, half = item.rgb, item.footprint.length / 2
    boxes: list[tuple[tuple[float, float, float], tuple[float, float, float], Rgb]] = [
        ((-half + 0.95, 0, 0.50), (1.80, 1.06, 0.60), rgb),
        ((-half + 0.32, 0, 0.85), (0.60, 1.00, 0.45), _DARK),
        ((-half + 0.85, 0, 0.92), (0.50, 0.50, 0.25), _DARK),
        ((-half + 0.70, 0, 1.25), (0.12, 0.48, 0.50), _DARK),
        ((-half + 1.00, 0, 2.06), (1.25, 1.00, 0.06), _GREY),
        ((half - 1.02, 0, 0.40), (0.06, 0.80, 0.50), _DARK),
    ]
    boxes += [((half - 1.08, y, 1.05), (0.10, 0.09, 2.0), _GREY) for y in (-0.35, 0.35)]
    boxes += [((half - 0.50, y, 0.18), (1.00, 0.13, 0.08), _GREY) for y in (-0.28, 0.28)]
    posts = [(x, y) for x in (-half + 0.42, -half + 1.58) for y in (-0.46, 0.46)]
    boxes += [((x, y, 1.43), (0.06, 0.06, 1.25), _GREY) for x, y in posts]
    wheels = [(x, y) for x in (-half + 0.45, -half + 1.55) for y in (-0.46, 0.46)]
    return [
        *(_box(*box) for box in boxes),
        *(Part((x, y, 0.27), (0.54, 0.18, 0.54), 0.0, None, _DARK, "wheel") for x, y in wheels),
    ]


def _box(position: tuple[float, float, float], size: tuple[float, float, float], rgb: Rgb) -> Part:
    return Part(position, size, 0.0, None, rgb)


def _board(
    position: tuple[float, float, float],
    size: tuple[float, float, float],
    rgb: Rgb = (1.0, 1.0, 1.0),
) -> Part:
    return Part(position, size, 0.0, WOOD, rgb)
