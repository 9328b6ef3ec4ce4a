"""Lidar sweeps to boxes on one thread, stage by stage: a simulated warehouse, and recordings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from edge_robot.bench.figures import percentiles
from edge_robot.errors import UserError
from edge_robot.perception.lidar.detector import LidarConfig, in_range
from edge_robot.perception.lidar.ground import estimate_plane, heights_above_ground
from edge_robot.perception.lidar.moving import MovingConfig, MovingObjects
from edge_robot.perception.lidar.objects import find_objects
from edge_robot.perception.lidar.points import Sweep, read_points
from edge_robot.replay.folder import read_points as read_recorded
from edge_robot.settings import with_values
from edge_robot.share import share_dir
from edge_robot.sim.lidar import Lidar
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.sensors import LIDAR
from edge_robot.sim.simulation import Simulation

COLUMNS = 1800
PERIOD = 0.1  # s, between sweeps
SWEEPS = 20
ROUNDS = 10  # over all sweeps
_FIELDS = [("x", 0, 7), ("y", 4, 7), ("z", 8, 7), ("intensity", 12, 7)]

Sweeps = list[tuple[NDArray[np.float32], NDArray[np.float64] | None]]


class _Stages:
    """Wall-clock times of the stages, s."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.times.setdefault(name, []).append(time.perf_counter() - start)


def measure(recorded: Path | None, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return the time from a cloud's bytes to boxes, their covariance and what moves.

    Args:
        recorded: Folder of sweeps `*.bin`, float32 x, y, z, intensity, measured with the road's
            settings; None for none.
        progress: Told what is measured.

    Raises:
        UserError: The folder has no sweeps.
    """
    progress(f"lidar: {LIDAR.beams}×{COLUMNS} rays in a simulated warehouse")
    config = LidarConfig()
    config = with_values(config, {"azimuth_step": 2 * np.pi / COLUMNS})
    figures: dict[str, Any] = {f"warehouse_{LIDAR.beams}x{COLUMNS}": _run(_simulated(), config)}
    if recorded is not None:
        files = sorted(recorded.glob("*.bin"))
        if not files:
            raise UserError(f"{recorded} holds no *.bin; give a folder of recorded sweeps")
        progress(f"lidar: {len(files)} recorded sweeps")
        # As if the vehicle stood: the work of telling what moves is the same.
        sweeps: Sweeps = [(read_recorded(file), np.eye(4)) for file in files]
        figures["recorded"] = _run(sweeps, _road())
    return figures


def _road() -> LidarConfig:
    file = share_dir() / "config" / "replay_kitti.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return with_values(LidarConfig(), content["/**/lidar_perception"]["ros__parameters"])


def _simulated() -> Sweeps:
    simulation = Simulation(Scenario.generate(seed=1))
    world = simulation.world
    lidar = Lidar(world, seed=0, columns=COLUMNS)
    sweeps: Sweeps = []
    due = 0.0
    while len(sweeps) < SWEEPS:
        if simulation.step() and simulation.time >= due:
            simulation.snapshot().restore(world.model, world.data)
            pose = simulation.robot_pose
            fixed_from_sensor = np.eye(4)
            cos, sin = np.cos(pose.yaw), np.sin(pose.yaw)
            fixed_from_sensor[:2, :2] = [[cos, -sin], [sin, cos]]
            fixed_from_sensor[:2, 3] = pose.x, pose.y
            sweeps.append((lidar.sweep(world.data), fixed_from_sensor))
            due += PERIOD
    return sweeps


def _run(sweeps: Sweeps, config: LidarConfig) -> dict[str, Any]:
    """Return the figures of one kind of sweep: the steps of `LidarDetector`, one by one."""
    stages = _Stages()
    objects = config.objects
    boxes, known, points_seen = 0, 0, 0
    for turn in range(ROUNDS + 1):
        moving = MovingObjects(
            objects.azimuth_step, objects.uncertainty.elevation_step, MovingConfig()
        )
        stages = _Stages() if turn <= 1 else stages  # the first turn warms up
        for index, (recorded, pose) in enumerate(sweeps):
            data = recorded.tobytes()
            with stages.time("end_to_end"):
                with stages.time("read"):
                    points = read_points(
                        data,
                        _FIELDS,
                        width=len(recorded),
                        height=1,
                        point_step=16,
                        row_step=len(data),
                    )
                with stages.time("ground"):
                    sweep = Sweep.of(points)
                    within = in_range(sweep, objects)
                    ground = estimate_plane(within, config.ground)
                    height = heights_above_ground(within, ground, config.ground)
                with stages.time("objects"):
                    obstacle = (height > config.ground.clearance) & (height < config.max_height)
                    found = find_objects(
                        within.where(obstacle),
                        height[obstacle],
                        within,
                        objects,
                        config.heights,
                        ground,
                    )
                with stages.time("moving"):
                    hints = moving.judge(index * PERIOD, pose, sweep, found.members, found.points)
            boxes += len(found)
            known += int(np.isfinite(hints).sum())
            points_seen += len(points)
    sweeps_seen = (ROUNDS + 1) * len(sweeps)
    figures: dict[str, Any] = {name: percentiles(times) for name, times in stages.times.items()}
    return {
        "points_per_sweep": round(points_seen / sweeps_seen),
        "boxes_per_sweep": round(boxes / sweeps_seen, 1),
        "share_of_boxes_whose_motion_is_known": round(known / max(boxes, 1), 3),
        **figures,
        "sweeps_per_second": round(1e3 / figures["end_to_end"]["p50_ms"], 1),
    }
