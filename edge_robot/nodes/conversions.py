"""Between ROS messages and plain values, for every node."""

from __future__ import annotations

import math

import cv2
import numpy as np
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import Quaternion
from sensor_msgs.msg import Image

_TO_BGR = {
    "bgr8": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
}
"""Encodings of `sensor_msgs/Image` that the stack reads: channels and OpenCV's conversion."""


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


def yaw_of(q: Quaternion) -> float:
    """Return the heading of a quaternion about +z, rad."""
    return math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))


def quaternion_from_yaw(yaw: float) -> Quaternion:
    """Return the rotation by `yaw` rad about +z."""
    return Quaternion(z=math.sin(yaw / 2.0), w=math.cos(yaw / 2.0))


def image_to_bgr(image: Image) -> np.ndarray:
    """Return the pixels as (H, W, 3) uint8 BGR.

    Raises:
        ValueError: the encoding is not one the stack reads, or the data does not fit the size.
    """
    if image.encoding not in _TO_BGR:
        known = ", ".join(_TO_BGR)
        raise ValueError(f"image encoding {image.encoding!r} is not one of {known}")
    channels, conversion = _TO_BGR[image.encoding]
    data = np.frombuffer(image.data, dtype=np.uint8)
    row = image.width * channels
    if image.height == 0 or image.step < row or len(data) != image.step * image.height or row == 0:
        raise ValueError(
            f"image of {len(data)} bytes does not hold {image.width}×{image.height} "
            f"{image.encoding} pixels in rows of {image.step} bytes"
        )
    pixels = data.reshape(image.height, image.step)[:, :row].reshape(
        image.height, image.width, channels
    )
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)
