"""Fusion with ground truth: camera, lidar, both, and both with the fleet, on the same drives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_robot.bench.fusion_scores import CUTOFF, ORDER, figures, score
from edge_robot.bench.fusion_world import FLEET_DELAY, PEOPLE, Recorder
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import Source
from edge_robot.perception.detector import Detector

SEEDS = (1, 2, 3, 4, 5)
"""The noise of the sensors was set on worlds from seed 101 on."""
SECONDS = 20.0
SENSORS = {
    "camera": Source.CAMERA,
    "lidar": Source.LIDAR,
    "camera_and_lidar": Source.CAMERA | Source.LIDAR,
    "camera_lidar_and_fleet": Source.CAMERA | Source.LIDAR | Source.FLEET,
}


def measure(progress: Callable[[str], None]) -> dict[str, Any]:
    """Return OSPA, errors and consistency of the tracks of people, by the sensors that take part.

    Args:
        progress: Told what is measured.
    """
    recorder = Recorder(Detector("warehouse_edge"), Detector("warehouse_fleet"))
    drives = []
    for seed in SEEDS:
        progress(f"fusion: {SECONDS:.0f} s through the warehouse of seed {seed}")
        drives.append(recorder.record(seed, SECONDS))
    scores = {}
    for name, sources in SENSORS.items():
        progress(f"fusion: tracking with {name.replace('_', ' ')}")
        scores[name] = score(drives, sources, TrackerConfig())
    common = set.intersection(*(set(one.people.errors) for one in scores.values()))
    return {
        "drives": {"seeds": list(SEEDS), "seconds_each": SECONDS, "people_each": PEOPLE},
        "fleet_delay_s": list(FLEET_DELAY),
        "ospa": {"cutoff_m": CUTOFF, "order": ORDER},
        **{name: figures(one, common) for name, one in scores.items()},
    }
