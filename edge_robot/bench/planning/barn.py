"""The BARN navigation challenge in the flat simulator: a proxy for Gazebo, and no more.

The challenge's metric since 2024 is success × OT / clip(AT, 2 OT, 8 OT), at most 0.5; that of 2022
clips to 4 OT and is at most 0.25. OT is the length of the reference path at 2 m/s, AT the time
from the first 0.1 m to the goal's radius.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_robot.bench.planning.planners import PLANNERS
from edge_robot.errors import UserError
from edge_robot.sim.flat.drive import Outcome, drive
from edge_robot.sim.flat.gazebo_world import read_world
from edge_robot.sim.flat.generator import generate
from edge_robot.sim.flat.setting import SETTINGS
from edge_robot.sim.flat.vehicle import MAX_SPEED
from edge_robot.sim.flat.world import World, read_json

NOTE = (
    "a proxy: a fast simulator in the plane, not the challenge's Gazebo; its figures are not "
    "entries to the challenge"
)
SELECTIONS = ("evaluation", "others", "all")
GENERATED = 50
"""Worlds made where none are given."""


def generated() -> list[World]:
    """Return worlds for whoever has none."""
    return [generate(number) for number in range(GENERATED)]


def read_worlds(folder: Path) -> list[World]:
    """Read all worlds of a folder, JSON or Gazebo's, in order of their numbers.

    Raises:
        UserError: If there are none, or two of one number, or one cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"no folder of worlds at {folder}")
    worlds = [read_json(file) for file in sorted(folder.glob("*.json"))]
    worlds += [read_world(file) for file in sorted(folder.glob("*.world"))]
    worlds.sort(key=lambda world: world.number)
    if not worlds:
        raise UserError(f"no worlds in {folder}: files *.json or *.world are read")
    for one, other in pairwise(worlds):
        if one.number == other.number:
            raise UserError(f"two worlds in {folder} have the number {one.number}")
    return worlds


def select(worlds: list[World], only: str) -> list[World]:
    """Return the worlds of a selection.

    Args:
        worlds: To choose from.
        only: `evaluation` (the challenge's public ones: number divisible by 6), `others`, `all`,
            or numbers, `12,13,20-29`.

    Raises:
        UserError: If nothing is selected, or the selection cannot be read.
    """
    if only in SELECTIONS:
        chosen = [w for w in worlds if only == "all" or (w.number % 6 == 0) == (only != "others")]
    else:
        numbers: set[int] = set()
        try:
            for part in only.split(","):
                first, _, last = part.partition("-")
                numbers.update(range(int(first), int(last or first) + 1))
        except ValueError as error:
            raise UserError(
                f"--only {only}: {', '.join(SELECTIONS)} or numbers as 12,13,20-29 are understood"
            ) from error
        chosen = [world for world in worlds if world.number in numbers]
    if not chosen:
        raise UserError(f"--only {only} selects none of {len(worlds)} worlds")
    return chosen


def metric(success: bool, optimal: float, actual: float, fastest: float = 2.0) -> float:
    """Return the challenge's metric of a drive.

    Args:
        success: Whether the goal was reached without contact.
        optimal: OT, s.
        actual: AT, s.
        fastest: Multiple of OT that nothing is gained below: 2 since 2024, 4 in 2022.
    """
    return success * optimal / min(max(actual, fastest * optimal), 8.0 * optimal)


def run(world: World, outcome: Outcome, seed: int) -> dict[str, Any]:
    """Return the figures of one drive."""
    optimal = world.path_length / MAX_SPEED
    return {
        "world": world.number,
        "seed": seed,
        "success": outcome.success,
        "collided": outcome.collided,
        "timeout": not outcome.success and not outcome.collided,
        "seconds": round(outcome.seconds, 3),
        "metric": metric(outcome.success, optimal, outcome.seconds),
        "metric_2022": metric(outcome.success, optimal, outcome.seconds, fastest=4.0),
        "uncapped": outcome.success * optimal / outcome.seconds,
        "closest_m": round(outcome.closest, 4),
    }


def measure(
    worlds: Sequence[World],
    planner: str = "ours",
    setting: str = "nominal",
    runs: int = 10,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Drive through every world some times.

    Args:
        worlds: To drive through.
        planner: Name in `edge_robot.bench.planning.planners.PLANNERS`.
        setting: Name in `edge_robot.sim.flat.setting.SETTINGS`.
        runs: Drives per world; the seeds are `seed` and the next ones.
        seed: First seed.
        jobs: Processes.
        progress: Is told what goes on.
    """
    work = partial(_drives, planner=planner, setting=setting, seeds=range(seed, seed + runs))
    results: list[tuple[list[dict[str, Any]], dict[str, float]]] = []
    # Fresh processes: a forked one would inherit threads of libraries that do not survive it.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _warm_up, (planner,)) as pool:
        for done in as_completed([pool.submit(work, world) for world in worlds]):
            results.append(done.result())
            so_far = np.mean([run["metric"] for figures, _ in results for run in figures])
            progress(f"{planner}, {setting}: {len(results)}/{len(worlds)} worlds, {so_far:.3f}")
    drives = sorted(
        (run for figures, _ in results for run in figures), key=lambda r: (r["world"], r["seed"])
    )
    effort = {key: sum(each[key] for _, each in results) for key in results[0][1]}
    return {
        "note": NOTE,
        "planner": planner,
        "setting": setting,
        "mean_metric": _mean(drives, "metric"),
        "mean_metric_2022": _mean(drives, "metric_2022"),
        "mean_uncapped": _mean(drives, "uncapped"),
        "success_rate": _mean(drives, "success"),
        "collision_rate": _mean(drives, "collided"),
        "planner_calls": effort["calls"],
        "planner_overruns": effort["overruns"],
        "planner_mean_ms": round(1e3 * effort["seconds"] / max(effort["calls"], 1), 2),
        "runs": drives,
    }


def _drives(
    world: World, planner: str, setting: str, seeds: range
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    figures = []
    effort = {"calls": 0, "overruns": 0, "seconds": 0.0}
    for seed in seeds:
        outcome = drive(world, PLANNERS[planner](seed), SETTINGS[setting], seed)
        figures.append(run(world, outcome, seed))
        effort["calls"] += outcome.calls
        effort["overruns"] += outcome.overruns
        effort["seconds"] += outcome.planner_seconds
    return figures, effort


def _warm_up(planner: str) -> None:
    """Compile and load what the planner needs, before its time counts."""
    cv2.setNumThreads(1)
    world = generate(0)
    short = World(0, world.cylinders, world.start, world.goal, world.path, timeout=0.5)
    drive(short, PLANNERS[planner](0), SETTINGS["nominal"], 0)


def _mean(drives: list[dict[str, Any]], key: str) -> float:
    return round(float(np.mean([run[key] for run in drives])), 4)
