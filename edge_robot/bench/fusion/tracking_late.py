"""What late detections cost: the same drives, every frame's detections delayed by up to 300 ms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from edge_robot.bench.fusion.tracking_drives import Drive, as_results, scores
from edge_robot.fusion.config import TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import BoxMeasurement
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track

MAX_DELAY = 0.3
"""Delays are uniform from 0 to this, s: a later frame overtakes one in four, ten a second."""

Tracks: TypeAlias = dict[int, Sequence[Track]]
"""By frame."""


def late_figures(
    drives: Sequence[Drive], config: TrackerConfig, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Return sAMOTA by class when nothing is late, and when it is, by what is done about it.

    The tracks of a frame are those known of it once its detections and all before it are there or
    given up; for the ways that end in "at once" or "now" those known at the moment of its capture.

    Args:
        drives: The sequences.
        config: The tracker's parameters.
        seed: Of the delays.
        progress: Told what is measured.
    """
    rng = np.random.default_rng(seed)
    delays = [rng.uniform(0.0, MAX_DELAY, len(drive.poses)) for drive in drives]
    overtaken = np.concatenate([_overtaken(delay) for delay in delays])
    samota: dict[str, dict[str, float]] = {}
    for name, way in WAYS.items():
        progress(f"tracking, late detections: {name}")
        results = {
            drive.name: as_results(drive, way(drive, config, delay))
            for drive, delay in zip(drives, delays, strict=True)
        }
        samota[name] = {
            kind: round(100.0 * result.samota, 2)
            for kind, result in scores(drives, results).items()
        }
    return {"overtaken_share": round(float(overtaken.mean()), 3), "sAMOTA": samota}


def in_order(drive: Drive, config: TrackerConfig, delays: Array) -> Tracks:
    """Apply every frame when it was captured, as if nothing were late."""
    return dropped(drive, config, np.zeros_like(delays))


def dropped(drive: Drive, config: TrackerConfig, delays: Array) -> Tracks:
    """Apply the frames in order, and none that comes after one that was captured later."""
    tracker = Tracker(config)
    tracks: Tracks = {}
    for frame, is_late in enumerate(_overtaken(delays)):
        tracker.process(_nothing(drive, frame) if is_late else drive.measurement(frame))
        tracks[frame] = tracker.tracks()
    return tracks


def replayed(drive: Drive, config: TrackerConfig, delays: Array) -> Tracks:
    """Apply what comes at its capture time; ask of each frame when all of it must have come."""
    tracker = Tracker(config)
    tracks: Tracks = {}
    events = [(time, False, frame) for time, frame in _arrivals(delays)]
    events += [(_captured(frame) + MAX_DELAY, True, frame) for frame in range(len(delays))]
    for _, is_due, frame in sorted(events):
        if is_due:
            tracks[frame] = tracker.tracks(drive.stamp(frame))
        else:
            tracker.process(drive.measurement(frame))
    return tracks


def replayed_at_once(drive: Drive, config: TrackerConfig, delays: Array) -> Tracks:
    """Apply what comes at its capture time; ask of each frame at once, when it is a guess."""
    return _at_once(drive, config, delays, lambda time, frame: drive.measurement(frame))


def applied_as_if_now(drive: Drive, config: TrackerConfig, delays: Array) -> Tracks:
    """Apply what comes as if captured when it comes, from where the car is by then; ask at once."""
    times = [_captured(frame) for frame in range(len(delays))]
    turns = Slerp(times, Rotation.from_matrix(drive.poses[: len(times), :3, :3]))

    def as_if_now(time: float, frame: int) -> BoxMeasurement:
        pose, at = np.eye(4), min(time, times[-1])
        pose[:3, :3] = turns(at).as_matrix()
        pose[:3, 3] = [np.interp(at, times, drive.poses[:, axis, 3]) for axis in range(3)]
        return replace(drive.measurement(frame), stamp=round(time * 1e9), fixed_from_sensor=pose)

    return _at_once(drive, config, delays, as_if_now)


WAYS: Mapping[str, Callable[[Drive, TrackerConfig, Array], Tracks]] = {
    "in_order": in_order,
    "replayed": replayed,
    "replayed_at_once": replayed_at_once,
    "dropped": dropped,
    "applied_as_if_now": applied_as_if_now,
}


def _at_once(
    drive: Drive,
    config: TrackerConfig,
    delays: Array,
    measurement: Callable[[float, int], BoxMeasurement],
) -> Tracks:
    tracker = Tracker(config)
    tracks: Tracks = {}
    events = [(time, False, frame) for time, frame in _arrivals(delays)]
    events += [(_captured(frame), True, frame) for frame in range(len(delays))]
    for time, is_present, frame in sorted(events):
        if is_present:
            tracker.process(_nothing(drive, frame))
            tracks[frame] = tracker.tracks()
        else:
            tracker.process(measurement(time, frame))
    return tracks


def _captured(frame: int) -> float:
    """Return when a frame was captured, s."""
    return Drive.stamp(frame) * 1e-9


def _arrivals(delays: Array) -> list[tuple[float, int]]:
    """Return when each frame's detections come, s, and of which frame they are, in that order."""
    return sorted((_captured(frame) + delay, frame) for frame, delay in enumerate(delays.tolist()))


def _overtaken(delays: Array) -> NDArray[np.bool_]:
    """Return whether detections of a later frame come before those of each, (F,)."""
    arrivals = np.array([_captured(frame) for frame in range(len(delays))]) + delays
    earliest = np.minimum.accumulate(arrivals[::-1])[::-1]
    return np.append(arrivals[:-1] > earliest[1:], False)


def _nothing(drive: Drive, frame: int) -> BoxMeasurement:
    """Return a measurement that sees nowhere: it only moves the tracks to the frame's time."""
    nowhere = np.zeros(len(drive.measurement(frame)), bool)
    return replace(drive.measurement(frame).select(nowhere), view=0.0, sensor="clock")
