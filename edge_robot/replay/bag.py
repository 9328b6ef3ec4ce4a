"""Reads a camera and a lidar out of a ROS 2 bag: a bag directory, an MCAP or a SQLite file."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from edge_robot.errors import UserError
from edge_robot.perception.images import decode_image
from edge_robot.perception.lidar.points import read_points
from edge_robot.perception.pixel_formats import to_bgr
from edge_robot.recording.bag_reader import unreadable
from edge_robot.recording.reader import nanoseconds
from edge_robot.replay.source import FIXED_FRAME, Camera, Frame, Transform

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
POINTS = "sensor_msgs/msg/PointCloud2"
TF = "tf2_msgs/msg/TFMessage"

REORDER_WINDOW = 500_000_000
"""How much later than its turn a sample may have been recorded, ns."""


@dataclass(frozen=True)
class _Topic:
    type: str
    count: int


class BagSource:
    """One camera and one lidar of a ROS 2 bag.

    Args:
        path: Bag directory, `.mcap` or `.db3` file.
        image_topic: Topic of Image or CompressedImage; empty for the only one.
        points_topic: Topic of PointCloud2; empty for the only one.

    Raises:
        UserError: The bag is missing or broken, or lacks what a replay needs.
    """

    def __init__(self, path: Path, image_topic: str = "", points_topic: str = "") -> None:
        self.name = path.name
        self._path = path
        self._topics = self._read_topics()
        self._image = self._choose((IMAGE, COMPRESSED), image_topic, "image")
        self._points = self._choose((POINTS,), points_topic, "points")
        self.camera = self._camera(self._info_topic())
        self.lidar_frame = self._first(self._points).header.frame_id
        static, self._moving = self._transforms()
        self.static, self.note = self._connected(static)

    def __len__(self) -> int:
        """Return the number of images and point clouds together."""
        return self._topics[self._image].count + self._topics[self._points].count

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over images and clouds by their header stamps, joining those of one stamp.

        Those before the first or after the last moving transform are left out: where the sensors
        were is not known.
        """
        transforms = iter(self._moving)
        following = next(transforms, None)
        pending: Frame | None = None
        begin, end = self._covered()
        for stamp, image, points in self._ordered():
            if not begin <= stamp <= end:
                continue
            if pending is not None and pending.stamp == stamp:
                pending = Frame(
                    stamp,
                    pending.image if image is None else image,
                    pending.points if points is None else points,
                    pending.transforms,
                )
                continue
            if pending is not None:
                yield pending
            due = []
            while following is not None and following.stamp <= stamp:
                due.append(following)
                following = next(transforms, None)
            # One more: a pose at the stamp itself is interpolated between its neighbours.
            if following is not None:
                due.append(following)
                following = next(transforms, None)
            pending = Frame(stamp, image, points, due)
        if pending is not None:
            yield pending

    def _covered(self) -> tuple[int, int]:
        """Return the first and the last stamp at which the sensors' poses are known, ns."""
        parents = {t.child: t.parent for t in (*self._moving, *self.static)}
        needed = {*_ancestors(self.lidar_frame, parents), *_ancestors(self.camera.frame, parents)}
        stamps: dict[str, list[int]] = {}
        for transform in self._moving:
            if transform.child in needed:
                stamps.setdefault(transform.child, []).append(transform.stamp)
        begin = max((rows[0] for rows in stamps.values()), default=0)
        return begin, min((rows[-1] for rows in stamps.values()), default=2**63)

    def _ordered(
        self,
    ) -> Iterator[tuple[int, NDArray[np.uint8] | None, NDArray[np.float32] | None]]:
        """Iterate over decoded samples by header stamp; bags are in order of arrival."""
        waiting: list[tuple[int, int, str, Any]] = []
        for number, (topic, message) in enumerate(self._messages(self._image, self._points)):
            stamp = nanoseconds(message.header.stamp)
            heapq.heappush(waiting, (stamp, number, topic, message))
            while waiting[0][0] + REORDER_WINDOW < stamp:
                yield self._decoded(heapq.heappop(waiting))
        while waiting:
            yield self._decoded(heapq.heappop(waiting))

    def _decoded(
        self, item: tuple[int, int, str, Any]
    ) -> tuple[int, NDArray[np.uint8] | None, NDArray[np.float32] | None]:
        stamp, _, topic, message = item
        where = f"{self._path}: {topic} at {stamp * 1e-9:.3f} s"
        try:
            if topic == self._points:
                return stamp, None, _points(message)
            return stamp, _pixels(message, where), None
        except ValueError as error:
            raise UserError(f"{where}: {error}; record it again") from error

    def _read_topics(self) -> dict[str, _Topic]:
        """Return the topics that hold messages."""
        if not self._path.exists():
            raise UserError(f"bag {self._path} does not exist; check the path")
        found: dict[str, _Topic] = {}
        try:
            with self._open() as reader:
                for item in reader.connections:
                    if item.msgcount:
                        before = found[item.topic].count if item.topic in found else 0
                        found[item.topic] = _Topic(item.msgtype, before + item.msgcount)
        except Exception as error:  # whatever the reader makes of a broken file
            raise unreadable(self._path, error) from error
        return found

    def _messages(self, *names: str) -> Iterator[tuple[str, Any]]:
        """Iterate over topic and decoded message, in order of recording."""
        try:
            with self._open() as reader:
                chosen = [c for c in reader.connections if c.topic in names]
                for connection, _, data in reader.messages(chosen) if chosen else ():
                    yield connection.topic, reader.deserialize(data, connection.msgtype)
        except Exception as error:  # whatever the reader makes of a broken file
            raise unreadable(self._path, error) from error

    def _open(self) -> AnyReader:
        return AnyReader([self._path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))

    def _choose(self, types: tuple[str, ...], wanted: str, option: str) -> str:
        found = sorted(name for name, topic in self._topics.items() if topic.type in types)
        kind = " or ".join(name.split("/")[-1] for name in types)
        if wanted and wanted not in found:
            known = ", ".join(found) or "none"
            raise UserError(f"bag {self._path} has no {kind} on {wanted}; it has them on: {known}")
        if wanted:
            return wanted
        if not found:
            raise UserError(
                f"bag {self._path} has no sensor_msgs {kind}; a replay needs a camera and a lidar"
            )
        if len(found) > 1:
            raise UserError(
                f"bag {self._path} has {', '.join(found)}; choose one with --{option}-topic"
            )
        return found[0]

    def _info_topic(self) -> str:
        found = sorted(name for name, topic in self._topics.items() if topic.type == INFO)
        # By convention camera_info is the neighbour of image_raw, itself perhaps of /compressed.
        parents = [str(parent) for parent in PurePosixPath(self._image).parents][:2]
        beside = [name for name in found if str(PurePosixPath(name).parent) in parents]
        for candidates in (beside, found):
            if len(candidates) == 1:
                return candidates[0]
        raise UserError(
            f"bag {self._path} has no CameraInfo that belongs to {self._image} "
            f"(found: {', '.join(found) or 'none'}); record the camera's camera_info as well"
        )

    def _first(self, topic: str) -> Any:
        return next(self._messages(topic))[1]

    def _camera(self, topic: str) -> Camera:
        info = self._first(topic)
        projection = np.array(info.p, dtype=np.float64).reshape(3, 4)
        intrinsics = np.array(info.k, dtype=np.float64).reshape(3, 3)
        if not projection[0, 0] > 0.0:
            projection = np.column_stack([intrinsics, np.zeros(3)])
        if not projection[0, 0] > 0.0:
            raise UserError(
                f"bag {self._path}: {topic} is not calibrated (K and P are zero); calibrate the "
                "camera and record again"
            )
        return Camera(
            self._first(self._image).header.frame_id or info.header.frame_id,
            int(info.width),
            int(info.height),
            intrinsics,
            projection,
            np.array(info.r, dtype=np.float64).reshape(3, 3),
            str(info.distortion_model),
            tuple(float(value) for value in info.d),
        )

    def _transforms(self) -> tuple[list[Transform], list[Transform]]:
        static: dict[str, Transform] = {}
        moving = []
        names = [name for name, topic in self._topics.items() if topic.type == TF]
        for name, message in self._messages(*names):
            is_static = name.endswith("tf_static")
            for item in message.transforms:
                transform = _transform(item, is_static)
                if is_static:
                    static[transform.child] = transform
                else:
                    moving.append(transform)
        return list(static.values()), sorted(moving, key=lambda transform: transform.stamp)

    def _connected(self, static: list[Transform]) -> tuple[tuple[Transform, ...], str]:
        """Complete the tree so that it begins at the fixed frame; return it and the caveat."""
        parents = {t.child: t.parent for t in (*self._moving, *static)}
        lidar, camera = (_ancestors(f, parents) for f in (self.lidar_frame, self.camera.frame))
        if lidar[-1] != camera[-1]:
            raise UserError(
                f"bag {self._path}: no transform connects the lidar's frame {self.lidar_frame} "
                f"with the camera's {self.camera.frame}; record /tf_static (and /tf) as well"
            )
        if FIXED_FRAME in lidar:
            return tuple(static), ""
        root = Transform(FIXED_FRAME, lidar[-1], np.eye(4))
        note = "" if self._moving else (
            "This bag has no odometry: the own vehicle stands at the origin, and every speed and "
            "path is relative to it."
        )  # fmt: skip
        return (root, *static), note


def _ancestors(frame: str, parents: dict[str, str]) -> list[str]:
    chain = [frame]
    while (parent := parents.get(chain[-1])) is not None and parent not in chain:
        chain.append(parent)
    return chain


def _transform(item: Any, is_static: bool) -> Transform:
    t, q = item.transform.translation, item.transform.rotation
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    matrix[:3, 3] = t.x, t.y, t.z
    stamp = 0 if is_static else nanoseconds(item.header.stamp)
    return Transform(
        item.header.frame_id.lstrip("/"), item.child_frame_id.lstrip("/"), matrix, stamp
    )


def _points(message: Any) -> NDArray[np.float32]:
    points = read_points(
        message.data,
        [(field.name, field.offset, field.datatype) for field in message.fields],
        width=message.width,
        height=message.height,
        point_step=message.point_step,
        row_step=message.row_step,
        big_endian=bool(message.is_bigendian),
    )
    if points.shape[1] == 4:
        return points
    return np.column_stack([points, np.zeros(len(points), np.float32)])


def _pixels(message: Any, where: str) -> NDArray[np.uint8]:
    if message.__msgtype__ == COMPRESSED:
        return decode_image(message.data.tobytes(), where)
    return to_bgr(
        message.data,
        width=message.width,
        height=message.height,
        step=message.step,
        encoding=message.encoding,
        big_endian=bool(message.is_bigendian),
    )
