"""ROS 2 bags with known contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
WIDTH, HEIGHT = 64, 48


def make(name: str, /, **fields: Any) -> Any:
    package, base = name.split("/")
    return STORE.types[f"{package}/msg/{base}"](**fields)


def header(stamp: float, frame: str) -> Any:
    sec, nanosec = divmod(round(stamp * 1e9), 10**9)
    return make(
        "std_msgs/Header",
        stamp=make("builtin_interfaces/Time", sec=sec, nanosec=nanosec),
        frame_id=frame,
    )


def image(stamp: float, *, step: int = 3 * WIDTH, encoding: str = "rgb8") -> Any:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0] = 200  # red, as the encoding is rgb8
    return make(
        "sensor_msgs/Image", header=header(stamp, "optical"), height=HEIGHT, width=WIDTH,
        encoding=encoding, is_bigendian=0, step=step, data=pixels.reshape(-1),
    )  # fmt: skip


def cloud(stamp: float) -> Any:
    points = np.array([[1, 2, 3], [4, 5, np.nan], [7, 8, 9]], np.float32)
    fields = [
        make("sensor_msgs/PointField", name=n, offset=4 * i, datatype=7, count=1)
        for i, n in enumerate("xyz")
    ]
    return make(
        "sensor_msgs/PointCloud2", header=header(stamp, "lidar"), height=1, width=3,
        fields=fields, is_bigendian=False, point_step=12, row_step=36,
        data=points.reshape(-1).view(np.uint8), is_dense=False,
    )  # fmt: skip


def info(stamp: float) -> Any:
    roi = make(
        "sensor_msgs/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    k = np.array([60, 0, 32, 0, 60, 24, 0, 0, 1], float)
    p = np.array([60, 0, 32, 0, 0, 60, 24, 0, 0, 0, 1, 0], float)
    return make(
        "sensor_msgs/CameraInfo", header=header(stamp, "optical"), height=HEIGHT, width=WIDTH,
        distortion_model="plumb_bob", d=np.zeros(5), k=k, r=np.eye(3).reshape(-1), p=p,
        binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def transforms(*items: tuple[float, str, str, tuple[float, float, float]]) -> Any:
    made = []
    for stamp, parent, child, (x, y, z) in items:
        made.append(
            make(
                "geometry_msgs/TransformStamped", header=header(stamp, parent),
                child_frame_id=child,
                transform=make(
                    "geometry_msgs/Transform",
                    translation=make("geometry_msgs/Vector3", x=x, y=y, z=z),
                    rotation=make("geometry_msgs/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
                ),
            )
        )  # fmt: skip
    return make("tf2_msgs/TFMessage", transforms=made)


STATIC = transforms((0, "base", "optical", (0.1, 0, 0.5)), (0, "base", "lidar", (0, 0, 0.6)))


def sensors(count: int = 5) -> list[tuple[float, str, Any]]:
    """Images and clouds at 10 Hz, the images 20 ms older than they arrive, with a moving base."""
    rows = [(0.0, "/tf_static", STATIC)]
    for i in range(count):
        t = 1.0 + 0.1 * i
        rows.append((t, "/cam/camera_info", info(t)))
        rows.append((t, "/points", cloud(t)))
        rows.append((t + 0.02, "/cam/image_raw", image(t - 0.03 if i == 2 else t)))
        rows.append((t, "/tf", transforms((t, "odom", "base", (0.5 * i, 0, 0)))))
    return rows


def write_bag(
    path: Path,
    rows: list[tuple[float, str, Any]],
    storage: StoragePlugin = StoragePlugin.MCAP,
) -> Path:
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections: dict[str, Any] = {}
        for time, topic, message in sorted(rows, key=lambda row: row[0]):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            data = STORE.serialize_cdr(message, kind)
            writer.write(connections[topic], round(time * 1e9), data)
    return path
