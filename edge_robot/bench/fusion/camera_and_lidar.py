"""Fusion with ground truth: camera, lidar, both, and both with the fleet, on the same drives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_robot.bench.fusion.pages import write_report
from edge_robot.bench.fusion.recorded import Scene, measure_drive, measure_keyframe
from edge_robot.bench.fusion.scores import CUTOFF, ORDER, change, figures, score
from edge_robot.bench.fusion.world import FLEET_DELAY, PEOPLE, Recorder
from edge_robot.errors import UserError
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.measurements import Source
from edge_robot.perception.detector import Detector

SECONDS = 20.0
SENSORS = {
    "camera": Source.CAMERA,
    "lidar": Source.LIDAR,
    "camera_and_lidar": Source.CAMERA | Source.LIDAR,
    "camera_lidar_and_fleet": Source.CAMERA | Source.LIDAR | Source.FLEET,
}


def measure(
    seeds: Sequence[int],
    drive: Path | None,
    keyframe: Path | None,
    model: str | None,
    report: Path | None,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Return figures of simulated drives and, where there are any, of recordings.

    Args:
        seeds: Of the simulated warehouses; the tracker was tuned on 101 to 130.
        drive: Folder of a recorded drive; None for none.
        keyframe: Folder of a labelled keyframe; None for none.
        model: Detector of the recorded images.
        report: Folder for a page of what was recorded; None for none.
        progress: Told what is measured.

    Raises:
        UserError: A recording cannot be read, there is no model for it, or none to report of.
    """
    figures: dict[str, Any] = {}
    scenes: list[Scene] = []
    if (drive or keyframe) and model is None:
        raise UserError("recorded images need a detector that knows the road: give --model")
    if report and not (drive or keyframe):
        raise UserError(f"{report}: only recordings are drawn; give --drive or --keyframe")
    for name, folder, look in (
        ("recorded_drive", drive, measure_drive),
        ("recorded_keyframe", keyframe, measure_keyframe),
    ):
        if folder and model:
            progress(f"fusion: {folder}")
            figures[name], drawn = look(folder, model)
            scenes += drawn
    if report:
        progress(f"fusion: {write_report(report, figures, scenes)}")
    return {**_simulated(seeds, progress), **figures}


def _simulated(seeds: Sequence[int], progress: Callable[[str], None]) -> dict[str, Any]:
    """Return OSPA, errors and consistency of tracks, by the sensors that take part."""
    recorder = Recorder(Detector("warehouse_edge"), Detector("warehouse_fleet"))
    drives = []
    for seed in seeds:
        progress(f"fusion: {SECONDS:.0f} s through the warehouse of seed {seed}")
        drives.append(recorder.record(seed, SECONDS))
    scores = {}
    for name, sources in SENSORS.items():
        progress(f"fusion: tracking with {name.replace('_', ' ')}")
        scores[name] = score(drives, sources, TrackerConfig())
    common = set.intersection(*(set(one.people.errors) for one in scores.values()))
    return {
        "drives": {"seeds": list(seeds), "seconds_each": SECONDS, "people_each": PEOPLE},
        "fleet_delay_s": list(FLEET_DELAY),
        "ospa": {"cutoff_m": CUTOFF, "order": ORDER},
        **{name: figures(one, common) for name, one in scores.items()},
        "camera_and_lidar_less": {
            name: change(scores["camera_and_lidar"], scores[name]) for name in ("camera", "lidar")
        },
        "fleet_adds": change(scores["camera_lidar_and_fleet"], scores["camera_and_lidar"]),
    }
