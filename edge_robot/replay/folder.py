"""Reads a drive kept as a folder: `image/NAME.jpg`, `lidar/NAME.bin`, `calibration.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.images import read_image
from edge_robot.replay.source import BASE_FRAME, FIXED_FRAME, Camera, Frame, Transform

CAMERA_FRAME = "camera_front_optical_frame"
LIDAR_FRAME = "lidar_link"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
POINT_BYTES = 16
"""float32 x, y, z, intensity."""


class FolderSource:
    """A drive in a folder, in the layout of the KITTI raw recordings.

    `calibration.json` holds `rate_hz`, `image` {`width`, `height`}, `lidar_to_camera` (3×4),
    `rectification` (3×3) and `projection` (3×4), as KITTI defines them. Such a folder says nothing
    of the vehicle's motion, so odometry stands still and speeds are relative to the vehicle.

    Args:
        folder: The folder.
        lidar_height: Height of the lidar above the ground, m; base_link is on the ground below it.

    Raises:
        UserError: Something is missing, does not fit together, or is no such folder.
    """

    def __init__(self, folder: Path, lidar_height: float) -> None:
        self.name = folder.name
        self.note = (
            "This recording has no odometry: the own vehicle stands at the origin, and every "
            "speed and path is relative to it."
        )
        self._folder = folder
        calibration = _Calibration(folder / "calibration.json")
        self._period = round(1e9 / calibration.number("rate_hz"))
        width, height = calibration.image_size()
        projection = calibration.matrix("projection", (3, 4))
        self.camera = Camera(
            CAMERA_FRAME,
            width,
            height,
            intrinsics=projection[:, :3],
            projection=projection,
            rectification=np.eye(3),
        )
        optical_from_lidar = np.eye(4)
        optical_from_lidar[:3] = calibration.matrix("rectification", (3, 3)) @ calibration.matrix(
            "lidar_to_camera", (3, 4)
        )
        base_from_lidar = np.eye(4)
        base_from_lidar[2, 3] = lidar_height
        base_from_optical = base_from_lidar @ np.linalg.inv(optical_from_lidar)
        self.lidar_frame = LIDAR_FRAME
        self.static: tuple[Transform, ...] = (
            Transform(FIXED_FRAME, BASE_FRAME, np.eye(4)),
            Transform(BASE_FRAME, LIDAR_FRAME, base_from_lidar),
            Transform(BASE_FRAME, CAMERA_FRAME, base_from_optical),
        )
        self._pairs = _paired(folder)

    def __len__(self) -> int:
        """Return the number of images and point clouds together."""
        return 2 * len(self._pairs)

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over the frames; the first is captured one period after 0."""
        for index, (image_file, points_file) in enumerate(self._pairs):
            image = read_image(image_file)
            if image.shape[:2] != (self.camera.height, self.camera.width):
                raise UserError(
                    f"{image_file} has {image.shape[1]}×{image.shape[0]} pixels, calibration.json "
                    f"says {self.camera.width}×{self.camera.height}; correct one of them"
                )
            yield Frame((index + 1) * self._period, image, read_points(points_file))


class _Calibration:
    """`calibration.json`, with errors that name the file and the entry."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._content = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(
                f"{file} is missing; a replay needs a folder with image/, lidar/ and "
                "calibration.json, or a ROS 2 bag"
            ) from error
        except (OSError, ValueError) as error:
            raise UserError(f"{file} is not readable as JSON: {error}") from error
        if not isinstance(self._content, dict):
            raise UserError(f"{file} does not hold a JSON object")

    def entry(self, name: str, kind: type) -> Any:
        value = self._content.get(name)
        if not isinstance(value, kind):
            raise UserError(f"{self._file}: entry '{name}' is missing or wrong; see kitti_drive")
        return value

    def number(self, name: str) -> float:
        value = self._content.get(name)
        if not isinstance(value, int | float) or not value > 0:
            raise UserError(f"{self._file}: entry '{name}' must be a positive number")
        return float(value)

    def image_size(self) -> tuple[int, int]:
        size = self.entry("image", dict)
        try:
            return int(size["width"]), int(size["height"])
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(f"{self._file}: entry 'image' must have width and height") from error

    def matrix(self, name: str, shape: tuple[int, int]) -> NDArray[np.float64]:
        try:
            matrix = np.array(self.entry(name, list), dtype=np.float64)
        except (ValueError, TypeError):
            matrix = np.zeros(0)
        if matrix.shape != shape or not np.isfinite(matrix).all():
            rows, columns = shape
            raise UserError(f"{self._file}: entry '{name}' must be {rows}×{columns} numbers")
        return matrix


def _paired(folder: Path) -> list[tuple[Path, Path]]:
    images = _files(folder / "image", IMAGE_SUFFIXES)
    clouds = _files(folder / "lidar", (".bin",))
    for one, other, wanted in ((images, clouds, "lidar/*.bin"), (clouds, images, "image/*.jpg")):
        if alone := sorted(one.keys() - other.keys()):
            raise UserError(
                f"{folder}: {len(alone)} frames have no {wanted}: {_some(alone)}; complete the "
                "folder or remove these frames"
            )
    names = sorted(images)
    if all(name.isdigit() for name in names):
        numbers = {int(name) for name in names}
        if gaps := sorted(set(range(min(numbers), max(numbers) + 1)) - numbers):
            width = len(names[0])
            raise UserError(
                f"{folder}: {len(gaps)} frames are missing from the numbering: "
                f"{_some([f'{gap:0{width}d}' for gap in gaps])}; complete the folder or renumber it"
            )
    return [(images[name], clouds[name]) for name in names]


def _files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    files = {}
    if folder.is_dir():
        files = {f.stem: f for f in sorted(folder.iterdir()) if f.suffix.lower() in suffixes}
    if not files:
        raise UserError(f"{folder} holds no {' or '.join(suffixes)} files; check the folder")
    return files


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def read_points(file: Path) -> NDArray[np.float32]:
    """Return the points of a sweep, (N, 4): x, y, z in m and intensity.

    Raises:
        UserError: It is no number of points.
    """
    content = file.read_bytes()
    if not content or len(content) % POINT_BYTES:
        raise UserError(
            f"{file} has {len(content)} bytes, which is no number of points of {POINT_BYTES} "
            "bytes (float32 x, y, z, intensity); copy it again"
        )
    return np.frombuffer(content, dtype="<f4").reshape(-1, 4).astype(np.float32)
