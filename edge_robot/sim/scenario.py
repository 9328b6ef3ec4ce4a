"""What stands and walks in a warehouse, drawn from a seed: plain data, no physics, no rendering."""

from __future__ import annotations

import colorsys
import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.sim.layout import Footprint, Pose2, Router, clearance, length

Rgb = tuple[float, float, float]
Rng = np.random.Generator

SIZE = (30.0, 16.0)
"""Inner extent of the warehouse, x from 0 to 30 m and y from 0 to 16 m."""

WALL_HEIGHT = 4.5
PLINTH_HEIGHT = 0.30
MIN_GAP = 1.2
"""No gap between two standing objects lies between `CLOSED_GAP` and this, m."""
CLOSED_GAP = 0.25
PERSON_MARGIN = 0.5
"""Distance a person's route keeps from everything that stands, m."""
MAX_PEOPLE = 20
PEOPLE = (6, 8)
"""Least and most people of a seed, unless told otherwise."""

_ROUTE_LENGTH = (25.0, 35.0)
_ASIDE = 1.3  # m from the drive to where people turn round
_WALL_THICKNESS = 0.2
_CROSS_AISLE = 2.4
_BAY = 2.25
_BAYS_PER_ROW = 8


@dataclass(frozen=True)
class Surface:
    """How a material looks.

    Attributes:
        kind: Procedural texture: "concrete", "tiles", "panels", "plaster", "brick", "carton",
            "film", "wood" or "noise".
        rgb: Main colour.
        contrast: Strength of the pattern, 0..1.
        seed: Seed of the pattern.
    """

    kind: str
    rgb: Rgb
    contrast: float
    seed: int


@dataclass(frozen=True)
class Light:
    """Light of the hall.

    Attributes:
        ambient: Light without a direction.
        headlight: Light from the camera's place, standing for what walls throw back.
        sun: Directional light, standing for lamps and skylights.
        direction: Unit vector the directional light travels along.
    """

    ambient: Rgb
    headlight: Rgb
    sun: Rgb
    direction: tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """A good, a board or a wheel, centre and size in the frame of what it belongs to, m.

    Attributes:
        position: Centre.
        size: Full extents.
        yaw: Turn about z, rad.
        surface: Index into `Scenario.surfaces`; None for plain paint.
        rgb: The paint, or the tint multiplied with the surface.
        kind: "box", or "wheel": a cylinder with its axis along y.
    """

    position: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float
    surface: int | None
    rgb: Rgb
    kind: str = "box"


@dataclass(frozen=True)
class Bay:
    """One bay of a rack, with what lies in it.

    Attributes:
        x: Centre along the rack, in the rack's frame, m.
        backed: Whether a panel closes the view through it.
        goods: What lies on its boards; in a frame on the floor in its middle.
    """

    x: float
    backed: bool
    goods: tuple[Part, ...]


@dataclass(frozen=True)
class Rack:
    """A row of shelf bays, open to both sides, along x.

    Attributes:
        footprint: Its place.
        height: Top of the uprights, m.
        levels: Heights of the boards above the plinth, m.
        bays: Its bays, each `bay_length` long.
        bay_length: Length of one bay, m.
        upright_rgb: Colour of the uprights.
        beam_rgb: Colour of the beams.
    """

    footprint: Footprint
    height: float
    levels: tuple[float, ...]
    bays: tuple[Bay, ...]
    bay_length: float
    upright_rgb: Rgb
    beam_rgb: Rgb


@dataclass(frozen=True)
class Item:
    """A thing standing on the floor.

    Attributes:
        footprint: Its place; `footprint.kind` is "box", "pallet" or "forklift".
        height: Its top, m.
        parts: Its boxes, in the frame of the footprint; for a pallet the load it carries.
        decks: Pallets stacked under the load, 0 for other kinds.
        rgb: Main colour of a forklift.
    """

    footprint: Footprint
    height: float
    parts: tuple[Part, ...]
    decks: int
    rgb: Rgb


@dataclass(frozen=True)
class Person:
    """A person and the way they walk, to and fro.

    Attributes:
        name: Unique name.
        height: Body height, m.
        build: Girth relative to the average.
        speed: Walking speed, m/s.
        route: Way-points, map frame, m; walked to the end and back, for ever.
        start: Distance along the route at time zero, m.
        phase: Phase of the gait at time zero, rad.
        arms: Lift of both arms from hanging, rad (reaching or carrying).
        stoop: Forward lean of the upper body, rad.
        skin: Colour.
        hair: Colour.
        top: Colour of shirt or jacket.
        trousers: Colour.
        shoes: Colour.
        vest: Colour of a safety vest, or None.
        helmet: Colour of a helmet, or None.
        short_sleeves: Whether forearms show skin.
    """

    name: str
    height: float
    build: float
    speed: float
    route: tuple[tuple[float, float], ...]
    start: float
    phase: float
    arms: float
    stoop: float
    skin: Rgb
    hair: Rgb
    top: Rgb
    trousers: Rgb
    shoes: Rgb
    vest: Rgb | None
    helmet: Rgb | None
    short_sleeves: bool


@dataclass(frozen=True)
class Scenario:
    """A warehouse, its people, and a drive through it. Map frame: x east, y north, z up, m, rad.

    Attributes:
        seed: The seed it was drawn from.
        size: Inner extent from the origin, m.
        walls: Outer walls.
        racks: Shelves.
        items: Boxes, pallets and forklifts on the floor.
        people: Walking people.
        start: Where the robot starts.
        goal: Where it shall arrive.
        reference_route: A short way from start to goal that keeps `MIN_GAP` / 2 from everything
            standing, for judging a drive; shape (n, 2) as tuples.
        surfaces: Materials; the first three are floor, walls and ceiling.
        light: Light of the hall.
    """

    seed: int
    size: tuple[float, float]
    walls: tuple[Footprint, ...]
    racks: tuple[Rack, ...]
    items: tuple[Item, ...]
    people: tuple[Person, ...]
    start: Pose2
    goal: Pose2
    reference_route: tuple[tuple[float, float], ...]
    surfaces: tuple[Surface, ...]
    light: Light

    @cached_property
    def footprints(self) -> tuple[Footprint, ...]:
        """Outlines of everything that stands: walls, racks, items."""
        racks = tuple(rack.footprint for rack in self.racks)
        return self.walls + racks + tuple(item.footprint for item in self.items)

    @classmethod
    def generate(cls, seed: int, *, randomise: bool = False, people: int | None = None) -> Scenario:
        """Draw a scenario; the same arguments always give the same scenario.

        A way from start to goal for a robot of 0.25 m radius exists: every gap is either closed
        (under 0.25 m) or at least 1.2 m wide, and `reference_route` runs through the wide ones.

        Args:
            seed: Any integer from 0 on.
            randomise: Vary light, colours, textures, object mix and people more widely than a
                warehouse does, for training detectors.
            people: Number of people; by default six to eight (four to twelve if randomised).

        Raises:
            UserError: the seed is negative or the number of people out of range.
        """
        if seed < 0:
            raise UserError(f"scenario seed {seed} is negative; give an integer from 0 on")
        if people is not None and not 0 <= people <= MAX_PEOPLE:
            raise UserError(f"{people} people do not fit the warehouse; give 0 to {MAX_PEOPLE}")
        for attempt in range(100):
            rng = np.random.default_rng((seed, attempt, int(randomise)))
            scenario = _draw(seed, rng, randomise, people)
            if scenario is not None:
                return scenario
        raise RuntimeError(f"no solvable warehouse in 100 draws of seed {seed}")


def _draw(seed: int, rng: Rng, wild: bool, people: int | None) -> Scenario | None:
    """Draw once; None where no drive of the wanted length is found."""
    surfaces = _draw_surfaces(rng, wild)
    walls = _walls()
    racks = _draw_racks(rng, wild, surfaces)
    standing = list(walls) + [rack.footprint for rack in racks]
    items = _draw_items(rng, wild, surfaces, standing)
    footprints = tuple(standing)
    drive = _draw_drive(rng, footprints)
    if drive is None:
        return None
    start, goal, route = drive
    count = people
    if count is None:
        count = int(rng.integers(4, 13)) if wild else int(rng.integers(PEOPLE[0], PEOPLE[1] + 1))
    crowd = _draw_people(rng, wild, count, footprints, route)
    if crowd is None:
        return None
    return Scenario(
        seed=seed,
        size=SIZE,
        walls=walls,
        racks=racks,
        items=items,
        people=crowd,
        start=start,
        goal=goal,
        reference_route=_as_tuples(route),
        surfaces=surfaces,
        light=_draw_light(rng, wild),
    )


def _as_tuples(points: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)


# --- looks --------------------------------------------------------------------------------------


def _hsv(hue: float, saturation: float, value: float) -> Rgb:
    return colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0))


def _jitter(rng: Rng, rgb: Rgb, amount: float) -> Rgb:
    red, green, blue = np.clip(np.array(rgb) * rng.uniform(1 - amount, 1 + amount, 3), 0, 1)
    return float(red), float(green), float(blue)


def _any_colour(rng: Rng) -> Rgb:
    return _hsv(rng.uniform(), rng.uniform(0, 0.9), rng.uniform(0.15, 1.0))


def _pick(rng: Rng, colours: tuple[Rgb, ...], jitter: float = 0.1) -> Rgb:
    return _jitter(rng, colours[int(rng.integers(len(colours)))], jitter)


_FLOORS: tuple[Rgb, ...] = ((0.62, 0.62, 0.60), (0.55, 0.57, 0.58), (0.66, 0.63, 0.58))
_WALLS: tuple[Rgb, ...] = ((0.85, 0.86, 0.84), (0.75, 0.80, 0.84), (0.88, 0.84, 0.76))
_CARTONS: tuple[Rgb, ...] = ((0.72, 0.56, 0.38), (0.66, 0.50, 0.33), (0.78, 0.64, 0.46))
_BINS: tuple[Rgb, ...] = (
    (0.15, 0.33, 0.62), (0.70, 0.16, 0.14), (0.20, 0.50, 0.28), (0.80, 0.66, 0.15),
    (0.85, 0.85, 0.86), (0.25, 0.27, 0.30),
)  # fmt: skip
_UPRIGHTS: tuple[Rgb, ...] = ((0.12, 0.25, 0.50), (0.30, 0.33, 0.36), (0.10, 0.36, 0.34))
_BEAMS: tuple[Rgb, ...] = ((0.90, 0.42, 0.08), (0.88, 0.70, 0.10), (0.80, 0.20, 0.12))
_FORKLIFTS: tuple[Rgb, ...] = ((0.92, 0.65, 0.08), (0.85, 0.30, 0.06), (0.65, 0.10, 0.10))
_SKINS: tuple[Rgb, ...] = (
    (0.94, 0.78, 0.68), (0.87, 0.68, 0.55), (0.70, 0.50, 0.36), (0.48, 0.32, 0.22),
    (0.32, 0.21, 0.15),
)  # fmt: skip
_HAIRS: tuple[Rgb, ...] = (
    (0.08, 0.06, 0.05), (0.24, 0.15, 0.09), (0.50, 0.35, 0.18), (0.60, 0.58, 0.56),
)  # fmt: skip
_TOPS: tuple[Rgb, ...] = (
    (0.16, 0.24, 0.42), (0.50, 0.12, 0.12), (0.20, 0.36, 0.24), (0.75, 0.75, 0.76),
    (0.25, 0.25, 0.27), (0.62, 0.48, 0.30), (0.35, 0.52, 0.70),
)  # fmt: skip
_TROUSERS: tuple[Rgb, ...] = (
    (0.15, 0.18, 0.28), (0.12, 0.12, 0.13), (0.36, 0.33, 0.28), (0.28, 0.36, 0.50),
)  # fmt: skip
_VESTS: tuple[Rgb, ...] = ((0.85, 0.95, 0.10), (1.00, 0.42, 0.05))
_HELMETS: tuple[Rgb, ...] = ((0.95, 0.80, 0.10), (0.92, 0.92, 0.92), (0.15, 0.35, 0.75))

_CARTON_SURFACES = 3
_FIRST_GOOD = 3


def _draw_surfaces(rng: Rng, wild: bool) -> tuple[Surface, ...]:
    """Floor, walls, ceiling, then cartons, film-wrapped goods, plain goods and wood."""

    def surface(kind: str, rgb: Rgb, contrast: float) -> Surface:
        if wild:
            kind = str(rng.choice([kind, kind, "noise", "concrete", "tiles", "panels", "brick"]))
            rgb = _any_colour(rng) if rng.uniform() < 0.5 else _jitter(rng, rgb, 0.4)
            contrast = rng.uniform(0.05, 1.0)
        return Surface(kind, rgb, contrast, int(rng.integers(1 << 31)))

    floor_kind = str(rng.choice(["concrete", "concrete", "tiles"]))
    wall_kind = str(rng.choice(["panels", "plaster", "brick"]))
    chosen = [
        surface(floor_kind, _pick(rng, _FLOORS, 0.06), 0.5),
        surface(wall_kind, _pick(rng, _WALLS, 0.06), 0.4),
        surface("panels", (0.92, 0.93, 0.95), 0.3),
    ]
    # Cartons keep their look even for training: what is learnt is the carton, not the pattern.
    for _ in range(_CARTON_SURFACES):
        rgb = _pick(rng, _CARTONS, 0.25 if wild else 0.06)
        seed = int(rng.integers(1 << 31))
        chosen.append(Surface("carton", rgb, rng.uniform(0.4, 0.9), seed))
    chosen.append(surface("film", (0.9, 0.9, 0.9), 0.5))
    chosen.append(surface("plaster", (0.95, 0.95, 0.95), 0.2))
    chosen.append(Surface("wood", _jitter(rng, (0.70, 0.54, 0.34), 0.1), 0.6, seed=7))
    return tuple(chosen)


def _draw_light(rng: Rng, wild: bool) -> Light:
    if wild:
        tint = np.clip(rng.normal(1.0, 0.12, 3), 0.6, 1.3)
        ambient, head, sun = rng.uniform(0.05, 0.45), rng.uniform(0.0, 0.6), rng.uniform(0.0, 0.7)
        if ambient + head + sun < 0.45:
            ambient += 0.3
    else:
        tint = np.clip(rng.normal(1.0, 0.03, 3), 0.9, 1.1)
        ambient, head, sun = (
            rng.uniform(0.38, 0.48),
            rng.uniform(0.28, 0.36),
            rng.uniform(0.40, 0.55),
        )
    azimuth, tilt = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.9)

    def colour(level: float) -> Rgb:
        red, green, blue = np.minimum(level * tint, 1.0)
        return float(red), float(green), float(blue)

    direction = (
        math.sin(tilt) * math.cos(azimuth),
        math.sin(tilt) * math.sin(azimuth),
        -math.cos(tilt),
    )
    return Light(colour(ambient), colour(head), colour(sun), direction)


# --- things that stand --------------------------------------------------------------------------


def _walls() -> tuple[Footprint, ...]:
    (x, y), t = SIZE, _WALL_THICKNESS
    return (
        Footprint("wall_south", "wall", x / 2, -t / 2, 0.0, x + 2 * t, t),
        Footprint("wall_north", "wall", x / 2, y + t / 2, 0.0, x + 2 * t, t),
        Footprint("wall_west", "wall", -t / 2, y / 2, 0.0, t, y + 2 * t),
        Footprint("wall_east", "wall", x + t / 2, y / 2, 0.0, t, y + 2 * t),
    )


def _good(
    rng: Rng,
    wild: bool,
    surfaces: tuple[Surface, ...],
    position: tuple[float, float, float],
    size: tuple[float, float, float],
    yaw: float = 0.0,
    carton: float = 0.65,
) -> Part:
    """Draw the look of one good: a carton with the given probability, else a bin or wrapped."""
    if rng.uniform() < carton:
        return Part(
            position, size, yaw, _FIRST_GOOD + int(rng.integers(_CARTON_SURFACES)), (1.0,) * 3
        )
    surface = _FIRST_GOOD + _CARTON_SURFACES + int(rng.integers(2))
    rgb = _any_colour(rng) if wild else _pick(rng, _BINS)
    return Part(position, size, yaw, surface, rgb)


def _draw_racks(rng: Rng, wild: bool, surfaces: tuple[Surface, ...]) -> tuple[Rack, ...]:
    rows = 4 if wild and rng.uniform() < 0.5 else 3
    depth = 1.1
    aisle = (SIZE[1] - rows * depth) / (rows + 1)
    height = rng.uniform(1.8, 3.4) if wild else rng.uniform(2.3, 2.7)
    step = rng.uniform(0.6, 1.0) if wild else rng.uniform(0.78, 0.88)
    levels = tuple(float(z) for z in np.arange(PLINTH_HEIGHT + step, height - 0.2, step))
    upright, beam = _pick(rng, _UPRIGHTS), _pick(rng, _BEAMS)
    if wild:
        upright, beam = _any_colour(rng), _any_colour(rng)
    fill = rng.uniform(0.3, 1.0) if wild else rng.uniform(0.75, 0.9)
    west = (SIZE[0] - _BAYS_PER_ROW * _BAY - 2 * _CROSS_AISLE) / 2
    racks = []
    for row in range(rows):
        y = aisle * (row + 1) + depth * (row + 0.5) + rng.uniform(-0.15, 0.15)
        splits = [[2, 3, 3], [3, 2, 3], [3, 3, 2]]
        x = west
        for number, count in enumerate(splits[int(rng.integers(3))], start=1):
            span = count * _BAY
            name = f"shelf_{chr(ord('a') + row)}{number}"
            outline = Footprint(name, "shelf", x + span / 2, y, 0.0, span, depth)
            bays = tuple(
                Bay(
                    (slot + 0.5) * _BAY - span / 2,
                    *_draw_bay(rng, wild, surfaces, depth, levels, height, fill),
                )
                for slot in range(count)
            )
            racks.append(Rack(outline, height, levels, bays, _BAY, upright, beam))
            x += span + _CROSS_AISLE
    return tuple(racks)


def _draw_bay(
    rng: Rng,
    wild: bool,
    surfaces: tuple[Surface, ...],
    depth: float,
    levels: tuple[float, ...],
    height: float,
    fill: float,
) -> tuple[bool, tuple[Part, ...]]:
    """Fill the boards of a bay from left to right on both sides; draw whether it has a back."""
    goods = []
    boards = (PLINTH_HEIGHT, *levels)
    ceilings = (*(level - 0.1 for level in levels), height + 0.35)
    for board, ceiling in zip(boards, ceilings, strict=True):
        room = ceiling - board - 0.06
        for side in (-1, 1):
            left = -_BAY / 2 + 0.1
            end = _BAY / 2 - 0.1
            while end - left > 0.35:
                width = min(rng.uniform(0.4, 1.1), end - left)
                if rng.uniform() < fill:
                    tall = min(rng.uniform(0.25, 0.75), room)
                    deep = rng.uniform(0.34, 0.46)
                    middle = left + width / 2
                    place = (middle, side * (depth / 2 - 0.04 - deep / 2), board + 0.02 + tall / 2)
                    goods.append(_good(rng, wild, surfaces, place, (width - 0.05, deep, tall)))
                left += width
    return bool(rng.uniform() < 0.7), tuple(goods)


_ITEM_SIZES = {"box": (0.45, 0.85), "pallet": (0.8, 1.2), "forklift": (1.1, 3.0)}


def _draw_items(
    rng: Rng, wild: bool, surfaces: tuple[Surface, ...], standing: list[Footprint]
) -> tuple[Item, ...]:
    """Put things down one by one; each placed footprint is appended to `standing`."""
    boxes, pallets = int(rng.integers(10, 17)), int(rng.integers(4, 8))
    forklifts = int(rng.integers(0, 2))
    if wild:
        boxes, pallets = int(rng.integers(4, 26)), int(rng.integers(2, 10))
        forklifts = int(rng.integers(0, 3))
    kinds = ["forklift"] * forklifts + ["pallet"] * pallets + ["box"] * boxes
    items = []
    for number, kind in enumerate(kinds):
        place = _place(rng, f"{kind}_{number}", kind, standing)
        if place is None:
            continue
        standing.append(place)
        items.append(_draw_item(rng, wild, surfaces, place))
    return tuple(items)


def _place(rng: Rng, name: str, kind: str, standing: list[Footprint]) -> Footprint | None:
    """Find a place beside something or in the open that leaves every gap closed or wide."""
    for _ in range(60):
        if kind == "box":
            size = rng.uniform(*_ITEM_SIZES[kind], 2)
            long, wide = float(size.max()), float(size.min())
        else:
            wide, long = _ITEM_SIZES[kind]
        if kind != "forklift" and rng.uniform() < 0.2:  # in the open
            x, y = rng.uniform(1.5, SIZE[0] - 1.5), rng.uniform(1.5, SIZE[1] - 1.5)
            yaw = rng.uniform(-math.pi, math.pi)
        else:
            host = standing[int(rng.integers(4 if kind == "forklift" else len(standing)))]
            side = int(rng.integers(4))
            normal = host.yaw + side * math.pi / 2
            out, along = (host.length, host.width) if side % 2 == 0 else (host.width, host.length)
            slide = rng.uniform(-0.5, 0.5) * max(along - long, 0.0)
            away = out / 2 + wide / 2 + rng.uniform(0.08, 0.16)
            x = host.x + away * math.cos(normal) - slide * math.sin(normal)
            y = host.y + away * math.sin(normal) + slide * math.cos(normal)
            yaw = normal + math.pi / 2 + rng.normal(0, 0.04)
            if kind == "forklift" and rng.uniform() < 0.5:
                yaw += math.pi
        place = Footprint(name, kind, float(x), float(y), float(yaw), float(long), float(wide))
        if not (0 < x < SIZE[0] and 0 < y < SIZE[1]):
            continue
        gaps = [place.gap(other) for other in standing if _is_near(place, other)]
        if all(0.02 < gap < CLOSED_GAP or gap >= MIN_GAP for gap in gaps):
            return place
    return None


def _is_near(place: Footprint, other: Footprint) -> bool:
    """Tell whether the gap between two footprints may be less than `MIN_GAP`."""
    apart = math.hypot(place.x - other.x, place.y - other.y)
    return apart < place.reach + other.reach + MIN_GAP


def _draw_item(rng: Rng, wild: bool, surfaces: tuple[Surface, ...], place: Footprint) -> Item:
    long, wide = place.length, place.width
    grey = (0.5, 0.5, 0.5)
    if place.kind == "forklift":
        rgb = _any_colour(rng) if wild else _pick(rng, _FORKLIFTS)
        return Item(place, 2.1, (), 0, rgb)
    parts: list[Part] = []
    if place.kind == "box":
        # Never lower than the scanner's plane, so that no box is invisible to it.
        top = 0.0
        for layer in range(int(rng.choice([1, 1, 1, 2, 2, 3]))):
            shrink = 1.0 - 0.12 * layer
            tall = rng.uniform(0.35, 0.65)
            turn = 0.0 if layer == 0 else rng.normal(0, 0.1)
            size = (long * shrink, wide * shrink, tall)
            parts.append(_good(rng, wild, surfaces, (0, 0, top + tall / 2), size, turn, carton=0.8))
            top += tall
        return Item(place, top, tuple(parts), 0, grey)
    if rng.uniform() < 0.3:
        decks = int(rng.integers(3, 8))
        return Item(place, decks * 0.144, (), decks, grey)
    top = 0.144
    for _ in range(int(rng.integers(1, 4))):
        tall = rng.uniform(0.3, 0.45)
        cut = rng.uniform(0.4, 0.6) * (long - 0.06)
        spans = ((-(long - 0.06) / 2, cut), (-(long - 0.06) / 2 + cut, long - 0.06 - cut))
        for left, span in spans:
            size = (span - 0.02, wide - rng.uniform(0.04, 0.12), tall)
            parts.append(
                _good(rng, wild, surfaces, (left + span / 2, 0, top + tall / 2), size, carton=0.8)
            )
        top += tall
    return Item(place, top, tuple(parts), 1, grey)


# --- the drive and the people -------------------------------------------------------------------


def _draw_drive(
    rng: Rng, footprints: tuple[Footprint, ...]
) -> tuple[Pose2, Pose2, NDArray[np.float64]] | None:
    """Draw start and goal with a wide enough way of the wanted length between them."""
    router = Router(SIZE, footprints, MIN_GAP / 2)
    free = router.free_points()
    roomy = free[clearance(footprints, free) >= 0.9]
    starts = roomy[(roomy[:, 0] > 1.2) & (roomy[:, 0] < 5.5)]
    goals = roomy[(roomy[:, 0] > SIZE[0] - 5.5) & (roomy[:, 0] < SIZE[0] - 1.2)]
    for _ in range(20):
        start, goal = rng.choice(starts), rng.choice(goals)
        if abs(start[1] - goal[1]) < 5.0:
            continue
        route = router.route(start, goal)
        if route is None or not _ROUTE_LENGTH[0] <= length(route) <= _ROUTE_LENGTH[1]:
            continue
        first, last = route[1] - route[0], route[-1] - route[-2]
        return (
            Pose2(float(start[0]), float(start[1]), math.atan2(first[1], first[0])),
            Pose2(float(goal[0]), float(goal[1]), math.atan2(last[1], last[0])),
            route,
        )
    return None


def _draw_people(
    rng: Rng,
    wild: bool,
    count: int,
    footprints: tuple[Footprint, ...],
    drive: NDArray[np.float64],
) -> tuple[Person, ...] | None:
    """Give two people in three a route across the drive, the others one anywhere.

    None where not all of them find a place.
    """
    router = Router(SIZE, footprints, PERSON_MARGIN)
    free = router.free_points()
    crossings = np.array([point_at(drive, f * length(drive)) for f in np.linspace(0.15, 0.85, 50)])
    # Nobody turns round on the drive, where the robot could not get past them, nor walks over the
    # very spot where it is put down or shall stay.
    ends = free[_distances(free, drive) > _ASIDE]
    people: list[Person] = []
    places: list[NDArray[np.float64]] = []
    for _ in range(100 * count):
        if len(people) == count:
            break
        middles = free if len(people) % 3 == 2 else crossings
        route = _draw_route(rng, router, middles, ends, keep_off=drive[[0, -1]])
        if route is None:
            continue
        start = rng.uniform(0, length(route))
        place = point_at(route, start)
        if np.hypot(*(place - drive[0])) < 3.5 or np.hypot(*(place - drive[-1])) < 2.0:
            continue
        if any(np.hypot(*(place - other)) < 1.2 for other in places):
            continue
        places.append(place)
        people.append(_draw_person(rng, wild, len(people) + 1, route, start))
    return tuple(people) if len(people) == count else None


def _draw_route(
    rng: Rng,
    router: Router,
    middles: NDArray[np.float64],
    ends: NDArray[np.float64],
    keep_off: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Draw a route from one of the ends through one of the middles to another end.

    None where there is no route of a sensible length that keeps off some points.
    """
    middle = rng.choice(middles)
    far = np.hypot(*(ends - middle).T)
    near = ends[(far > 2.5) & (far < 6.0)]
    if len(near) == 0:
        return None
    first = router.route(rng.choice(near), middle)
    second = router.route(middle, rng.choice(near))
    if first is None or second is None:
        return None
    route = np.concatenate([first, second[1:]])
    legs = np.diff(route, axis=0)
    # Whoever meets the robot in a hairpin has it in front of them both ways and stays there.
    if (legs[1:] * legs[:-1]).sum(axis=1).min() < 0.0:
        return None
    if _distances(keep_off, route).min() < 1.5 or not 4.0 <= length(route) <= 20.0:
        return None
    return route


def _distances(points: NDArray[np.float64], route: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of points, shape (n, 2), to a polyline, m."""
    nearest = np.full(len(points), np.inf)
    for start, end in itertools.pairwise(route):
        leg = end - start
        part = np.clip((points - start) @ leg / (leg @ leg), 0, 1)
        np.minimum(nearest, np.hypot(*(points - start - part[:, None] * leg).T), out=nearest)
    return nearest


def _draw_person(
    rng: Rng, wild: bool, number: int, route: NDArray[np.float64], start: float
) -> Person:
    def clothes(palette: tuple[Rgb, ...]) -> Rgb:
        return _any_colour(rng) if wild and rng.uniform() < 0.6 else _pick(rng, palette)

    posed = wild and rng.uniform() < 0.3
    vest, helmet = rng.uniform() < 0.5, rng.uniform() < 0.35
    return Person(
        name=f"person_{number}",
        height=float(rng.uniform(1.45, 2.0) if wild else rng.uniform(1.58, 1.92)),
        build=float(rng.uniform(0.8, 1.4) if wild else rng.uniform(0.9, 1.2)),
        speed=float(rng.uniform(0.6, 1.3)),
        route=_as_tuples(route),
        start=float(start),
        phase=float(rng.uniform(0, 2 * math.pi)),
        arms=float(rng.uniform(0.3, 2.6)) if posed else 0.0,
        stoop=float(rng.uniform(0.0, 0.9)) if posed else float(rng.uniform(0.0, 0.08)),
        skin=_pick(rng, _SKINS),
        hair=_pick(rng, _HAIRS),
        top=clothes(_TOPS),
        trousers=clothes(_TROUSERS),
        shoes=_pick(rng, ((0.1, 0.1, 0.1), (0.3, 0.2, 0.12), (0.8, 0.8, 0.8))),
        vest=clothes(_VESTS) if vest else None,
        helmet=clothes(_HELMETS) if helmet else None,
        short_sleeves=bool(rng.uniform() < 0.3),
    )


def point_at(points: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
    """Return the point a distance along a polyline, shape (2,); its ends beyond them."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    return np.array(
        [np.interp(distance, along, points[:, 0]), np.interp(distance, along, points[:, 1])]
    )
