"""The cost of going to one place from everywhere around: the eikonal equation on a grid.

`u` with |∇u| = cost and u = 0 at the seed, discretised upwind (Godunov; Rouy and Tourin, 1992): its
level lines are circles in the open, so that ways of any direction compare, which those over eight
neighbours do not. Solved by sweeping blocks of cells until they stand still, cheapest block first
(Chacon and Vladimirsky, "Fast two-scale methods for eikonal equations", 2012), with A*'s order: by
the cost found plus the least that is still to come. What is nowhere near a good way is not visited.
"""

from __future__ import annotations

from collections.abc import Generator
from math import sqrt
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_robot.planning.compiled import COMPILED, compiled

F32 = np.float32
BLOCK = 16  # cells along the side of a block: its costs and values stay in the first cache
_AHEAD = 40.0  # blocks this much costlier than the cheapest are swept with it, cell sides
_AT_ONCE = 128 if COMPILED else 32  # blocks between two pauses: 1 to 4 ms
_STANDSTILL = 1e-3  # share of a cell's cost below which a change is none

_Result = TypeVar("_Result")


def at_once(steps: Generator[None, None, _Result]) -> _Result:
    """Return the result of work that pauses now and then, without a pause."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result


def cost_to_go(
    cost: NDArray[F32], seed: tuple[int, int], start: tuple[int, int], margin: float
) -> Generator[None, None, NDArray[F32]]:
    """Find the cost to go to `seed`, pausing after every few milliseconds of work.

    Args:
        cost: Of a cell side's way in each cell, (rows, columns), at least 1; infinite: no way.
        seed: Row and column where the cost to go is zero.
        start: Row and column that want to know.
        margin: The search goes on until no way to `start` cheaper than the best and this remains,
            cell sides: what lies half of it around `start` is known, too.

    Returns:
        (rows, columns), cell sides; infinite where there is no way or none was looked for.
    """
    rows, columns = cost.shape
    blocks = (-(-rows // BLOCK), -(-columns // BLOCK))
    padded = np.full((blocks[0] * BLOCK + 2, blocks[1] * BLOCK + 2), np.inf, F32)
    padded[1 : rows + 1, 1 : columns + 1] = cost
    value = np.full(padded.shape, np.inf, F32)
    value[seed[0] + 1, seed[1] + 1] = 0.0
    away = [
        np.maximum(np.abs((np.arange(count) + 0.5) * BLOCK - at - 0.5) - BLOCK / 2, 0)
        for count, at in zip(blocks, start, strict=True)
    ]
    least = np.hypot(away[0][:, None], away[1]).astype(F32)
    pending = np.full(blocks, np.inf, F32)  # the cheapest value a block has not yet reckoned with
    pending[seed[0] // BLOCK, seed[1] // BLOCK] = 0.0
    while True:
        total = (pending + least).ravel()
        cheapest = total.min()
        if not cheapest < value[start[0] + 1, start[1] + 1] + margin:
            return value[1 : rows + 1, 1 : columns + 1]
        due = np.flatnonzero(total <= cheapest + _AHEAD)
        for first in range(0, len(due), _AT_ONCE):
            _sweep_blocks(value, padded, pending, due[first : first + _AT_ONCE])
            yield


@compiled("void(f4[:,::1], f4[:,::1], f4[:,::1], i8[::1])")
def sweep_blocks_compiled(
    value: NDArray[F32], cost: NDArray[F32], pending: NDArray[F32], blocks: NDArray[np.int64]
) -> None:
    """Sweep each block in all four directions until it stands still, and tell its neighbours.

    Args:
        value: Cost to go, with a frame of one cell; changed.
        cost: Of the cells, with the same frame, infinite there.
        pending: Cheapest news for each block; changed.
        blocks: Numbers of those to sweep, row by row.
    """
    block_rows, block_columns = pending.shape
    # Cells that have news to reckon with; its frame takes what is told across the edge.
    waiting = np.zeros((BLOCK + 2, BLOCK + 2), np.uint8)
    for block in blocks:
        block_row, block_column = block // block_columns, block % block_columns
        pending[block_row, block_column] = np.inf
        top, left = block_row * BLOCK, block_column * BLOCK
        above = below = before = behind = F32(np.inf)
        waiting[:] = 1
        sweep, busy = 0, True
        while busy:
            busy = False
            downwards, rightwards = sweep % 4 < 2, sweep % 2 == 0
            sweep += 1
            for step_row in range(1, BLOCK + 1):
                i = step_row if downwards else BLOCK + 1 - step_row
                for step_column in range(1, BLOCK + 1):
                    j = step_column if rightwards else BLOCK + 1 - step_column
                    if waiting[i, j] == 0:
                        continue
                    waiting[i, j] = 0
                    row, column = top + i, left + j
                    metre, old = cost[row, column], value[row, column]
                    a = min(value[row - 1, column], value[row + 1, column])
                    b = min(value[row, column - 1], value[row, column + 1])
                    low = min(a, b)
                    if low + F32(0.7) * metre >= old:
                        continue
                    apart = abs(a - b)
                    if apart >= metre:
                        new = low + metre
                    else:
                        new = F32(0.5) * (a + b + sqrt(F32(2.0) * metre * metre - apart * apart))
                    if new >= old - F32(_STANDSTILL) * metre:
                        continue
                    value[row, column] = new
                    waiting[i - 1, j] = waiting[i + 1, j] = 1
                    waiting[i, j - 1] = waiting[i, j + 1] = 1
                    busy = True
                    if i == 1:
                        above = min(above, new)
                    if i == BLOCK:
                        below = min(below, new)
                    if j == 1:
                        before = min(before, new)
                    if j == BLOCK:
                        behind = min(behind, new)
        if block_row > 0:
            pending[block_row - 1, block_column] = min(pending[block_row - 1, block_column], above)
        if block_row < block_rows - 1:
            pending[block_row + 1, block_column] = min(pending[block_row + 1, block_column], below)
        if block_column > 0:
            pending[block_row, block_column - 1] = min(pending[block_row, block_column - 1], before)
        if block_column < block_columns - 1:
            pending[block_row, block_column + 1] = min(pending[block_row, block_column + 1], behind)


def sweep_blocks_numpy(
    value: NDArray[F32], cost: NDArray[F32], pending: NDArray[F32], blocks: NDArray[np.int64]
) -> None:
    """Do what `sweep_blocks_compiled` does, with all cells of all blocks at once, again and again.

    That takes as many turns as a way through a block has cells, each of them quick.
    """
    block_row, block_column = np.unravel_index(blocks, pending.shape)
    pending[block_row, block_column] = np.inf
    side = np.arange(BLOCK + 2)
    rows = block_row[:, None, None] * BLOCK + side[:, None]
    columns = block_column[:, None, None] * BLOCK + side
    u, metre = value[rows, columns], cost[rows, columns][:, 1:-1, 1:-1]
    inner = u[:, 1:-1, 1:-1]
    first, least = inner.copy(), F32(_STANDSTILL) * metre
    twice = 2 * metre * metre
    with np.errstate(invalid="ignore"):  # infinite minus infinite, where there is no way
        while True:
            a = np.minimum(u[:, :-2, 1:-1], u[:, 2:, 1:-1])
            b = np.minimum(u[:, 1:-1, :-2], u[:, 1:-1, 2:])
            apart = np.abs(a - b)
            both = F32(0.5) * (a + b + np.sqrt(twice - apart * apart))
            new = np.where(apart < metre, both, np.minimum(a, b) + metre)
            better = new < inner - least
            if not better.any():
                break
            np.copyto(inner, new, where=better)
    value[rows[:, 1:-1], columns[:, :, 1:-1]] = inner
    news = np.where(inner < first, inner, F32(np.inf))
    for down, across, edge in (
        (-1, 0, np.s_[:, 0]),
        (1, 0, np.s_[:, -1]),
        (0, -1, np.s_[:, :, 0]),
        (0, 1, np.s_[:, :, -1]),
    ):
        i, j = block_row + down, block_column + across
        known = (i >= 0) & (i < pending.shape[0]) & (j >= 0) & (j < pending.shape[1])
        np.minimum.at(pending, (i[known], j[known]), news[edge].min(1)[known])


_sweep_blocks = sweep_blocks_compiled if COMPILED else sweep_blocks_numpy
