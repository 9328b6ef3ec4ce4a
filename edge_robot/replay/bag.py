"""Reads a camera and a lidar out of a ROS 2 bag: a bag directory, an MCAP or a SQLite file."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag2 import ReaderError
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from edge_robot.errors import UserError
from edge_robot.perception.images import decode_image
from edge_robot.perception.lidar_points import read_points
from edge_robot.recording.reader import nanoseconds
from edge_robot.replay.source import FIXED_FRAME, Camera, Frame, Transform

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
POINTS = "sensor_msgs/msg/PointCloud2"
TF = "tf2_msgs/msg/TFMessage"

REORDER_WINDOW = 500_000_000
"""How much later than its turn a sample may have been recorded, ns."""

_TO_BGR = {
    "bgr8": None,
    "rgb8": cv2.COLOR_RGB2BGR,
    "mono8": cv2.COLOR_GRAY2BGR,
    "bgra8": cv2.COLOR_BGRA2BGR,
    "rgba8": cv2.COLOR_RGBA2BGR,
    "bayer_rggb8": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr8": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg8": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg8": cv2.COLOR_BayerGB2BGR,
}
"""OpenCV names Bayer patterns by their second row and column, ROS by their first."""


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
        with self._open() as reader:
            images = [c for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED)]
            clouds = [c for c in reader.connections if c.msgtype == POINTS]
            self._image = self._choose(images, image_topic, "image", "Image or CompressedImage")
            self._points = self._choose(clouds, points_topic, "points", "PointCloud2")
            info = self._info_topic([c for c in reader.connections if c.msgtype == INFO])
            self.camera = self._camera(reader, info)
            self.lidar_frame = self._first(reader, self._points).header.frame_id
            self._count = sum(
                c.msgcount for c in reader.connections if c.topic in (self._image, self._points)
            )
            static, self._moving = self._transforms(reader)
        self.static, self.note = self._connected(static)

    def __len__(self) -> int:
        """Return the number of images and point clouds together."""
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over images and clouds by their header stamps, joining those of one stamp."""
        transforms = iter(self._moving)
        following = next(transforms, None)
        pending: Frame | None = None
        for stamp, image, points in self._ordered():
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
            pending = Frame(stamp, image, points, due)
        if pending is not None:
            yield pending

    def _ordered(
        self,
    ) -> Iterator[tuple[int, NDArray[np.uint8] | None, NDArray[np.float32] | None]]:
        """Iterate over decoded samples by header stamp; bags are in order of arrival."""
        waiting: list[tuple[int, int, str, Any]] = []
        with self._open() as reader:
            chosen = [c for c in reader.connections if c.topic in (self._image, self._points)]
            for number, (connection, _, data) in enumerate(reader.messages(chosen)):
                message = reader.deserialize(data, connection.msgtype)
                stamp = nanoseconds(message.header.stamp)
                heapq.heappush(waiting, (stamp, number, connection.topic, message))
                while waiting and waiting[0][0] + REORDER_WINDOW < stamp:
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

    @contextmanager
    def _open(self) -> Iterator[AnyReader]:
        if not self._path.exists():
            raise UserError(f"bag {self._path} does not exist; check the path")
        try:
            store = get_typestore(Stores.ROS2_HUMBLE)
            with AnyReader([self._path], default_typestore=store) as reader:
                yield reader
        except (AnyReaderError, ReaderError) as error:
            raise UserError(
                f"bag {self._path} cannot be read: {error} Is the copy whole? "
                "`ros2 bag reindex` or `mcap recover` may mend it"
            ) from error

    def _choose(self, connections: list[Any], wanted: str, option: str, kind: str) -> str:
        found = sorted({c.topic for c in connections if c.msgcount})
        if wanted:
            if wanted not in found:
                known = ", ".join(found) or "none"
                raise UserError(
                    f"bag {self._path} has no {kind} on {wanted}; it has them on: {known}"
                )
            return wanted
        if len(found) != 1:
            listed = ", ".join(found) or f"no sensor_msgs {kind}"
            raise UserError(
                f"bag {self._path} has {listed}; choose one topic with --{option}-topic"
                if found
                else f"bag {self._path} has {listed}; a replay needs a camera and a lidar"
            )
        return str(found[0])

    def _info_topic(self, connections: list[Any]) -> str:
        found = sorted({c.topic for c in connections if c.msgcount})
        # By convention camera_info is the neighbour of image_raw, itself perhaps of /compressed.
        parents = [str(p) for p in Path(self._image).parents]
        beside = [topic for topic in found if str(Path(topic).parent) in parents[:2]]
        if len(beside) == 1:
            return str(beside[0])
        if len(found) == 1:
            return str(found[0])
        raise UserError(
            f"bag {self._path} has no CameraInfo that belongs to {self._image} "
            f"(found: {', '.join(found) or 'none'}); record the camera's camera_info as well"
        )

    def _first(self, reader: AnyReader, topic: str) -> Any:
        connections = [c for c in reader.connections if c.topic == topic]
        connection, _, data = next(iter(reader.messages(connections)))
        return reader.deserialize(data, connection.msgtype)

    def _camera(self, reader: AnyReader, topic: str) -> Camera:
        info = self._first(reader, topic)
        projection = np.array(info.p, dtype=np.float64).reshape(3, 4)
        intrinsics = np.array(info.k, dtype=np.float64).reshape(3, 3)
        if not projection[0, 0] > 0.0:
            projection = np.column_stack([intrinsics, np.zeros(3)])
        if not projection[0, 0] > 0.0:
            raise UserError(f"bag {self._path}: {topic} is not calibrated (K and P are zero)")
        return Camera(
            self._first(reader, self._image).header.frame_id or info.header.frame_id,
            int(info.width),
            int(info.height),
            intrinsics,
            projection,
            np.array(info.r, dtype=np.float64).reshape(3, 3),
            str(info.distortion_model),
            tuple(float(value) for value in info.d),
        )

    def _transforms(self, reader: AnyReader) -> tuple[list[Transform], list[Transform]]:
        static: dict[str, Transform] = {}
        moving = []
        for connection, _, data in reader.messages(
            [c for c in reader.connections if c.msgtype == TF]
        ):
            is_static = connection.topic.endswith("tf_static")
            for item in reader.deserialize(data, TF).transforms:
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
    if message.encoding not in _TO_BGR:
        raise ValueError(f"encoding '{message.encoding}' is not one of {', '.join(_TO_BGR)}")
    conversion = _TO_BGR[message.encoding]
    channels = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4}.get(message.encoding, 1)
    rows = message.data.reshape(message.height, message.step)[:, : message.width * channels]
    pixels = np.ascontiguousarray(rows)
    if channels > 1:
        pixels = pixels.reshape(message.height, message.width, channels)
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)
