"""Drives of KITTI-tracking as the tracker is fed them, and its tracks as KITTI scores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.fusion.camera import CameraView
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import BoxMeasurement
from edge_robot.fusion.scoring.kitti import (
    BODY_FROM_CAMERA,
    CLASSES,
    PERIOD,
    Objects,
    read_detections,
    read_labels,
    read_oxts,
    read_trajectory,
)
from edge_robot.fusion.scoring.mota import Score, score
from edge_robot.fusion.tracks import Track

VALIDATION = (
    "0001",
    "0006",
    "0008",
    "0010",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0018",
    "0019",
)
"""Sequences of the published tables; the other ten are for tuning."""

_PROJECTION = np.array(
    [[721.5377, 0.0, 609.5593, 0.0], [0.0, 721.5377, 172.854, 0.0], [0.0, 0.0, 1.0, 0.0]]
)
_IMAGE = (1242, 375)  # pixels
_SCORE_STEP = 2.0**-10


@dataclass(frozen=True)
class Drive:
    """One sequence.

    Attributes:
        name: Four digits.
        detections: Of all classes, by frame.
        labels: What was there.
        poses: (F, 4, 4) of the frame at the camera in a fixed frame, for every frame.
    """

    name: str
    detections: Objects
    labels: Objects
    poses: Array

    def measurement(self, frame: int) -> BoxMeasurement:
        """Return what was detected in one frame."""
        found = self.detections.select(self.detections.frames == frame)
        return BoxMeasurement(
            stamp=self.stamp(frame),
            centers=found.boxes[:, :3],
            sizes=found.boxes[:, 3:6],
            yaws=found.boxes[:, 6],
            scores=found.scores,
            labels=found.names.tolist(),
            fixed_from_sensor=self.poses[frame],
            view=_OPENING,
        )

    @staticmethod
    def stamp(frame: int) -> int:
        """Return the capture time of a frame, ns, more than 0."""
        return round((frame + 1) * PERIOD * 1e9)


def read_drives(
    detections: Path,
    labels: Path,
    poses: Path | None,
    oxts: Path | None,
    sequences: Sequence[str],
) -> list[Drive]:
    """Read sequences.

    Args:
        detections: Folder that has one `…_CLASS_val/NAME.txt` for every class and sequence, as
            AB3DMOT's `data/KITTI/detection`.
        labels: Folder of `NAME.txt`.
        poses: Folder of `NAME.txt` or `NAME/CameraTrajectory.txt`, a 3×4 matrix a line.
        oxts: Folder of `NAME.txt` of the inertial unit; without either, the car is taken to stand.
        sequences: Their names.

    Raises:
        UserError: A folder or a file is missing or bad, or poses are too few.
    """
    if poses is not None and oxts is not None:
        raise UserError("poses come from --poses or from --oxts, not from both")
    folders = [_only(detections, f"*_{name.capitalize()}_val") for name in CLASSES.values()]
    drives = []
    for name in sequences:
        found = Objects.joined([read_detections(folder / f"{name}.txt") for folder in folders])
        labelled = read_labels(labels / f"{name}.txt")
        count = 1 + max(int(rows.frames.max(initial=-1)) for rows in (found, labelled))
        if count < 2:
            raise UserError(f"sequence {name} has {count} frames with detections or labels")
        if poses is not None:
            nested = poses / name / "CameraTrajectory.txt"
            path = read_trajectory(nested if nested.is_file() else poses / f"{name}.txt")
        elif oxts is not None:
            path = read_oxts(oxts / f"{name}.txt")
        else:
            path = np.tile(np.eye(4), (count, 1, 1))
        if len(path) < count:
            raise UserError(f"sequence {name}: {len(path)} poses for {count} frames")
        drives.append(Drive(name, found, labelled, path))
    return drives


def as_results(drive: Drive, tracks: Mapping[int, Sequence[Track]]) -> Objects:
    """Return tracks as KITTI's results: boxes at the camera, by frame, of what is in the image.

    A track that nothing measured in a frame is in it if the middle of its box is.

    Args:
        drive: The sequence.
        tracks: The tracks in each frame, in the fixed frame.
    """
    rows = [(frame, track) for frame in sorted(tracks) for track in tracks[frame]]
    if not rows:
        return Objects.empty()
    frames = np.array([frame for frame, _ in rows])
    ids = np.array([track.id for _, track in rows])
    sizes = np.array([track.size for _, track in rows])
    to_camera = np.linalg.inv(drive.poses)[frames]
    centers = to_camera[:, :3, :3] @ np.array([track.position for _, track in rows])[..., None]
    centers = centers[..., 0] + to_camera[:, :3, 3]
    yaws = np.array([track.yaw for _, track in rows])
    along = np.stack([np.cos(yaws), np.sin(yaws), np.zeros_like(yaws)], axis=-1)
    along = (to_camera[:, :3, :3] @ along[..., None])[..., 0]
    yaws = np.arctan2(along[:, 1], along[:, 0])
    rectangles, is_visible = _CAMERA.project_boxes(centers, sizes, yaws)
    is_measured = np.array([track.coasting == 0.0 for _, track in rows])
    is_visible &= is_measured | _in_image(centers)
    results = Objects(
        frames=frames,
        ids=ids,
        names=np.array([track.class_name for _, track in rows]),
        truncated=np.zeros(len(rows), bool),
        occlusion=np.zeros(len(rows), np.int64),
        rectangles=rectangles,
        boxes=np.column_stack([centers, sizes, yaws]),
        scores=np.array([track.score for _, track in rows]),
    )
    return with_exact_scores(results.select(is_visible))


def scores(drives: Sequence[Drive], results: Mapping[str, Objects]) -> dict[str, Score]:
    """Return how good tracks are, by class; of the classes that are labelled in the drives."""
    labels = {drive.name: drive.labels for drive in drives}
    named = {name for drive in drives for name in np.unique(drive.labels.names).tolist()}
    return {
        name: score(labels, results, name) for name in sorted(CLASSES.values()) if name in named
    }


def with_exact_scores(results: Objects) -> Objects:
    """Return results whose every track has its mean score throughout, in steps of 1/1024.

    The mean that scoring takes of it then is exact, so no track is lost at its own threshold by
    rounding (see `mota.score`).
    """
    _, name = np.unique(results.names, return_inverse=True)
    _, number = np.unique([name, results.ids], axis=1, return_inverse=True)
    means = np.bincount(number, results.scores) / np.bincount(number)
    return replace(results, scores=(np.round(means / _SCORE_STEP) * _SCORE_STEP)[number])


def _in_image(points: Array) -> NDArray[np.bool_]:
    """Return which (N, 3) points of the frame at the camera are in its image, (N,)."""
    image = points @ _CAMERA.matrix[:, :3].T + _CAMERA.matrix[:, 3]
    depth = image[:, 2]
    inside = (image[:, :2] >= 0.0) & (image[:, :2] <= depth[:, None] * np.array(_IMAGE))
    return np.asarray((depth > 0.0) & inside.all(axis=1))


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise UserError(f"{folder} has {len(found)} folders {pattern}; one is needed")
    return found[0]


def _camera() -> CameraView:
    pose = np.eye(4)
    pose[:3, :3] = BODY_FROM_CAMERA
    return CameraView(_PROJECTION, *_IMAGE, pose)


_CAMERA = _camera()
_OPENING = 2.0 * float(np.arctan2(_IMAGE[0] / 2, _PROJECTION[0, 0]))  # rad
