"""Turns raw images into JPEG on their way into a recording, as CDR on both sides."""

from __future__ import annotations

import cv2
import numpy as np
from rosbags.typesys import Stores, get_typestore

from edge_robot.errors import UserError
from edge_robot.perception.pixel_formats import ENCODINGS, to_bgr

_TYPES = get_typestore(Stores.ROS2_HUMBLE)
_IMAGE = "sensor_msgs/msg/Image"
_COMPRESSED = "sensor_msgs/msg/CompressedImage"


def compress_image(data: bytes, quality: int) -> bytes:
    """Compress a `sensor_msgs/Image` to a `sensor_msgs/CompressedImage`.

    Args:
        data: CDR of an Image in one of `edge_robot.perception.pixel_formats.ENCODINGS`.
        quality: JPEG quality, 1..100.

    Returns:
        CDR of a CompressedImage (format "jpeg") with the same header.

    Raises:
        UserError: The encoding is another.
        ValueError: The data does not fit the stated size.
    """
    image = _TYPES.deserialize_cdr(data, _IMAGE)
    if image.encoding not in ENCODINGS:
        raise UserError(
            f"recorder: images of encoding '{image.encoding[:40]}' cannot be recorded as JPEG; "
            "publish a colour or grey image, or leave the topic out with the parameter 'topics'"
        )
    pixels = to_bgr(
        image.data,
        width=image.width,
        height=image.height,
        step=image.step,
        encoding=image.encoding,
        big_endian=bool(image.is_bigendian),
    )
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    compressed = _TYPES.types[_COMPRESSED](
        header=image.header, format="jpeg", data=np.asarray(jpeg, np.uint8).reshape(-1)
    )
    return bytes(_TYPES.serialize_cdr(compressed, _COMPRESSED))


def compressed_image_definition() -> str:
    """Return the message definition of `sensor_msgs/CompressedImage`, dependencies included."""
    return _TYPES.generate_msgdef(_COMPRESSED, ros_version=2)[0]
