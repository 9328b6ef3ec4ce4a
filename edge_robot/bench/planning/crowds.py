"""Moving obstacles: our planner with tracks against the same planner that sees only a costmap.

Tracks come of the simulated scan alone, by the stack's own parts: `ScanDetector` clusters it, the
tracker follows the clusters, and what it says is moved on to the moment of planning. The computing
time of both counts as the planner's. Both planners drive the same worlds from the same seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from math import cos, sin
from multiprocessing import get_context
from typing import Any

import cv2
import numpy as np

from edge_robot.bench.planning.planners import ours
from edge_robot.fusion.measurements import LidarMeasurement
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track
from edge_robot.perception.lidar.scans import ScanDetector
from edge_robot.planning.robot import MovingObjects
from edge_robot.sim.flat.drive import PERIOD, Outcome, drive
from edge_robot.sim.flat.interface import Odometry, Planner, Scan
from edge_robot.sim.flat.moving_worlds import COUNT, KINDS, moving_world
from edge_robot.sim.flat.setting import SETTINGS

NOTE = (
    "moving obstacles in a fast simulator in the plane; people mind the robot little, things not "
    "at all"
)
INTIMATE, PERSONAL = 0.45, 1.2
"""Hall's zones (1966), here as free space between the bodies, m."""
VARIANTS = ("with_tracks", "tracks_ignored")

_TRACK_PERIOD = 0.05
_EPOCH = 1_000_000_000  # ns; stamps of drives begin at 0, which no clock shows


class Watching:
    """Our planner, told of the tracks of what its scans show."""

    def __init__(self, seed: int) -> None:
        self._planner = ours(seed)
        self._detector = ScanDetector()
        self._tracker = Tracker()
        self._looked = -np.inf

    def step(
        self, time: float, scan: Scan, odometry: Odometry, goal: tuple[float, float]
    ) -> tuple[float, float]:
        """See `edge_robot.sim.flat.interface.Planner`."""
        if scan.time - self._looked > _TRACK_PERIOD - 1e-6:
            self._looked = scan.time
            self._tracker.process(self._measure(scan, odometry))
        stamp = self._tracker.stamp
        if stamp is not None:
            found = moving_objects(self._tracker.tracks())
            self._planner.see_objects(time, found.after(time - (stamp - _EPOCH) * 1e-9))
        return self._planner.step(time, scan, odometry, goal)

    def _measure(self, scan: Scan, odometry: Odometry) -> LidarMeasurement:
        found, _ = self._detector.detect(scan.ranges, scan.angles)
        c, s = cos(odometry.yaw), sin(odometry.yaw)
        pose = np.eye(4)
        pose[:2, :2] = (c, -s), (s, c)
        pose[:2, 3] = odometry.x + scan.mount_x * c, odometry.y + scan.mount_x * s
        return LidarMeasurement(
            stamp=_EPOCH + round(scan.time * 1e9),
            centers=found.centers.astype(np.float64),
            sizes=found.sizes.astype(np.float64),
            yaws=found.yaws.astype(np.float64),
            scores=found.scores.astype(np.float64),
            fixed_from_sensor=pose,
            covariances=found.uncertainty.covariance[:, :2, :2],
        )


def moving_objects(tracks: list[Track]) -> MovingObjects:
    """Return tracks as the planner takes them."""
    if not tracks:
        return MovingObjects.none()
    return MovingObjects(
        id=np.array([track.id for track in tracks]),
        position=np.array([track.position[:2] for track in tracks]),
        velocity=np.array([track.velocity for track in tracks]),
        half_size=np.array([track.size[:2] for track in tracks]) / 2,
        yaw=np.array([track.yaw for track in tracks]),
        covariance=np.array([track.covariance for track in tracks]),
    )


def run(number: int, kind: str, seed: int, outcome: Outcome) -> dict[str, Any]:
    """Return the figures of one drive.

    Path irregularity is how much the robot turns per metre, beyond the least that gets it there:
    the straight way needs none.
    """
    steps = np.hypot(*np.diff(outcome.path[:, :2], axis=0).T)
    way = float(steps.sum())
    turned = float(np.abs(np.diff(outcome.path[:, 2])).sum())
    return {
        "world": number,
        "kind": kind,
        "seed": seed,
        "success": outcome.success,
        "collided": outcome.collided and not outcome.struck,
        "struck": outcome.struck,
        "timeout": not outcome.success and not outcome.collided,
        "seconds": round(outcome.seconds, 3),
        "closest_m": round(float(outcome.gaps.min()), 4),
        "intimate_s": round(PERIOD * int((outcome.gaps < INTIMATE).sum()), 3),
        "personal_s": round(PERIOD * int((outcome.gaps < PERSONAL).sum()), 3),
        "irregularity_rad_per_m": round(turned / max(way, 0.1), 4),
        "overruns": outcome.overruns,
    }


def measure(
    worlds: Iterable[int] = range(COUNT),
    setting: str = "nominal",
    runs: int = 1,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Drive through worlds with moving obstacles, with tracks and without.

    Args:
        worlds: Numbers of `edge_robot.sim.flat.moving_worlds`.
        setting: Name in `edge_robot.sim.flat.setting.SETTINGS`.
        runs: Drives per world and variant; the seeds are `seed` and the next ones.
        seed: First seed.
        jobs: Processes.
        progress: Is told what goes on.
    """
    work = partial(drives_of, setting=setting, seeds=range(seed, seed + runs))
    drives: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    done = 0
    # Fresh processes: a forked one would inherit threads of libraries that do not survive it.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _warm_up) as pool:
        tasks = [pool.submit(work, number) for number in worlds]
        for task in as_completed(tasks):
            for name, figures in task.result().items():
                drives[name] += figures
            done += 1
            hits = (f"{name} {sum(r['collided'] for r in drives[name])}" for name in VARIANTS)
            progress(f"{done}/{len(tasks)} worlds, collisions {', '.join(hits)}")
    for figures in drives.values():
        figures.sort(key=lambda figure: (figure["world"], figure["seed"]))
    return {
        "note": NOTE,
        "setting": setting,
        **{name: summary(figures) for name, figures in drives.items()},
        "runs": drives,
    }


def summary(drives: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of drives together; times and irregularity of those that arrived.

    Args:
        drives: As `run` has them.

    Returns:
        Means, in the units their names say, None where no drive arrived; counts and rates.
    """

    def mean(key: str, among: list[dict[str, Any]] = drives) -> float | None:
        return round(float(np.mean([figure[key] for figure in among])), 4) if among else None

    arrived = [figure for figure in drives if figure["success"]]
    return {
        "drives": len(drives),
        "success_rate": mean("success"),
        "collisions": sum(figure["collided"] for figure in drives),
        **{
            f"collisions_{kind}": sum(
                figure["collided"] for figure in drives if figure["kind"] == kind
            )
            for kind in KINDS
        },
        "struck": sum(figure["struck"] for figure in drives),
        "timeouts": sum(figure["timeout"] for figure in drives),
        "mean_seconds": mean("seconds", arrived),
        "mean_closest_m": mean("closest_m"),
        "mean_intimate_s": mean("intimate_s"),
        "mean_personal_s": mean("personal_s"),
        "mean_irregularity_rad_per_m": mean("irregularity_rad_per_m", arrived),
        "overruns": sum(figure["overruns"] for figure in drives),
    }


def drives_of(number: int, setting: str, seeds: range) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of the drives through one world, by variant."""
    moving = moving_world(number)
    makers: dict[str, Callable[[int], Planner]] = dict(zip(VARIANTS, (Watching, ours), strict=True))
    return {
        name: [
            run(
                number,
                moving.kind,
                seed,
                drive(moving.world, planner(seed), SETTINGS[setting], seed, moving.walkers),
            )
            for seed in seeds
        ]
        for name, planner in makers.items()
    }


def _warm_up() -> None:
    """Compile and load what is needed, before its time counts."""
    cv2.setNumThreads(1)
    moving = moving_world(0)
    short = replace(moving.world, timeout=1.0)
    drive(short, Watching(0), SETTINGS["nominal"], 0, moving.walkers)
