"""The global planner on floors of 100 m by 100 m in cells of 5 cm: how fast, and how short a way.

Between random places that are known to be joined. Times are CPU time of one thread: a search shares
its core with the local planner, and what else the machine does is not its doing.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from edge_robot.bench.peers import run_peer
from edge_robot.bench.planning.floor_plans import KINDS, floor
from edge_robot.planning.compiled import COMPILED, compiled
from edge_robot.planning.costmap import Grid, distance_to
from edge_robot.planning.eikonal import at_once
from edge_robot.planning.global_planner import (
    GlobalPlannerConfig,
    line_cost,
    plan,
    search,
    traversal_cost,
)

_SIDE, _RESOLUTION = 100.0, 0.05  # m
_SMALL_SIDE = 20.0  # m; of the floors whose shortest ways are worked out
_FAR = 3.0  # m
_PEER = Path(__file__).with_name("path_peer.py")

Place = tuple[float, float]


def measure(
    progress: Callable[[str], None],
    pairs: int = 30,
    exact_pairs: int = 10,
    numpy_pairs: int = 3,
    peer_python: str | None = None,
) -> dict[str, Any]:
    """Return how long plans take on each kind of floor, and how much longer than need be they are.

    Args:
        progress: Told what is measured.
        pairs: Places to go between, on each floor.
        exact_pairs: The same on floors of 20 m, held against the shortest way there is.
        numpy_pairs: The same without Numba, on the large floors.
        peer_python: Interpreter that has scikit-image and pyastar2d, which then run beside.

    Raises:
        UserError: The peers cannot be run.
    """
    config = GlobalPlannerConfig()
    figures: dict[str, Any] = {
        "floor_m": _SIDE,
        "resolution_m": _RESOLUTION,
        "search_resolution_m": config.search_resolution,
        "compiled": COMPILED,
        "kinds": {},
    }
    everything = []
    for kind in KINDS:
        progress(f"global plan: {kind}")
        runs = _runs(kind, pairs)
        everything += runs
        figures["kinds"][kind] = _summary(runs)
    figures["all"] = _summary(everything)
    if COMPILED and numpy_pairs:
        progress("global plan: without Numba")
        figures["without_numba"] = _summary(_without_numba(numpy_pairs))
    progress("global plan: the shortest ways")
    figures["length_over_shortest"] = _over_shortest(exact_pairs)
    if peer_python is not None:
        progress("global plan: peers")
        figures["peers"] = _peers(pairs, peer_python)
    return {"global_plan": figures}


def _joined_places(grid: Grid, pairs: int, seed: int) -> list[tuple[Place, Place]]:
    """Return pairs of places with a way between them for whoever plans on the coarsest cells."""
    config = GlobalPlannerConfig()
    free = distance_to(grid.values > 0, grid.resolution, _FAR) > config.path_clearance + 0.1
    parts, _ = ndimage.label(free)
    largest = np.argmax(np.bincount(parts[free]))
    cells = np.argwhere(parts == largest)
    chosen = cells[np.random.default_rng(seed).integers(len(cells), size=(pairs, 2))]
    places = (chosen[..., ::-1] + 0.5) * grid.resolution
    return [((float(a[0]), float(a[1])), (float(b[0]), float(b[1]))) for a, b in places]


def _runs(kind: str, pairs: int) -> list[dict[str, float]]:
    """Plan on a large floor; return CPU time, longest time between pauses and length of each."""
    grid = floor(kind, _SIDE, _RESOLUTION, seed=0)
    config = GlobalPlannerConfig()
    runs = []
    for start, goal in _joined_places(grid, pairs, seed=1):
        steps = search(grid, start, goal, config)
        slices = []
        path = None
        while path is None:
            begun = time.process_time()
            try:
                next(steps)
            except StopIteration as end:
                path = end.value.path
            slices.append(time.process_time() - begun)
        runs.append({"seconds": sum(slices), "slice": max(slices), "length": _length(path)})
    return runs


def _length(path: NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(path, axis=0).T).sum())


def _summary(runs: Sequence[dict[str, float]]) -> dict[str, Any]:
    seconds, slices, lengths = (
        np.array([run[name] for run in runs]) for name in ("seconds", "slice", "length")
    )
    return {
        "p50_ms": round(float(np.median(seconds)) * 1e3, 1),
        "p95_ms": round(float(np.percentile(seconds, 95)) * 1e3, 1),
        "max_ms": round(float(seconds.max()) * 1e3, 1),
        "longest_slice_p50_ms": round(float(np.median(slices)) * 1e3, 1),
        "length_p50_m": round(float(np.median(lengths)), 1),
        "plans": len(runs),
    }


def _without_numba(pairs: int) -> list[dict[str, float]]:
    """Return the runs of a process in which nothing is compiled."""
    before = os.environ.get("NUMBA_DISABLE_JIT")
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return [run for runs in pool.map(partial(_runs, pairs=pairs), KINDS) for run in runs]
    finally:
        if before is None:
            del os.environ["NUMBA_DISABLE_JIT"]
        else:
            os.environ["NUMBA_DISABLE_JIT"] = before


def _over_shortest(pairs: int) -> dict[str, Any]:
    """Return lengths of paths over those of the shortest ways that keep `path_clearance`.

    Of paths that weigh nothing but length, found on the map's own cells and on those that are
    configured, and of paths that keep away from obstacles where they can, as configured.
    """
    configured = GlobalPlannerConfig()
    configs = {
        "length_alone_fine": GlobalPlannerConfig(path_comfort=0.0, search_resolution=_RESOLUTION),
        "length_alone": GlobalPlannerConfig(path_comfort=0.0),
        "as_configured": configured,
    }
    ratios: dict[str, list[float]] = {name: [] for name in configs}
    for kind in KINDS:
        grid = floor(kind, _SMALL_SIDE, _RESOLUTION, seed=2)
        free = distance_to(grid.values > 0, _RESOLUTION, _FAR) >= configured.path_clearance
        for start, goal in _joined_places(grid, pairs, seed=3):
            exact = _RESOLUTION * shortest(free, grid.cell(*start), grid.cell(*goal))
            for name, config in configs.items():
                ratios[name].append(_length(plan(grid, start, goal, config).path) / exact)
    return {
        name: {
            "p50": round(float(np.median(values)), 3),
            "p95": round(float(np.percentile(values, 95)), 3),
            "max": round(max(values), 3),
            "plans": len(values),
        }
        for name, values in ratios.items()
    }


def shortest(free: NDArray[np.bool_], start: tuple[int, int], goal: tuple[int, int]) -> float:
    """Return the length of the shortest way between two cells, in any direction, cell sides.

    It bends only where obstacles have corners: found over all of those that see each other, by
    Dijkstra's algorithm.

    Args:
        free: (rows, columns).
        start: Row and column.
        goal: Row and column.
    """
    padded = np.pad(free, 1)
    corner = np.zeros_like(free)
    for i, j in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        rows, columns = slice(1 + i, len(padded) - 1 + i), slice(1 + j, padded.shape[1] - 1 + j)
        corner |= free & padded[rows, 1:-1] & padded[1:-1, columns] & ~padded[rows, columns]
    nodes = np.array([goal, start, *np.argwhere(corner)], np.int64)
    return float(_shortest(np.where(free, np.float32(1.0), np.float32(np.inf)), nodes))


@compiled("f8(f4[:,::1], i8[:,::1])")
def _shortest(cost: NDArray[np.float32], nodes: NDArray[np.int64]) -> float:
    """Return the length of the shortest way from node 1 to node 0."""
    count = len(nodes)
    length = np.full(count, np.inf)
    done = np.zeros(count, np.bool_)
    length[1] = 0.0
    while True:
        here, least = -1, np.inf
        for k in range(count):
            if not done[k] and length[k] < least:
                here, least = k, length[k]
        if here <= 0:
            return length[0]
        done[here] = True
        for k in range(count):
            if done[k]:
                continue
            down, across = nodes[k, 0] - nodes[here, 0], nodes[k, 1] - nodes[here, 1]
            there = least + np.sqrt(float(down * down + across * across))
            if there < length[k] and (
                line_cost(cost, nodes[here, 0], nodes[here, 1], nodes[k, 0], nodes[k, 1]) < np.inf
            ):
                length[k] = there


def _peers(pairs: int, python: str) -> dict[str, Any]:
    """Return figures of other planners' searches on the cost raster that ours makes.

    They are given it ready, and only search; ours makes it as well, and straightens the path.
    """
    config = GlobalPlannerConfig()
    side = config.search_resolution
    seconds: dict[str, list[float]] = {}
    lengths: dict[str, list[float]] = {}
    for kind in KINDS:
        grid = floor(kind, _SIDE, _RESOLUTION, seed=0)
        places = _joined_places(grid, pairs, seed=1)
        cost = at_once(traversal_cost(grid, round(side / _RESOLUTION), *places[0], config))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "raster.npz"
            np.savez(
                file,
                cost=cost.values,
                start=[cost.cell(*start) for start, _ in places],
                goal=[cost.cell(*goal) for _, goal in places],
            )
            for name, found in _run_peer(python, file).items():
                seconds.setdefault(name, []).extend(found["seconds"])
                lengths.setdefault(name, []).extend(found["lengths"])
    return {
        name: _summary(
            [
                {"seconds": spent, "slice": spent, "length": length * side}
                for spent, length in zip(seconds[name], lengths[name], strict=True)
            ]
        )
        for name in seconds
    }


def _run_peer(python: str, raster: Path) -> dict[str, dict[str, list[float]]]:
    printed = run_peer(python, _PEER, str(raster), "scikit-image and pyastar2d")
    found: dict[str, dict[str, list[float]]] = json.loads(printed)
    return found
