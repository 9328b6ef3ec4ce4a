"""Recorded 3D detections through the tracker: how good its tracks are, and how fast it is."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_robot.bench.fusion.tracking_drives import (
    Drive,
    as_results,
    read_drives,
    scores,
    with_exact_scores,
)
from edge_robot.bench.fusion.tracking_late import late_figures
from edge_robot.bench.peers import run_peer
from edge_robot.fusion.config import TrackerConfig, read_config
from edge_robot.fusion.scoring.kitti import CLASSES, Objects, read_labels
from edge_robot.fusion.scoring.mota import Score
from edge_robot.fusion.tracker import Tracker
from edge_robot.share import share_dir

_PEER = Path(__file__).with_name("tracking_peer.py")


def measure(
    detections: Path,
    labels: Path,
    *,
    poses: Path | None,
    oxts: Path | None,
    sequences: Sequence[str],
    config: Path | None,
    late: bool,
    peer: Path | None,
    peer_python: str,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Return the figures of the tracker, and of AB3DMOT in the same run on request.

    Args:
        detections: See `read_drives`, as for the next four.
        labels: Likewise.
        poses: Likewise.
        oxts: Likewise.
        sequences: Likewise.
        config: The tracker's parameters; None for config/tracking_kitti.yaml.
        late: Whether to measure what late detections cost.
        peer: Checkout of AB3DMOT, which is run on the same detections.
        peer_python: Its interpreter.
        progress: Told what is measured.

    Raises:
        UserError: A file is missing or bad, or AB3DMOT does not run.
    """
    progress(f"tracking: reading {len(sequences)} sequences")
    drives = read_drives(detections, labels, poses, oxts, sequences)
    parameters = read_config(config or share_dir() / "config" / "tracking_kitti.yaml")
    with _one_core():
        results, seconds = {}, 0.0
        for drive in drives:
            progress(f"tracking: sequence {drive.name}")
            results[drive.name], spent = follow(drive, parameters)
            seconds += spent
        figures = _figures(drives, results, seconds)
        if peer is not None:
            progress("tracking: AB3DMOT on the same detections")
            theirs, spent = _run_peer(drives, detections, peer, peer_python)
            figures["ab3dmot"] = _figures(drives, theirs, spent)
            exact = {name: with_exact_scores(result) for name, result in theirs.items()}
            figures["ab3dmot_exact_scores"] = _figures(drives, exact, spent)
            figures["times_as_fast_as_ab3dmot"] = round(spent / seconds, 2)
    if late:
        figures["late"] = late_figures(drives, parameters, 0, progress)
    return figures


def follow(drive: Drive, config: TrackerConfig) -> tuple[Objects, float]:
    """Return the tracks of one drive, frames in the order of capture, and the CPU time, s."""
    measurements = [drive.measurement(frame) for frame in range(len(drive.poses))]
    tracker = Tracker(config)
    tracks = {}
    start = time.process_time()
    for frame, measurement in enumerate(measurements):
        tracker.process(measurement)
        tracks[frame] = tracker.tracks()
    spent = time.process_time() - start
    return as_results(drive, tracks), spent


def _figures(
    drives: Sequence[Drive], results: Mapping[str, Objects], seconds: float
) -> dict[str, Any]:
    frames = sum(len(drive.poses) for drive in drives)
    return {
        "classes": {name: _in_percent(result) for name, result in scores(drives, results).items()},
        "frames": frames,
        "frames_per_second": round(frames / seconds, 1),
    }


def _in_percent(result: Score) -> dict[str, float]:
    """Return the figures of one class as the published tables have them."""
    best = result.best
    ratios = {
        "sAMOTA": result.samota,
        "AMOTA": result.amota,
        "AMOTP": result.amotp,
        "MOTA": best.mota,
        "MOTP": best.motp,
    }
    return {
        **{name: round(100.0 * ratio, 2) for name, ratio in ratios.items()},
        "IDS": best.switches,
        "FRAG": best.fragments,
        "FP": best.false_positives,
        "FN": best.misses,
    }


def _run_peer(
    drives: Sequence[Drive], detections: Path, checkout: Path, python: str
) -> tuple[dict[str, Objects], float]:
    """Return AB3DMOT's tracks of every sequence, and the CPU time they took, s."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for drive in drives:
            np.save(folder / f"{drive.name}.npy", drive.poses)
        arguments = {
            "checkout": str(checkout.resolve()),
            "detections": str(detections.resolve()),
            "poses": name,
            "results": name,
            "classes": list(CLASSES.values()),
        }
        printed = run_peer(python, _PEER, json.dumps(arguments), f"AB3DMOT in {checkout}")
        spent = sum(json.loads(line)["cpu_s"] for line in printed.splitlines())
        return {
            drive.name: Objects.joined(
                [read_labels(folder / kind / f"{drive.name}.txt") for kind in CLASSES.values()]
            )
            for drive in drives
        }, spent


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process, and those it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
