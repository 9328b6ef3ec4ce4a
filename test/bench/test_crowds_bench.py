from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_robot.bench.planning import crowds
from edge_robot.bench.planning.crowds import VARIANTS, Watching, run
from edge_robot.planning.robot import MovingObjects
from edge_robot.sim.flat import lidar
from edge_robot.sim.flat.drive import Outcome
from edge_robot.sim.flat.interface import Odometry, Scan
from edge_robot.sim.flat.moving_worlds import moving_world


def test_figures_of_a_drive_by_hand() -> None:
    path = np.array([[0, 0, 0], [1, 0, 0.5], [2, 0, -0.5]], float)
    outcome = Outcome(True, False, False, 3.0, 0.2, 3, 0, 0.1, path, np.array([2.0, 1.0, 0.4]))
    figures = run(4, "crossing", 0, outcome)
    assert figures["irregularity_rad_per_m"] == pytest.approx(0.75)
    assert figures["personal_s"] == pytest.approx(0.05)
    assert figures["intimate_s"] == pytest.approx(0.025)
    assert figures["closest_m"] == pytest.approx(0.4)


def test_tracks_come_of_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    planner = Watching(0)
    told: list[MovingObjects] = []
    monkeypatch.setattr(planner._planner, "see_objects", lambda time, objects: told.append(objects))
    monkeypatch.setattr(planner._planner, "step", lambda *told: (0.0, 0.0))
    for tick in range(60):
        time = 0.05 * tick
        disc = np.array([[4.0, -2.0 + 1.2 * time, 0.25]])
        scan = Scan(time, lidar.ANGLES, lidar.cast(0.0, 0.0, 0.0, disc), lidar.MOUNT_X)
        planner.step(time, scan, Odometry(time, 0.0, 0.0, 0.0, 0.0, 0.0), (9.0, 0.0))
    assert len(told[-1]) == 1
    np.testing.assert_allclose(told[-1].velocity[0], [0.0, 1.2], atol=0.15)
    np.testing.assert_allclose(told[-1].position[0], disc[0, :2], atol=0.25)


def test_both_variants_drive_the_same_world(monkeypatch: pytest.MonkeyPatch) -> None:
    moving = moving_world(2)
    brief = replace(moving, world=replace(moving.world, timeout=0.5))
    monkeypatch.setattr(crowds, "moving_world", lambda number: brief)
    figures = crowds.drives_of(2, "nominal", range(1))
    assert list(figures) == list(VARIANTS)
    with_tracks, ignored = (each[0] for each in figures.values())
    assert with_tracks.keys() == ignored.keys()
    assert with_tracks["timeout"] and ignored["timeout"]
    together = crowds.summary([with_tracks])
    assert together["timeouts"] == 1 and together["mean_seconds"] is None
