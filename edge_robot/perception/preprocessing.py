"""From a camera image to a network's input tensor, and back for the boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edge_robot.perception.model_card import ModelCard


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
        return np.minimum(np.maximum(boxes / scale, np.float32(0.0)), limit)


class _FloatWriter:
    """What the writers of inputs in float32 have in common.

    A writer serves one thread at a time.

    Args:
        tensor: One image, C-contiguous: what is written to.
        resize: `letterbox` keeps the aspect and fills what is left on the right and at the bottom;
            `stretch` does not.
        pad: Grey value of the letterbox filling, 0..255.
        mean: Per channel, in the order of the tensor, on the scale 0..255.
        std: Likewise.
        swap_channels: Whether to turn BGR to RGB (or the reverse) on the way.
    """

    def __init__(
        self,
        tensor: NDArray[np.float32],
        *,
        resize: str = "letterbox",
        pad: int = 114,
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        std: tuple[float, float, float] = (1.0, 1.0, 1.0),
        swap_channels: bool = False,
    ) -> None:
        self._tensor = tensor[0]
        self._letterbox = resize == "letterbox"
        self._mean = np.array(mean, np.float32)
        self._factor = 1.0 / np.array(std, np.float32)
        self._shifts, self._scales = bool(any(mean)), any(value != 1.0 for value in std)
        self._filling = (np.full(3, pad, np.float32) - self._mean) * self._factor
        self._swaps = swap_channels
        self._raw_size = (0, 0)

    @classmethod
    def of(cls: type[_Writer], card: ModelCard, tensor: NDArray[np.float32]) -> _Writer:
        """Return the writer of a model's input, which takes BGR images."""
        return cls(
            tensor,
            resize=card.resize,
            pad=card.pad,
            mean=card.mean,
            std=card.std,
            swap_channels=card.channels == "rgb",
        )

    def _resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an image in the size of `_resized`, where it may lie afterwards."""
        if image.shape == self._resized.shape:
            return image
        size = (self._resized.shape[1], self._resized.shape[0])
        cv2.resize(image, size, dst=self._resized, interpolation=cv2.INTER_LINEAR)
        return self._resized

    def _place(self, image: NDArray[np.uint8], width: int, height: int) -> tuple[int, int]:
        """Make room for images of this size; return the columns and rows that they cover."""
        self._placement, columns, rows = _place(image, width, height, keep_aspect=self._letterbox)
        self._resized = np.empty((rows, columns, 3), np.uint8)
        self._raw_size = image.shape[:2]
        return columns, rows


_Writer = TypeVar("_Writer", bound=_FloatWriter)


class TensorWriter(_FloatWriter):
    """Writes images into an input 1×3×H×W: resized, placed, in planes and normalised.

    The same values as resizing, filling and `to_tensor` one after the other, to the bit, in a third
    of the time: all memory is made once; the image is resized, split into planes of bytes, and each
    plane is converted and normalised while it is in the cache. Only the part that the image covers
    is written again.
    """

    def write(self, image: NDArray[np.uint8]) -> Placement:
        """Write an (H, W, 3) uint8 image; return where it lies in the tensor."""
        if image.shape[:2] != self._raw_size:
            self._prepare(image)
        cv2.split(self._resize(image), self._split)
        for channel, (plane, target) in enumerate(self._copies):
            np.copyto(target, plane)
            if self._shifts:
                target -= self._mean[channel]
            if self._scales:
                target *= self._factor[channel]
        return self._placement

    def _prepare(self, image: NDArray[np.uint8]) -> None:
        """Lay out the views for images of this size, and fill what they do not cover."""
        height, width = self._tensor.shape[1:]
        columns, rows = self._place(image, width, height)
        self._tensor[:, rows:] = self._filling[:, None, None]
        self._tensor[:, :rows, columns:] = self._filling[:, None, None]
        planes = np.empty((3, rows, columns), np.uint8)
        self._split = [*planes[::-1]] if self._swaps else [*planes]
        self._copies = list(zip(planes, self._tensor[:, :rows, :columns], strict=True))


class RowWriter(_FloatWriter):
    """Writes images into an input 1×H×W×3 in float32: the same values in an image's own order."""

    def write(self, image: NDArray[np.uint8]) -> Placement:
        """Write an (H, W, 3) uint8 image; return where it lies in the tensor."""
        if image.shape[:2] != self._raw_size:
            self._prepare(image)
        resized = self._resize(image)
        if self._swaps:
            resized = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB, dst=self._swapped)
        np.copyto(self._target, resized)
        if self._shifts:
            self._rows -= self._means
        if self._scales:
            self._rows *= self._factors
        return self._placement

    def _prepare(self, image: NDArray[np.uint8]) -> None:
        """Lay out the views for images of this size, and fill what they do not cover."""
        height, width = self._tensor.shape[:2]
        columns, rows = self._place(image, width, height)
        self._tensor[rows:] = self._filling
        self._tensor[:rows, columns:] = self._filling
        self._target = self._tensor[:rows, :columns]
        self._swapped = np.empty_like(self._resized)
        # Normalised in rows of values: loops over the three of a pixel would take much longer.
        self._rows = self._tensor.reshape(height, width * 3)[:rows, : columns * 3]
        self._means, self._factors = np.tile(self._mean, columns), np.tile(self._factor, columns)


class ByteWriter:
    """Writes images into the input of a network that takes them in bytes: resized and placed.

    The image is resized straight into the network's memory. A writer serves one thread at a time.

    Args:
        tensor: 1×H×W×3 uint8, C-contiguous: what is written to.
        table: (3, 256) uint8: what stands for each value of a pixel, per channel of the tensor.
        resize: `letterbox` or `stretch`.
        pad: Grey value of the letterbox filling, 0..255.
        swap_channels: Whether to turn BGR to RGB (or the reverse) on the way.
    """

    def __init__(
        self,
        tensor: NDArray[np.uint8],
        table: NDArray[np.uint8],
        *,
        resize: str = "letterbox",
        pad: int = 114,
        swap_channels: bool = False,
    ) -> None:
        self._tensor = tensor[0]
        self._swapped = np.empty_like(self._tensor) if swap_channels else None
        self._table = np.ascontiguousarray(table.T)[None]
        self._changes = bool(np.any(table != np.arange(256)))
        self._letterbox = resize == "letterbox"
        self._filling = table[:, pad]
        self._raw_size = (0, 0)

    def write(self, image: NDArray[np.uint8]) -> Placement:
        """Write an (H, W, 3) uint8 image; return where it lies in the tensor."""
        if image.shape[:2] != self._raw_size:
            self._prepare(image)
        target = self._target if self._swapped is None else self._swapped_target
        if image.shape == target.shape:
            np.copyto(target, image)
        else:
            size = (target.shape[1], target.shape[0])
            cv2.resize(image, size, dst=target, interpolation=cv2.INTER_LINEAR)
        if self._swapped is not None:
            cv2.cvtColor(target, cv2.COLOR_BGR2RGB, dst=self._target)
        if self._changes:
            cv2.LUT(self._target, self._table, dst=self._target)
        return self._placement

    def _prepare(self, image: NDArray[np.uint8]) -> None:
        """Lay out the views for images of this size, and fill what they do not cover."""
        height, width = self._tensor.shape[:2]
        self._placement, columns, rows = _place(image, width, height, keep_aspect=self._letterbox)
        self._tensor[rows:] = self._filling
        self._tensor[:rows, columns:] = self._filling
        self._target = self._tensor[:rows, :columns]
        if self._swapped is not None:
            self._swapped_target = self._swapped[:rows, :columns]
        self._raw_size = image.shape[:2]


def input_tensor(image: NDArray[np.uint8], card: ModelCard) -> NDArray[np.float32]:
    """Return an image as a model's 1×3×H×W input, as the detector prepares it.

    Args:
        image: (H, W, 3) uint8 BGR.
        card: Of the model.
    """
    tensor = np.empty(card.input_shape, np.float32)
    TensorWriter.of(card, tensor).write(image)
    return tensor


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


def _place(
    image: NDArray[np.uint8], width: int, height: int, *, keep_aspect: bool
) -> tuple[Placement, int, int]:
    """Return where an image lies in width × height pixels, and its width and height there."""
    raw_height, raw_width = image.shape[:2]
    new_width, new_height = width, height
    if keep_aspect:
        scale = min(width / raw_width, height / raw_height)
        new_width = min(width, max(1, round(raw_width * scale)))
        new_height = min(height, max(1, round(raw_height * scale)))
    placement = Placement(new_width / raw_width, new_height / raw_height, raw_width, raw_height)
    return placement, new_width, new_height
