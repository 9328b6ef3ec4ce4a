"""Reads image files, and images compressed like files; looks at what they claim before it decodes.

A few kilobytes can claim gigapixels. So the size is read from the header first, the structure is
walked, and only what is of sensible size and whole is handed to the decoder.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.errors import UserError
from edge_robot.perception.pixel_formats import MAX_PIXELS

MAX_FILE_BYTES = 256 << 20
"""Largest file read: more than `MAX_PIXELS` of noise take as PNG with 16 bits a value."""

_MAX_SCANS = 64
"""Scans of a progressive JPEG; encoders write about 10, and each costs a pass over the image."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a JPEG or PNG file as an (H, W, 3) uint8 BGR image.

    Raises:
        UserError: the file is missing, unreadable, too large, or no whole image.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(f"image {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise UserError(
            f"image {path} is larger than {MAX_FILE_BYTES >> 20} MiB; give a smaller one"
        )
    return decode_image(content, str(path))


def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """Decode the bytes of a JPEG or PNG file; see `read_image`.

    A PNG carries checksums, which are checked. A JPEG has none: one that is cut short is refused,
    but a wrong bit in the middle of its data gives a picture with an error in it.

    Args:
        content: The bytes.
        name: What to call the image in an error.

    Raises:
        UserError: it is no whole JPEG or PNG file, or has more than `MAX_PIXELS`.
    """
    try:
        return decode_bgr(content)
    except ValueError as error:
        raise UserError(f"image {name} {error}; give another") from error


def decode_bgr(content: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG as (H, W, 3) uint8 BGR; see `decode_image`.

    Raises:
        ValueError: it is no whole JPEG or PNG, or too large; reads as the end of a sentence that
            begins with the image.
    """
    width, height = _claimed_size(content)
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"claims {width}×{height} pixels, more than {MAX_PIXELS / 1e6:.0f} megapixels"
        )
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # raised for some damage; None for the rest
        image = None
    if image is None:
        raise ValueError(_DAMAGED)
    return image


_DAMAGED = "is no JPEG or PNG file, or is damaged"


def _claimed_size(content: bytes) -> tuple[int, int]:
    """Return width and height as the header has them, after a walk to the end of the file."""
    if content.startswith(_PNG):
        return _png_size(content)
    if content.startswith(_JPEG):
        return _jpeg_size(content)
    raise ValueError(_DAMAGED)


def _png_size(content: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    view, place = memoryview(content), len(_PNG)
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        kind = content[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(content):
            break
        checksum = int.from_bytes(content[end - 4 : end], "big")
        if zlib.crc32(view[place + 4 : end - 4]) != checksum:
            break
        if size is None:
            if kind != b"IHDR" or length != 13:
                break
            header = content[place + 8 : place + 16]
            size = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")
        if kind == b"IEND":
            return size
        place = end
    raise ValueError(_DAMAGED)


def _jpeg_size(content: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        if marker in _BARE_MARKERS:
            place += 2
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if marker in _FRAME_MARKERS:
            header = content[place + 5 : place + 9]
            if len(header) < 4 or size is not None:  # a second frame would hide the first's size
                break
            size = int.from_bytes(header[2:], "big"), int.from_bytes(header[:2], "big")
        if marker == 0xDA:
            return _checked_scans(content, place, size)
        if length < 2 or marker == 0xD9:
            break
        place += 2 + length
    raise ValueError(_DAMAGED)


def _checked_scans(content: bytes, start: int, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return `size` if the scans from `start` on are of a sane number and come to their end."""
    if content.count(b"\xff\xda", start) > _MAX_SCANS:
        raise ValueError(f"has more than {_MAX_SCANS} scans")
    # Within a scan 0xFF is followed by 0 or a restart marker: this can only be the end. OpenCV
    # before 5 would fill what is missing with grey, which to a detector is an empty scene.
    if size is None or content.find(b"\xff\xd9", start) < 0:
        raise ValueError(_DAMAGED)
    return size
