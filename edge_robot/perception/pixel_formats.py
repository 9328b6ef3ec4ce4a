"""Raw camera images of every encoding a camera sends, as BGR pixels.

The encodings are those of ROS 2's `sensor_msgs/image_encodings.hpp` that hold a colour or grey
picture. Depth (`32FC1`, `16UC1`) and anything else is refused: a distance drawn as brightness would
look like a picture and be none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 7680 * 4320
"""Largest image taken, px: 8K UHD, the largest that video cameras send. It makes 100 MB of BGR; a
header that asks for more is taken for damaged, or hostile."""


_ToBgr = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
"""Turns (rows, at least width × channels) bytes and the width, px, into (H, W, 3)."""


@dataclass(frozen=True)
class _Format:
    """How an encoding lays out its pixels, and what turns them into BGR.

    Attributes:
        channels: Values a pixel has in a row of the message.
        to_bgr: The conversion.
        depth: Bytes of a value: 1 or 2.
        extra_rows: Rows of `step` bytes that chroma planes add, for each row of the image.
        even_width: Whether two pixels share their colour.
        even_height: Whether two rows share their colour.
        smallest: Least width and height, px.
    """

    channels: int
    to_bgr: _ToBgr
    depth: int = 1
    extra_rows: float = 0.0
    even_width: bool = False
    even_height: bool = False
    smallest: int = 1


def _packed(channels: int, conversion: int | None = None, **more: Any) -> _Format:
    """Return the format of whole pixels, one after the other; `conversion` is OpenCV's."""

    def convert(rows: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
        pixels = rows[:, : width * channels]
        if channels > 1:
            pixels = pixels.reshape(len(rows), width, channels)
        return pixels if conversion is None else cv2.cvtColor(pixels, conversion)

    return _Format(channels, convert, **more)


def _nv24_to_bgr(rows: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Turn a luma plane, and under it rows of U V pairs twice as long, into BGR.

    The factors are those of BT.601 with limited range, which OpenCV has for NV12 but not for NV24.
    """
    height, step = len(rows) // 3, rows.shape[1]
    luma = np.maximum(rows[:height, :width], 16)
    chroma = rows[height:].reshape(height, 2 * step)[:, : 2 * width].reshape(height, width, 2)
    return cv2.transform(cv2.merge([luma, chroma[..., 0], chroma[..., 1]]), _BT601)


_LUMA, _BLUE_U, _GREEN_U, _GREEN_V, _RED_V = 255 / 219, 2.01723, 0.39176, 0.81297, 1.59603
_BT601 = np.array(
    [
        [_LUMA, _BLUE_U, 0.0, -16 * _LUMA - 128 * _BLUE_U],
        [_LUMA, -_GREEN_U, -_GREEN_V, -16 * _LUMA + 128 * (_GREEN_U + _GREEN_V)],
        [_LUMA, 0.0, _RED_V, -16 * _LUMA - 128 * _RED_V],
    ]
)
"""B, G, R from Y, U, V and 1 (ITU-R BT.601, 8 bits, luma 16..235, chroma 16..240)."""

_UYVY = _packed(2, cv2.COLOR_YUV2BGR_UYVY, even_width=True)
_YUYV = _packed(2, cv2.COLOR_YUV2BGR_YUYV, even_width=True)
_HALF_CHROMA = {"extra_rows": 0.5, "even_width": True, "even_height": True}

_FORMATS = {
    "bgr8": _packed(3),
    "rgb8": _packed(3, cv2.COLOR_RGB2BGR),
    "bgra8": _packed(4, cv2.COLOR_BGRA2BGR),
    "rgba8": _packed(4, cv2.COLOR_RGBA2BGR),
    "mono8": _packed(1, cv2.COLOR_GRAY2BGR),
    "8UC1": _packed(1, cv2.COLOR_GRAY2BGR),
    "8UC3": _packed(3),  # OpenCV's name for three bytes a pixel, and its order
    "8UC4": _packed(4, cv2.COLOR_BGRA2BGR),
    "bgr16": _packed(3, depth=2),
    "rgb16": _packed(3, cv2.COLOR_RGB2BGR, depth=2),
    "bgra16": _packed(4, cv2.COLOR_BGRA2BGR, depth=2),
    "rgba16": _packed(4, cv2.COLOR_RGBA2BGR, depth=2),
    "mono16": _packed(1, cv2.COLOR_GRAY2BGR, depth=2),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _packed(1, cv2.COLOR_YUV2BGR_NV12, **_HALF_CHROMA),
    "nv21": _packed(1, cv2.COLOR_YUV2BGR_NV21, **_HALF_CHROMA),
    "nv24": _Format(1, _nv24_to_bgr, extra_rows=2.0),
}
for _pattern, _conversion in (
    # ROS names a pattern by its first two rows, and so do these names of OpenCV's.
    ("rggb", cv2.COLOR_BayerRGGB2BGR),
    ("bggr", cv2.COLOR_BayerBGGR2BGR),
    ("gbrg", cv2.COLOR_BayerGBRG2BGR),
    ("grbg", cv2.COLOR_BayerGRBG2BGR),
):
    # Below 3 pixels OpenCV has no inner pixel to interpolate and would answer black.
    _FORMATS[f"bayer_{_pattern}8"] = _packed(1, _conversion, smallest=3)
    _FORMATS[f"bayer_{_pattern}16"] = _packed(1, _conversion, smallest=3, depth=2)

ENCODINGS = tuple(_FORMATS)
"""All encodings that `to_bgr` reads."""


def to_bgr(
    data: object,
    *,
    width: int,
    height: int,
    step: int,
    encoding: str,
    big_endian: bool = False,
) -> NDArray[np.uint8]:
    """Return raw pixels as (H, W, 3) uint8 BGR.

    No byte is copied for `bgr8` and `8UC3`: the result is a view of `data`. Values of 16 bits
    become 8 by the fixed factor 255/65535, never by an image's own extremes, so that equal grey
    means equal light in every image; a camera that fills only the lower 12 bits looks dark.

    Args:
        data: The bytes: anything with a buffer (bytes, array, NumPy array).
        width: Width, px.
        height: Height, px.
        step: Bytes from one row to the next; what is more than a row needs is padding. The chroma
            rows of `nv12` and `nv21` have the same step, those of `nv24` twice of it.
        encoding: One of `ENCODINGS`.
        big_endian: Byte order of values of 16 bits.

    Raises:
        ValueError: the encoding is not one of those, the image is empty or has more than
            `MAX_PIXELS`, or the data does not fit the size.
    """
    layout = _FORMATS.get(encoding)
    if layout is None:
        raise ValueError(f"image encoding {encoding[:40]!r} is not one of {', '.join(ENCODINGS)}")
    buffer = memoryview(data)  # type: ignore[arg-type]
    _check(layout, buffer.nbytes, width, height, step, encoding)
    rows = np.frombuffer(buffer, np.uint8).reshape(-1, step)
    if layout.depth == 2:
        rows = _to_8_bits(rows[:, : width * layout.channels * 2], big_endian)
    return layout.to_bgr(rows, width)


def _check(layout: _Format, size: int, width: int, height: int, step: int, encoding: str) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"image of {width}×{height} pixels is larger than {MAX_PIXELS / 1e6:.0f} megapixels"
        )
    rows = height + round(height * layout.extra_rows)
    row = width * layout.channels * layout.depth
    if width < 1 or height < 1 or step < row or size != step * rows:
        raise ValueError(
            f"image of {size} bytes does not hold {width}×{height} {encoding} pixels in rows of "
            f"{step} bytes"
        )
    if min(width, height) < layout.smallest:
        raise ValueError(
            f"image of {width}×{height} pixels is too small for {encoding}, which needs "
            f"{layout.smallest}×{layout.smallest}"
        )
    if (layout.even_width and width % 2) or (layout.even_height and height % 2):
        raise ValueError(
            f"image of {width}×{height} pixels cannot be {encoding}, which stores colour for "
            "pairs of pixels"
        )


def _to_8_bits(rows: NDArray[np.uint8], big_endian: bool) -> NDArray[np.uint8]:
    """Return (rows, n) values of 16 bits, given as (rows, 2 n) bytes, on the scale 0..255."""
    values = np.ascontiguousarray(rows).view(">u2" if big_endian else "<u2")
    return cv2.convertScaleAbs(values.astype(np.uint16, copy=False), alpha=255.0 / 65535.0)
