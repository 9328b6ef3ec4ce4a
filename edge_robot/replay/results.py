"""What a replay found: one row per track, as a table and as JSON."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_robot.errors import UserError
from edge_robot.fusion.boxes import range_to_boxes
from edge_robot.replay.source import BASE_FRAME, FIXED_FRAME
from edge_robot.replay.transforms import TransformTree
from edge_robot.report.history import History, TrackHistory

_FUSED = 3  # the bits of camera and lidar


@dataclass(frozen=True)
class TrackRow:
    """One track over its life.

    Attributes:
        id: Identity.
        label: Class name.
        frames: Capture times at which the track was published.
        frames_fused: Those at which camera and lidar had both updated it within the last 0.5 s.
        sources: Sensors that ever updated it.
        range_first: Horizontal distance from the vehicle's base_link to the nearest face of its
            box when first published, m.
        range_last: The same when last published, m.
        speed: Median speed in the fixed frame, m/s; relative to the own vehicle where the
            recording has no odometry.
    """

    id: int
    label: str
    frames: int
    frames_fused: int
    sources: Sequence[str]
    range_first: float
    range_last: float
    speed: float

    def as_json(self) -> dict[str, Any]:
        """Return the row as the command's JSON has it."""
        return {
            "id": self.id,
            "class": self.label,
            "frames": self.frames,
            "frames_fused": self.frames_fused,
            "sources": list(self.sources),
            "range_first": round(self.range_first, 2),
            "range_last": round(self.range_last, 2),
            "speed": round(self.speed, 2),
        }


def track_rows(history: History, tree: TransformTree) -> list[TrackRow]:
    """Return every confirmed track, those seen in most frames first."""
    rows = []
    for track in history.tracks:
        ranges = ranges_of(track, tree)
        rows.append(
            TrackRow(
                track.id,
                track.label,
                len(track.stamp),
                int((track.recent & _FUSED == _FUSED).sum()),
                track.source_names,
                float(ranges[0]),
                float(ranges[-1]),
                track.speed,
            )
        )
    return sorted(rows, key=lambda row: (-row.frames, -row.frames_fused, row.id))


def ranges_of(track: TrackHistory, tree: TransformTree) -> np.ndarray:
    """Return the distance to the nearest face of a track's box at each of its stamps, (N,) m."""
    return np.array(
        [
            range_to_boxes(
                _base(tree, stamp)[:2, 3],
                track.position[i : i + 1],
                track.size[i : i + 1],
                track.yaw[i : i + 1],
            )[0]
            for i, stamp in enumerate(track.stamp.tolist())
        ]
    )


def _base(tree: TransformTree, stamp: int) -> np.ndarray:
    pose = tree.pose(FIXED_FRAME, BASE_FRAME, stamp)
    # A bag may name its vehicle otherwise; its root then stands at the fixed frame's origin.
    return np.eye(4) if pose is None else pose


def write_csv(history: History, tree: TransformTree, file: Path) -> None:
    """Write one line per track and capture time.

    Raises:
        UserError: The file cannot be written.
    """
    head = "stamp_s id class sources recent_sources x_m y_m z_m yaw_rad length_m width_m height_m "
    head += "vx_mps vy_mps range_m"
    try:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(head.split())
            for track in sorted(history.tracks, key=lambda track: track.id):
                ranges = ranges_of(track, tree)
                for i, stamp in enumerate(track.stamp.tolist()):
                    numbers = [*track.position[i], track.yaw[i], *track.size[i]]
                    numbers += [*track.velocity[i], ranges[i]]
                    writer.writerow(
                        [
                            f"{stamp * 1e-9:.3f}",
                            track.id,
                            track.label,
                            "+".join(track.source_names),
                            int(track.recent[i]),
                            *(f"{number:.3f}" for number in numbers),
                        ]
                    )
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}; choose another folder") from error
