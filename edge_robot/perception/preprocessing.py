"""From a camera image to a network's input tensor, and back for the boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Placement:
    """Where the raw image lies in the network's input: `input = raw * scale`, from the top left.

    Attributes:
        scale_x: Input pixels per raw pixel, horizontally.
        scale_y: Input pixels per raw pixel, vertically.
        width: Raw image width, px.
        height: Raw image height, px.
    """

    scale_x: float
    scale_y: float
    width: int
    height: int

    def to_raw(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (N, 4) x1 y1 x2 y2 boxes from input pixels to raw pixels, clipped to the image."""
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        limit = np.array([self.width, self.height] * 2, np.float32)
        return np.clip(boxes / scale, 0.0, limit)

    def to_input(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (N, 4) x1 y1 x2 y2 boxes from raw pixels to input pixels."""
        return boxes * np.array([self.scale_x, self.scale_y] * 2, np.float32)


def letterbox(
    image: NDArray[np.uint8], width: int, height: int, pad: int
) -> tuple[NDArray[np.uint8], Placement]:
    """Scale an image to fit, keep its aspect, and fill the rest on the right and at the bottom.

    Args:
        image: (H, W, 3) uint8.
        width: Width of the result, px.
        height: Height of the result, px.
        pad: Grey value of the filling, 0..255.

    Returns:
        The (height, width, 3) uint8 image and where the raw image lies in it.
    """
    raw_height, raw_width = image.shape[:2]
    scale = min(width / raw_width, height / raw_height)
    new_width = min(width, max(1, round(raw_width * scale)))
    new_height = min(height, max(1, round(raw_height * scale)))
    resized = _resize(image, new_width, new_height)
    placement = Placement(new_width / raw_width, new_height / raw_height, raw_width, raw_height)
    if (new_width, new_height) == (width, height):
        return resized, placement
    filled = np.full((height, width, 3), pad, np.uint8)
    filled[:new_height, :new_width] = resized
    return filled, placement


def stretch(
    image: NDArray[np.uint8], width: int, height: int
) -> tuple[NDArray[np.uint8], Placement]:
    """Scale an image to the given size whatever its aspect; see `letterbox` for the terms."""
    raw_height, raw_width = image.shape[:2]
    placement = Placement(width / raw_width, height / raw_height, raw_width, raw_height)
    return _resize(image, width, height), placement


def to_tensor(
    image: NDArray[np.uint8],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    swap_channels: bool,
) -> NDArray[np.float32]:
    """Normalise an image to a 1×3×H×W float32 tensor, `(value - mean) / std` per channel.

    Args:
        image: (H, W, 3) uint8.
        mean: Per channel, in the order of the result, on the scale 0..255.
        std: Likewise.
        swap_channels: Whether to turn BGR to RGB (or the reverse) on the way.
    """
    planes = image[:, :, ::-1] if swap_channels else image
    tensor = np.ascontiguousarray(planes.transpose(2, 0, 1), dtype=np.float32)[None]
    if any(mean):
        tensor -= np.array(mean, np.float32).reshape(1, 3, 1, 1)
    if any(value != 1.0 for value in std):
        tensor *= 1.0 / np.array(std, np.float32).reshape(1, 3, 1, 1)
    return tensor


def _resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
