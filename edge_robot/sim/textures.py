"""Procedural textures: every pattern is computed, none is loaded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.scenario import Surface

Array = NDArray[np.float64]

SIZE = 128
"""Side of a texture, pixels."""


def texture(surface: Surface) -> NDArray[np.uint8]:
    """Return the seamless-looking pattern of a surface, shape (SIZE, SIZE, 3), RGB."""
    rng = np.random.default_rng(surface.seed)
    shade, tint = _PATTERNS[surface.kind](rng)
    rgb = np.array(surface.rgb) * (1.0 + surface.contrast * shade[..., None])
    mixed = rgb + surface.contrast * tint[..., None] * (np.array(_TAPE) - rgb)
    return (np.clip(mixed, 0, 1) * 255).astype(np.uint8)


_TAPE = (0.80, 0.72, 0.58)


def _noise(rng: np.random.Generator, octaves: tuple[int, ...]) -> Array:
    """Return smooth noise in about -1..1 that wraps around, summed over cell sizes in pixels."""
    total = np.zeros((SIZE, SIZE))
    for cell in octaves:
        count = SIZE // cell
        grid = rng.uniform(-1, 1, (count, count))
        at = (np.arange(SIZE) + 0.5) / cell
        low = np.floor(at).astype(int) % count
        high = (low + 1) % count
        part = at - np.floor(at)
        rows = grid[low] * (1 - part)[:, None] + grid[high] * part[:, None]
        total += (rows[:, low] * (1 - part) + rows[:, high] * part) * cell / octaves[0]
    return total / 1.5


def _lines(period: int, width: int) -> NDArray[np.bool_]:
    return np.arange(SIZE) % period < width


def _concrete(rng: np.random.Generator) -> tuple[Array, Array]:
    shade = 0.35 * _noise(rng, (64, 16, 4)) + 0.06 * rng.normal(size=(SIZE, SIZE))
    return shade, np.zeros_like(shade)


def _tiles(rng: np.random.Generator) -> tuple[Array, Array]:
    period = SIZE // 2
    shade = 0.15 * _noise(rng, (32, 4))
    shade += np.kron(rng.uniform(-0.15, 0.15, (2, 2)), np.ones((period, period)))
    joint = _lines(period, 3)
    shade[joint] = shade[:, joint] = -0.6
    return shade, np.zeros_like(shade)


def _panels(rng: np.random.Generator) -> tuple[Array, Array]:
    ribs = np.where(_lines(16, 3), -0.35, np.where(_lines(16, 5), 0.15, 0.0))
    shade = np.tile(ribs, (SIZE, 1)) + 0.12 * _noise(rng, (64, 16))
    return shade, np.zeros_like(shade)


def _plaster(rng: np.random.Generator) -> tuple[Array, Array]:
    shade = 0.2 * _noise(rng, (64, 8, 2))
    return shade, np.zeros_like(shade)


def _brick(rng: np.random.Generator) -> tuple[Array, Array]:
    height, length = 16, 32
    rows, columns = np.indices((SIZE, SIZE))
    course = rows // height
    shifted = (columns + (course % 2) * (length // 2)) % SIZE
    tone = rng.uniform(-0.25, 0.2, (SIZE // height, SIZE // length))
    shade = tone[course, shifted // length] + 0.1 * _noise(rng, (32, 4))
    shade[(rows % height < 2) | (shifted % length < 2)] = 0.25
    return shade, np.zeros_like(shade)


def _carton(rng: np.random.Generator) -> tuple[Array, Array]:
    """Brown board with a strip of tape, darker edges, a label and printed marks."""
    shade = 0.12 * _noise(rng, (64, 8)) + 0.03 * rng.normal(size=(SIZE, SIZE))
    tint = np.zeros((SIZE, SIZE))
    tint[SIZE // 2 - 7 : SIZE // 2 + 7] = 0.9
    border = np.minimum(np.arange(SIZE), np.arange(SIZE)[::-1])
    edge = np.minimum(border[:, None], border[None, :])
    shade -= 0.45 * np.exp(-edge / 3.0)
    row, column = (int(v) for v in rng.integers(12, 28, 2))
    if rng.uniform() < 0.7:
        shade[row : row + 22, column : column + 34] = 0.6
        for line in range(row + 4, row + 20, 4):
            shade[line : line + 2, column + 4 : column + int(rng.integers(14, 32))] = -0.5
    if rng.uniform() < 0.6:
        low, left = SIZE - int(rng.integers(20, 40)), SIZE - int(rng.integers(28, 60))
        shade[low : low + 14, left : left + 5] = -0.6
        shade[low : low + 14, left + 10 : left + 15] = -0.6
    return shade, tint


def _film(rng: np.random.Generator) -> tuple[Array, Array]:
    """Wrapping film: slanted glossy folds."""
    rows, columns = np.indices((SIZE, SIZE))
    slant = (columns + rows * 2 + 6 * _noise(rng, (32, 8))) / SIZE
    shade = 0.12 * np.sin(slant * 2 * np.pi * 6) + 0.2 * _noise(rng, (32, 4))
    return shade, np.zeros_like(shade)


def _wood(rng: np.random.Generator) -> tuple[Array, Array]:
    grain = np.repeat(_noise(rng, (8, 2))[:1], SIZE, axis=0) * 0.4
    shade = grain + 0.1 * _noise(rng, (64, 8))
    return shade, np.zeros_like(shade)


def _patches(rng: np.random.Generator) -> tuple[Array, Array]:
    shade = 0.9 * _noise(rng, tuple(int(c) for c in rng.choice([64, 32, 16, 8, 4], 3, False)))
    return shade, np.zeros_like(shade)


_PATTERNS: dict[str, Callable[[np.random.Generator], tuple[Array, Array]]] = {
    "concrete": _concrete,
    "tiles": _tiles,
    "panels": _panels,
    "plaster": _plaster,
    "brick": _brick,
    "carton": _carton,
    "film": _film,
    "wood": _wood,
    "noise": _patches,
}
