from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_robot.bench.planning.barn import measure, metric, read_worlds, run, select
from edge_robot.errors import UserError
from edge_robot.sim.flat.drive import Outcome
from edge_robot.sim.flat.generator import generate

KEYS = [
    "world",
    "seed",
    "success",
    "collided",
    "timeout",
    "seconds",
    "metric",
    "metric_2022",
    "uncapped",
    "closest_m",
]


@pytest.mark.parametrize(
    ("actual", "since_2024", "in_2022"),
    [
        (4.0, 0.5, 0.25),
        (10.0, 0.5, 0.25),
        (20.0, 0.25, 0.25),
        (25.0, 0.2, 0.2),
        (90.0, 0.125, 0.125),
    ],
)
def test_metrics_by_hand(actual: float, since_2024: float, in_2022: float) -> None:
    assert metric(True, 5.0, actual) == pytest.approx(since_2024)
    assert metric(True, 5.0, actual, fastest=4.0) == pytest.approx(in_2022)
    assert metric(False, 5.0, actual) == 0.0


def test_worlds_are_chosen_by_number() -> None:
    worlds = [generate(number) for number in (0, 1, 6)]
    assert [w.number for w in select(worlds, "evaluation")] == [0, 6]
    assert [w.number for w in select(worlds, "others")] == [1]
    assert [w.number for w in select(worlds, "0-1,6")] == [0, 1, 6]
    with pytest.raises(UserError, match="none of 3"):
        select(worlds, "7")
    with pytest.raises(UserError, match="understood"):
        select(worlds, "half")


def test_folders_without_worlds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no worlds"):
        read_worlds(tmp_path)
    generate(3).save(tmp_path / "a.json")
    assert [world.number for world in read_worlds(tmp_path)] == [3]
    generate(3).save(tmp_path / "b.json")
    with pytest.raises(UserError, match="number 3"):
        read_worlds(tmp_path)


def test_the_benchmark_drives_and_says_what_it_is() -> None:
    told: list[str] = []
    brief = replace(generate(0), timeout=0.5)
    figures = measure([brief], runs=1, setting="nominal", progress=told.append)
    (only,) = figures["runs"]
    assert list(only) == KEYS
    assert "proxy" in figures["note"] and len(told) == 1
    assert figures["mean_metric"] == pytest.approx(only["metric"], abs=1e-4)


def test_a_collision_counts_for_nothing() -> None:
    world = generate(0)
    figures = run(
        world, Outcome(False, True, False, 3.0, -0.001, 9, 0, 0.1, *2 * (np.empty((0, 3)),)), 5
    )
    assert (figures["metric"], figures["uncapped"], figures["timeout"]) == (0.0, 0.0, False)
