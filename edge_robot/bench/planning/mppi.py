"""The local planner's speed: 1000 × 56 with footprint and 20 predicted people, and pytorch_mppi.

Wall-clock times are what a deadline sees; CPU times tell the same on a machine that others use.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.bench.figures import percentiles
from edge_robot.bench.peers import run_peer
from edge_robot.nodes.urgency import Urgency, claim_priority, settle_memory
from edge_robot.planning.costmap import Grid, distance_to
from edge_robot.planning.global_planner import GlobalPlannerConfig
from edge_robot.planning.global_planner import plan as plan_globally
from edge_robot.planning.mppi import Guidance, Mppi, MppiConfig, arrays
from edge_robot.planning.mppi.scene import Scene
from edge_robot.planning.robot import Footprint, Limits, MovingObjects, State

_PEER = Path(__file__).with_name("mppi_peer.py")
PERIOD = 0.05
"""Of the planner, s; an answer after it is a missed deadline."""
_BUDGET = 0.03
_CONFIG = MppiConfig(samples=1000, iterations=1, steps=56)
_START, _GOAL = (2.0, 6.0), (17.0, 6.0)
_SIDE, _CELL = (20.0, 12.0), 0.05


@dataclass
class _Drive:
    """A robot on its way through a hall full of boxes and people; each plan is followed exactly."""

    mppi: Mppi
    guidance: Guidance
    obstacles: Grid
    people: MovingObjects
    state: State
    now: float = 0.0

    @classmethod
    def begin(cls, compiled: bool, seed: int) -> _Drive:
        random = np.random.default_rng(seed)
        columns, rows = (round(side / _CELL) for side in _SIDE)
        values = np.full((rows, columns), -4, np.int8)
        values[[0, -1]] = values[:, [0, -1]] = 6
        for x, y in random.uniform((4.0, 1.0), (15.0, 11.0), (15, 2)):
            row, column, size = round(y / _CELL), round(x / _CELL), round(0.4 / _CELL)
            values[row : row + size, column : column + size] = 6
        grid = Grid(values, (0.0, 0.0), _CELL)
        count = 20
        people = MovingObjects(
            np.arange(count),
            random.uniform((3.0, 1.0), (18.0, 11.0), (count, 2)),
            random.normal(0.0, 0.7, (count, 2)),
            np.full((count, 2), 0.25),
            random.uniform(-np.pi, np.pi, count),
            np.tile(np.diag((0.02, 0.02, 0.05, 0.05)), (count, 1, 1)),
        )
        plan = plan_globally(grid, _START, _GOAL, GlobalPlannerConfig())
        mppi = Mppi(Limits(), Footprint(), _CONFIG, seed, compiled)
        mppi.warm_up()
        obstacles = Grid(distance_to(values > 0, _CELL, 6.0), (0.0, 0.0), _CELL)
        return cls(mppi, Guidance.along(plan), obstacles, people, State(*_START, 0.0))

    def cycle(self, budget: float | None = None) -> int:
        """Plan once and move on by a period; return how many sequences were judged."""
        answer = self.mppi.plan(
            self.now, self.state, self.guidance, self.people, self.obstacles, budget=budget
        )
        self.now += PERIOD
        self.state = answer.trajectory.at(PERIOD)
        if np.hypot(self.state.x - _GOAL[0], self.state.y - _GOAL[1]) < 1.0:
            self.state = State(*_START, 0.0)
        # Whoever walks out comes in again on the other side; nobody grows less certain.
        position = (self.people.position + PERIOD * self.people.velocity) % _SIDE
        self.people.position[:] = position
        return answer.samples


def measure(
    minutes: float,
    load: bool,
    peer_python: str | None,
    progress: Callable[[str], None],
    runs: int = 300,
    seed: int = 0,
    sofar: Callable[[dict[str, Any]], None] = lambda figures: None,
) -> dict[str, Any]:
    """Return how long a plan takes, whether deadlines are kept, and the peer's time.

    Args:
        minutes: Of endurance at 20 Hz, and again with `load`; 0 for none.
        load: Whether to do it as well while another process loads every core.
        peer_python: Interpreter that has pytorch_mppi; None to leave it out.
        progress: Told what is measured.
        runs: Plans to time.
        seed: Of the scene and the noise.
        sofar: Is given what has been found, again and again.

    Raises:
        UserError: The peer does not run.
    """
    figures: dict[str, Any] = {
        "samples": _CONFIG.samples,
        "steps": _CONFIG.steps,
        "people": 20,
        "footprint_corners": len(Footprint().corners),
    }
    compiled = _Drive.begin(True, seed)
    with _one_core():
        for name, drive, count in (
            ("numba" if compiled.mppi.compiled else "numpy", compiled, runs),
            ("numpy", _Drive.begin(False, seed), max(20, runs // 10)),
        ):
            progress(f"mppi: {count} plans, {name}")
            figures[name] = _timed(drive.cycle, count)
            sofar(figures)
    if peer_python is not None:
        progress("mppi: pytorch_mppi with the same cost")
        with _one_core():
            figures["pytorch_mppi"] = peer = _run_peer(_Drive.begin(True, seed), peer_python)
            ours = _timed(_Drive.begin(True, seed).cycle, peer["runs"])
        figures["times_slower_peer"] = round(peer["cpu_p50_ms"] / ours["cpu_p50_ms"], 1)
        sofar(figures)
    if minutes:
        progress(f"mppi: {minutes:g} min at {1 / PERIOD:g} Hz")
        figures["endurance"] = _apart(minutes, seed)
        sofar(figures)
        if load:
            progress(f"mppi: {minutes:g} min more while every core is loaded")
            with _loaded_cores():
                figures["endurance_loaded"] = _apart(minutes, seed)
    return figures


def _timed(work: Callable[[], Any], runs: int) -> dict[str, Any]:
    walls, cpus = [], []
    for run in range(5 + runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        if run >= 5:
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    figures: dict[str, Any] = percentiles(walls)
    figures |= {f"cpu_{name}": value for name, value in percentiles(cpus).items() if name != "runs"}
    return figures


def _apart(minutes: float, seed: int) -> dict[str, Any]:
    """Return what `_endure` does, from a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_endure, minutes, seed).result()


def _endure(minutes: float, seed: int) -> dict[str, Any]:
    """Plan once a period on a fixed schedule; count answers that come after their period."""
    drive = _Drive.begin(True, seed)
    # As the planner node does before it spins.
    settle_memory()
    scheduled = claim_priority(Urgency.PLANNING)
    durations, late, judged = [], [], []
    begun = time.perf_counter()
    for cycle in range(round(minutes * 60 / PERIOD)):
        due = begun + cycle * PERIOD
        time.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        # What is left of the period, when the process was woken late.
        judged.append(drive.cycle(min(_BUDGET, due + 0.9 * PERIOD - started)))
        ended = time.perf_counter()
        durations.append(ended - started)
        late.append(ended - due)
    figures: dict[str, Any] = {"scheduled_with": scheduled, **percentiles(durations)}
    figures["from_due_max_ms"] = round(max(late) * 1e3, 3)
    figures["missed_deadlines"] = sum(after > PERIOD for after in late)
    figures["fewest_samples"] = min(judged)
    figures["complete_share"] = round(float(np.mean(np.array(judged) >= _CONFIG.samples)), 4)
    return figures


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process and its children on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _spin() -> None:
    while True:
        pass


@contextmanager
def _loaded_cores() -> Iterator[None]:
    """Keep every core busy with processes of ordinary priority."""
    spawn = multiprocessing.get_context("spawn")
    busy = [spawn.Process(target=_spin, daemon=True) for _ in os.sched_getaffinity(0)]
    for process in busy:
        process.start()
    try:
        time.sleep(2.0)
        yield
    finally:
        for process in busy:
            process.kill()
            process.join()


def _run_peer(drive: _Drive, python: str) -> dict[str, Any]:
    """Let pytorch_mppi plan in the drive's first scene; check that its cost is ours."""
    scene = drive.mppi.scene(drive.state, drive.guidance, drive.people, drive.obstacles)
    random = np.random.default_rng(1)
    knots = random.uniform((0.0, -1.0), (1.4, 1.0), (64, 8, 2)).transpose(2, 0, 1)
    commands = np.repeat(knots, 7, axis=2).astype(np.float32)
    cost, meets = np.zeros(64, np.float32), np.zeros(64, bool)
    arrays.judge(commands, 0, 64, scene, np.zeros_like(commands), cost, meets)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "scene.npz")
        numbers = {"commands": commands, "cost": cost, **_flat(scene)}
        np.savez(file, **numbers)  # type: ignore[arg-type]
        settings = {
            "scene": str(file),
            "samples": _CONFIG.samples,
            "noise": [_CONFIG.noise_v, _CONFIG.noise_w],
            "temperature": _CONFIG.temperature,
            "runs": 30,
            "lowest": [-drive.mppi.limits.max_reverse, -drive.mppi.limits.max_yaw_rate],
            "highest": [drive.mppi.limits.max_speed, drive.mppi.limits.max_yaw_rate],
        }
        printed = run_peer(python, _PEER, json.dumps(settings), "pytorch_mppi")
    figures: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return figures


def _flat(scene: Scene) -> dict[str, NDArray]:
    """Name the scene's numbers by their paths: `weights.path`, `crowd.box`."""
    flat = {"start": np.array(scene.start)}
    for name in ("motion", "weights", "body", "obstacles", "to_go", "off_path", "crowd"):
        for key, value in getattr(scene, name)._asdict().items():
            flat[f"{name}.{key}"] = np.asarray(value)
    return flat
