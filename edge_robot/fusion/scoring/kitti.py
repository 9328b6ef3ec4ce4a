"""KITTI's tracking files: labels, results, detections in AB3DMOT's layout, and the car's poses.

Boxes are read into a frame at the camera with REP-103's axes (x forward, y left, z up), centre in
the middle: KITTI has x right, y down, z forward and the centre of the lower face.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.fusion.kalman import Array

CLASSES = {1: "pedestrian", 2: "car", 3: "cyclist"}
"""Numbers of the classes in AB3DMOT's detection files."""

DONT_CARE = "dontcare"
"""Class of regions of the image in which nobody labelled."""

PERIOD = 0.1
"""Time between two frames, s."""

MAX_FRAME = 99_999

BODY_FROM_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Turns KITTI's axes into REP-103's."""

_MAX_BYTES = 100_000_000
_CAMERA_IN_OXTS = np.array([1.08, -0.32, 0.72])
"""Where the camera is in the frame of the inertial unit, m: the nominal calibration of KITTI's car,
for oxts files that come without theirs."""

_EARTH_RADIUS = 6_378_137.0  # m
_LARGEST = 1e9


@dataclass(frozen=True)
class Objects:
    """Rows of one sequence, ordered by frame.

    Attributes:
        frames: (R,) from 0.
        ids: (R,) track of each; −1 for none.
        names: (R,) class in lower case, or `DONT_CARE`.
        truncated: (R,) whether a part is outside of the image.
        occlusion: (R,) 0 visible, 1 partly, 2 largely occluded, 3 unknown.
        rectangles: (R, 4) x1 y1 x2 y2 in the image, pixels.
        boxes: (R, 7) x, y, z of the centre, length, width, height, m, yaw, rad, in the frame at the
            camera.
        scores: (R,) any finite number; 0 for labels.
    """

    frames: NDArray[np.int64]
    ids: NDArray[np.int64]
    names: NDArray[np.str_]
    truncated: NDArray[np.bool_]
    occlusion: NDArray[np.int64]
    rectangles: Array
    boxes: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Objects:
        """Return the rows where a mask is true, or those of the indices."""
        return Objects(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @staticmethod
    def joined(parts: Sequence[Objects]) -> Objects:
        """Return the rows of all parts; those of one frame in the order of the parts."""
        rows = Objects(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Objects)}
        )
        return rows.select(np.argsort(rows.frames, kind="stable"))

    @staticmethod
    def empty() -> Objects:
        """Return no rows."""
        whole, real = np.empty(0, np.int64), np.empty(0)
        return Objects(
            whole,
            whole,
            np.empty(0, np.str_),
            whole > 0,
            whole,
            np.empty((0, 4)),
            np.empty((0, 7)),
            real,
        )


def read_labels(file: Path) -> Objects:
    """Read labels, or the results of a tracker: 17 columns, or 18 with a score.

    Raises:
        UserError: The file cannot be read or a line of it is not in that layout.
    """
    rows, names = [], []
    for number, columns in _lines(file, None):
        if len(columns) not in (17, 18):
            raise _fault(file, number, f"{len(columns)} columns where 17 or 18 belong")
        names.append(columns.pop(2).lower())
        rows.append(_numbers(file, number, columns))
        if len(columns) == 16:
            rows[-1].append(0.0)
    table = np.array(rows).reshape(-1, 17)
    return _objects(
        names=np.array(names, np.str_),
        frames=table[:, 0],
        ids=table[:, 1],
        truncation=table[:, 2],
        occlusion=table[:, 3],
        rectangles=table[:, 5:9],
        camera_boxes=table[:, 9:16],
        scores=table[:, 16],
        file=file,
    )


def read_detections(file: Path) -> Objects:
    """Read detections: 15 columns with commas between, as AB3DMOT keeps them.

    frame, class (see `CLASSES`), x1, y1, x2, y2, score, h, w, l, x, y, z, ry, alpha.

    Raises:
        UserError: The file cannot be read or a line of it is not in that layout.
    """
    rows = []
    for number, columns in _lines(file, ","):
        if len(columns) != 15:
            raise _fault(file, number, f"{len(columns)} columns where 15 belong")
        row = _numbers(file, number, columns)
        if row[1] not in CLASSES:
            raise _fault(file, number, f"no class {columns[1].strip()}; there are 1, 2 and 3")
        rows.append(row)
    table = np.array(rows).reshape(-1, 15)
    return _objects(
        names=np.array([CLASSES[int(kind)] for kind in table[:, 1]], np.str_),
        frames=table[:, 0],
        ids=np.full(len(table), -1.0),
        truncation=np.zeros(len(table)),
        occlusion=np.zeros(len(table)),
        rectangles=table[:, 2:6],
        camera_boxes=table[:, 7:14],
        scores=table[:, 6],
        file=file,
    )


def read_trajectory(file: Path) -> Array:
    """Read the camera's poses in KITTI odometry's layout: a 3×4 matrix a line, a line a frame.

    Returns:
        (F, 4, 4) pose in the first camera's frame of the frame that boxes are read into.

    Raises:
        UserError: The file cannot be read, or a line of it is no pose.
    """
    rows = []
    for number, columns in _lines(file, None):
        if len(columns) != 12:
            raise _fault(file, number, f"{len(columns)} columns where 12 belong")
        row = _numbers(file, number, columns)
        rotation = np.reshape(row, (3, 4))[:, :3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
            raise _fault(file, number, "no rotation")
        rows.append(row)
    camera = np.array(rows).reshape(-1, 3, 4)
    poses = np.tile(np.eye(4), (len(camera), 1, 1))
    poses[:, :3, :3] = BODY_FROM_CAMERA @ camera[..., :3] @ BODY_FROM_CAMERA.T
    poses[:, :3, 3] = camera[..., 3] @ BODY_FROM_CAMERA.T
    return poses


def read_oxts(file: Path) -> Array:
    """Read the car's poses from a file of its inertial unit: 30 columns a line, a line a frame.

    The Mercator projection at the first latitude is that of KITTI's raw data development kit.

    Returns:
        (F, 4, 4) pose, east north up from the unit's first position, of the frame that boxes are
        read into.

    Raises:
        UserError: The file cannot be read or a line of it is not in that layout.
    """
    rows = []
    for number, columns in _lines(file, None):
        if len(columns) != 30:
            raise _fault(file, number, f"{len(columns)} columns where 30 belong")
        row = _numbers(file, number, columns)
        if abs(row[0]) > 89.0:
            raise _fault(file, number, f"latitude {row[0]}° cannot be projected")
        rows.append(row[:6])
    latitude, longitude, altitude, roll, pitch, yaw = np.array(rows).reshape(-1, 6).T
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    if not rows:
        return poses
    scale = np.cos(np.radians(latitude[0])) * _EARTH_RADIUS
    poses[:, 0, 3] = scale * np.radians(longitude)
    poses[:, 1, 3] = scale * np.log(np.tan(np.radians(90.0 + latitude) / 2))
    poses[:, 2, 3] = altitude
    poses[:, :3, 3] -= poses[0, :3, 3].copy()
    poses[:, :3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
    poses[:, :3, 3] += poses[:, :3, :3] @ _CAMERA_IN_OXTS
    return poses


def _objects(
    *,
    names: NDArray[np.str_],
    frames: Array,
    ids: Array,
    truncation: Array,
    occlusion: Array,
    rectangles: Array,
    camera_boxes: Array,
    scores: Array,
    file: Path,
) -> Objects:
    """Return rows by frame, boxes turned to the robot's axes."""
    wrong = (frames < 0) | (frames > MAX_FRAME) | (frames != np.floor(frames))
    if wrong.any():
        raise _fault(file, None, f"{frames[wrong][0]:g} is no frame number")
    if (camera_boxes[names != DONT_CARE, :3] < 0.0).any():
        raise _fault(file, None, "a box has a negative size")
    height, width, length, x, y, z, turn = camera_boxes.T
    yaw = np.remainder(-turn + np.pi / 2, 2 * np.pi) - np.pi
    boxes = np.column_stack([z, -x, height / 2 - y, length, width, height, yaw])
    order = np.argsort(frames, kind="stable")
    return Objects(
        frames=frames[order].astype(np.int64),
        ids=ids[order].astype(np.int64),
        names=names[order],
        truncated=truncation[order] >= 1.0,
        occlusion=occlusion[order].astype(np.int64),
        rectangles=rectangles[order],
        boxes=boxes[order],
        scores=scores[order],
    )


def _about(axis: int, angle: Array) -> Array:
    """Return rotations about one axis, (F, 3, 3)."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.tile(np.eye(3), (len(angle), 1, 1))
    rotation[:, first, first] = rotation[:, second, second] = np.cos(angle)
    rotation[:, second, first] = np.sin(angle)
    rotation[:, first, second] = -np.sin(angle)
    return rotation


def _lines(file: Path, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the columns of every line that is not empty."""
    try:
        size = file.stat().st_size
        if size > _MAX_BYTES:
            raise UserError(f"{file} has {size} bytes; a sequence has less than {_MAX_BYTES}")
        text = file.read_text(encoding="ascii")
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not a text file in ASCII") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.split(separator)


def _numbers(file: Path, number: int, columns: list[str]) -> list[float]:
    try:
        row = [float(field) for field in columns]
    except ValueError as error:
        raise _fault(file, number, str(error)) from error
    if not all(abs(value) <= _LARGEST for value in row):
        raise _fault(file, number, f"a number is not finite, or beyond {_LARGEST:g}")
    return row


def _fault(file: Path, number: int | None, what: str) -> UserError:
    place = f"{file}:{number}" if number is not None else str(file)
    return UserError(f"{place}: {what}; mend the file or leave it out")
