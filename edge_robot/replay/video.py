"""Draws a replay as a video: camera frames with tracks, and the scene from above below them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.fusion.boxes import corners
from edge_robot.fusion.camera import CameraView
from edge_robot.perception.drawing import colour_of
from edge_robot.perception.images import decode_image
from edge_robot.perception.lidar.points import read_points
from edge_robot.recording.reader import nanoseconds
from edge_robot.replay.results import ranges_of
from edge_robot.replay.source import BASE_FRAME, FIXED_FRAME
from edge_robot.replay.transforms import TransformTree
from edge_robot.report.history import Frame, History

CODECS = (("mp4", "mp4v"), ("avi", "MJPG"))
"""Container and codec, best first; MJPG is in every build of OpenCV."""

AHEAD, ASIDE = 50.0, 9.0
"""How far the view from above reaches ahead and to each side, m."""

_EDGES = (
    *((0, 1), (2, 3), (4, 5), (6, 7)),
    *((0, 2), (1, 3), (4, 6), (5, 7)),
    *((0, 4), (1, 5), (2, 6), (3, 7)),
)
"""Pairs of `corners` that an edge of the box joins."""

MIN_FULL_LABEL = 90.0
"""Width of a box, pixels, from which its label has the speed as well."""

_GREY = (170, 160, 150)
_PAPER = (34, 28, 22)
_FUSED = 3


def write_video(history: History, tree: TransformTree, folder: Path, rate: float) -> Path:
    """Write the annotated video of a recording.

    Args:
        history: The recording; every image in it becomes a frame.
        tree: Its transforms.
        folder: Where `video.mp4` (or `.avi`) goes.
        rate: Frames per s.

    Returns:
        The video.

    Raises:
        UserError: The recording has no images, or no codec works.
    """
    drawn = _drawn_frames(history, tree)
    first = next(drawn, None)
    if first is None:
        raise UserError(f"{history.recording.path} holds no images; there is no video to make")
    size = first.shape[1], first.shape[0]
    path, writer = _open_writer(folder, size, rate)
    writer.write(first)
    for image in drawn:
        writer.write(image)
    writer.release()
    return path


def _open_writer(folder: Path, size: tuple[int, int], rate: float) -> tuple[Path, cv2.VideoWriter]:
    for suffix, codec in CODECS:
        path = folder / f"video.{suffix}"
        with _quiet():
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, size)
        if writer.isOpened():
            return path, writer
        path.unlink(missing_ok=True)
    raise UserError(f"cannot write a video into {folder}: free space, or use OpenCV with FFmpeg")


class _quiet:
    """Sends standard error to nowhere: FFmpeg writes there about each codec it lacks."""

    def __enter__(self) -> None:
        self._kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._kept, 2)
        os.close(self._kept)


def _drawn_frames(history: History, tree: TransformTree) -> Iterator[NDArray[np.uint8]]:
    recording = history.recording
    info = recording.samples(recording.name_of(topics.CAMERA_INFO))
    projection = np.array(info[0].message.p).reshape(3, 4) if info else None
    optical = info[0].message.header.frame_id if info else ""
    clouds = {
        nanoseconds(sample.message.header.stamp): sample.message
        for sample in recording.samples(recording.name_of(topics.LIDAR_POINTS))
    }
    boxes = _Boxes(history, tree)
    newest_cloud = None
    for frame in history.frames:
        image = decode_image(frame.jpeg, f"of {frame.stamp * 1e-9:.3f} s in the recording")
        newest_cloud = clouds.get(frame.stamp, newest_cloud)
        pose = tree.pose(FIXED_FRAME, optical, frame.stamp)
        _draw_detections(image, frame)
        if projection is not None and pose is not None:
            view = CameraView(projection, image.shape[1], image.shape[0], pose)
            boxes.draw_in_camera(image, view, frame.stamp)
        above = boxes.draw_from_above(image.shape[1], frame.stamp, newest_cloud)
        both = np.vstack([image, above])
        # Encoders want even sides.
        yield np.ascontiguousarray(both[: both.shape[0] // 2 * 2, : both.shape[1] // 2 * 2])


def _draw_detections(image: NDArray[np.uint8], frame: Frame) -> None:
    for box in frame.onboard:
        x1, y1 = round(box.x), round(box.y)
        x2, y2 = round(box.x + box.width), round(box.y + box.height)
        cv2.rectangle(image, (x1, y1), (x2, y2), (255, 255, 255), 1, cv2.LINE_AA)
        words = f"{box.label} {box.score:.2f}"
        _write(image, words, (x1 + 2, y2 - 3), (255, 255, 255))


class _Boxes:
    """The tracks of a recording by stamp, drawn into pictures."""

    def __init__(self, history: History, tree: TransformTree) -> None:
        self._tree = tree
        self._tracks = [(track, ranges_of(track, tree)) for track in history.tracks]

    def _at(self, stamp: int) -> Iterator[tuple[int, str, bool, NDArray[np.float64], float, float]]:
        """Iterate over id, class, fused, corners (8, 3), range and speed at one stamp."""
        for track, ranges in self._tracks:
            index = int(np.searchsorted(track.stamp, stamp))
            if index < len(track.stamp) and track.stamp[index] == stamp:
                box = corners(
                    track.position[index : index + 1],
                    track.size[index : index + 1],
                    track.yaw[index : index + 1],
                )[0]
                speed = float(np.hypot(*track.velocity[index]))
                fused = track.sources & _FUSED == _FUSED
                yield track.id, track.label, fused, box, float(ranges[index]), speed

    def draw_in_camera(self, image: NDArray[np.uint8], view: CameraView, stamp: int) -> None:
        """Draw each track's box in perspective; fused ones in colour with what is known of them."""
        rows = sorted(self._at(stamp), key=lambda row: -row[4])
        for identity, label, fused, box, distance, speed in rows:
            homogeneous = box @ view.matrix[:, :3].T + view.matrix[:, 3]
            if homogeneous[:, 2].min() < 0.5:
                continue
            pixels = homogeneous[:, :2] / homogeneous[:, 2:]
            low, high = pixels.min(axis=0), pixels.max(axis=0)
            if high[0] < 0 or low[0] > view.width or high[1] < 0 or low[1] > view.height:
                continue
            colour = colour_of(label) if fused else _GREY
            for a, b in _EDGES:
                start, end = (tuple(int(v) for v in pixels[i].round()) for i in (a, b))
                cv2.line(image, start, end, colour, 2 if fused else 1, cv2.LINE_AA)
            if fused:
                words = f"#{identity} {label} {distance:.1f} m"
                # A small box has no room for more.
                words += f"  {speed:.1f} m/s" if high[0] - low[0] > MIN_FULL_LABEL else ""
                _label(image, words, (max(int(low[0]), 0), max(int(low[1]), 14)), colour)

    def draw_from_above(self, width: int, stamp: int, cloud: Any | None) -> NDArray[np.uint8]:
        """Return the scene from above, the vehicle at the left looking right, (H, width, 3)."""
        scale = width / (AHEAD + 3.0)
        height = round(2 * ASIDE * scale)
        picture = np.full((height, width, 3), _PAPER, np.uint8)
        base = self._tree.pose(FIXED_FRAME, BASE_FRAME, stamp)
        base_from_fixed = np.asarray(np.eye(4) if base is None else np.linalg.inv(base), np.float64)

        def place(points: NDArray[np.float64]) -> NDArray[np.int32]:
            x = (points[:, 0] + 3.0) * scale
            y = height / 2 - points[:, 1] * scale
            return np.stack([x, y], axis=1).round().astype(np.int32)

        for metres in range(0, int(AHEAD) + 1, 10):
            column = round((metres + 3.0) * scale)
            cv2.line(picture, (column, 0), (column, height), (60, 50, 42), 1)
            _write(picture, f"{metres} m", (column + 4, height - 6), (140, 130, 120))
        if cloud is not None:
            points = self._points(cloud, base_from_fixed, stamp)
            points = points[(points[:, 2] > 0.25) & (points[:, 2] < 3.0)]
            x, y = place(points).T
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            picture[y[inside], x[inside]] = (150, 140, 128)
        own = place(np.array([[1.0, 0.0], [-2.6, 0.9], [-2.0, 0.0], [-2.6, -0.9]]))
        cv2.fillPoly(picture, [own], (255, 176, 98), cv2.LINE_AA)
        for identity, label, fused, box, distance, _ in self._at(stamp):
            local = box @ base_from_fixed[:3, :3].T + base_from_fixed[:3, 3]
            outline = place(local[[0, 2, 6, 4]])
            colour = colour_of(label) if fused else _GREY
            cv2.polylines(picture, [outline], True, colour, 2 if fused else 1, cv2.LINE_AA)
            if fused:
                at = (int(outline[:, 0].max()) + 4, int(outline[:, 1].mean()) + 4)
                _write(picture, f"#{identity} {label} {distance:.1f} m", at, colour)
        return picture

    def _points(
        self, cloud: Any, base_from_fixed: NDArray[np.float64], stamp: int
    ) -> NDArray[np.float64]:
        pose = self._tree.pose(FIXED_FRAME, cloud.header.frame_id, stamp)
        points = read_points(
            cloud.data,
            [(f.name, f.offset, f.datatype) for f in cloud.fields],
            width=cloud.width,
            height=cloud.height,
            point_step=cloud.point_step,
            row_step=cloud.row_step,
        )[:, :3].astype(np.float64)
        if pose is None:
            return np.zeros((0, 3))
        matrix = base_from_fixed @ pose
        return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _label(
    picture: NDArray[np.uint8], words: str, at: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    x, y = at
    cv2.rectangle(picture, (x, y - height - 5), (x + width + 4, y), _PAPER, cv2.FILLED)
    cv2.rectangle(picture, (x, y - height - 5), (x + width + 4, y), colour, 1, cv2.LINE_AA)
    _write(picture, words, (x + 2, y - 4), (255, 255, 255))


def _write(
    picture: NDArray[np.uint8], words: str, at: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    cv2.putText(picture, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
