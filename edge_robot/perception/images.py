"""Reads image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a JPEG or PNG file as an (H, W, 3) uint8 BGR image.

    Raises:
        UserError: the file is missing, unreadable, or no image.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"image {path} cannot be read: {error.strerror}") from error
    return decode_image(content, str(path))


def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode the bytes of a JPEG or PNG file; see `read_image`.

    Args:
        content: The bytes.
        name: What to call the image in an error.
    """
    image = None
    if content:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # raised for sizes beyond its limits; None for anything else it rejects
            image = None
    if image is None:
        raise UserError(f"image {name} is no JPEG or PNG file, or is damaged; give another")
    return image
