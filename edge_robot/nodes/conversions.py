"""Between ROS messages and plain values, for every node."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import Quaternion, Transform, Twist
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from edge_robot.perception.images import decode_bgr
from edge_robot.perception.pixel_formats import to_bgr


def seconds(stamp: TimeMsg) -> float:
    """Return a `builtin_interfaces/Time` in s."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def nanoseconds(stamp: TimeMsg) -> int:
    """Return a `builtin_interfaces/Time` in ns."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def stamp_from_nanoseconds(value: int) -> TimeMsg:
    """Return `value` ns as a `builtin_interfaces/Time`."""
    sec, nanosec = divmod(value, 1_000_000_000)
    return TimeMsg(sec=sec, nanosec=nanosec)


def stamp_of(data: bytes) -> int | None:
    """Return the header stamp of a sample whose type begins with a header, ns.

    None if the sample is too short to have one.

    Args:
        data: CDR with its 4-byte header.
    """
    if len(data) < 12:
        return None
    order: Literal["little", "big"] = "little" if data[1] & 1 else "big"
    sec = int.from_bytes(data[4:8], order, signed=True)
    return sec * 1_000_000_000 + int.from_bytes(data[8:12], order)


_UNIT_TOLERANCE = 0.1  # as nav2 has it


def is_rotation(q: Quaternion) -> bool:
    """Return whether a quaternion's length is 1, near enough: all zeros, or NaN, turn nothing."""
    return abs(math.hypot(q.x, q.y, q.z, q.w) - 1.0) < _UNIT_TOLERANCE


def twist_values(twist: Twist) -> tuple[float, float, float, float, float, float]:
    """Return all numbers of a twist: linear x, y, z, m/s, and angular x, y, z, rad/s."""
    linear, angular = twist.linear, twist.angular
    return linear.x, linear.y, linear.z, angular.x, angular.y, angular.z


def yaw_of(q: Quaternion) -> float:
    """Return the heading of a quaternion about +z, rad."""
    return math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))


def quaternion_from_yaw(yaw: float) -> Quaternion:
    """Return the rotation by `yaw` rad about +z."""
    return Quaternion(z=math.sin(yaw / 2.0), w=math.cos(yaw / 2.0))


def pose_matrix(transform: Transform) -> NDArray[np.float64]:
    """Return a transform as a (4, 4) matrix."""
    q, t = transform.rotation, transform.translation
    x, y, z, w = np.array([q.x, q.y, q.z, q.w]) / np.linalg.norm([q.x, q.y, q.z, q.w])
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), t.x],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), t.y],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), t.z],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def image_to_bgr(image: Image) -> np.ndarray:
    """Return the pixels as (H, W, 3) uint8 BGR; see `edge_robot.perception.pixel_formats`.

    Raises:
        ValueError: the encoding is not one the stack reads, or the data does not fit the size.
    """
    return to_bgr(
        image.data,
        width=image.width,
        height=image.height,
        step=image.step,
        encoding=image.encoding,
        big_endian=bool(image.is_bigendian),
    )


def compressed_image_to_bgr(image: CompressedImage) -> np.ndarray:
    """Return the pixels of a JPEG or PNG as (H, W, 3) uint8 BGR.

    Raises:
        ValueError: the data is no whole JPEG or PNG, or one too large.
    """
    try:
        return decode_bgr(bytes(image.data))
    except ValueError as error:
        raise ValueError(f"compressed image {error}") from error
