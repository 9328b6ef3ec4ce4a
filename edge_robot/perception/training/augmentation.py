"""Varies training images: place, scale, light, colour, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MIN_LEFT = 0.35
"""Part of an object that must be left after cropping for it to be asked for."""


def vary(
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    ignore: NDArray[np.bool_],
    width: int,
    height: int,
    plain: bool,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """Draw one variation of a labelled image, at the network's input size.

    Args:
        image: (H, W, 3) uint8 BGR.
        boxes: (N, 4) x1 y1 x2 y2, px.
        ignore: (N,) bool.
        width: Width of the result, px.
        height: Height of the result, px.
        plain: Place the image as the detector does, varying no scale.
        rng: Source of chance.

    Returns:
        The image, and all N boxes and flags; a box that left the image has no area and is ignored.
    """
    raw_height, raw_width = image.shape[:2]
    fit = min(width / raw_width, height / raw_height)
    if plain:
        zoom, scale, shift = fit, np.full(2, fit), np.zeros(2)
    else:
        zoom = fit * float(np.exp(rng.uniform(-0.45, 0.6)))
        stretch = float(np.exp(rng.uniform(-0.08, 0.08)))
        scale = np.array([zoom * stretch, zoom / stretch])
        shift = rng.uniform(0.0, 1.0, 2) * (
            np.array([width, height]) - scale * (raw_width, raw_height)
        )
    if rng.uniform() < 0.5:
        image = image[:, ::-1]
        boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (raw_width, 0, raw_width, 0)
    transform = np.array([[scale[0], 0.0, shift[0]], [0.0, scale[1], shift[1]]])
    filling = int(rng.integers(256)) if rng.uniform() < 0.5 else 114
    varied = cv2.warpAffine(
        np.ascontiguousarray(image),
        transform,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(filling, filling, filling),
    )
    moved = boxes * np.tile(scale, 2) + np.tile(shift, 2)
    clipped = np.clip(moved, 0.0, np.array([width, height] * 2)).astype(np.float32)
    before = np.prod(moved[:, 2:] - moved[:, :2], axis=1)
    after = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1)
    lost = (after < _MIN_LEFT * before) | np.any(clipped[:, 2:] - clipped[:, :2] < 3.0, axis=1)
    return _recolour(varied, rng), clipped, ignore | lost


def _recolour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change exposure, contrast, white balance, saturation; blur, add noise, compress."""
    gain = np.exp(rng.normal(0.0, 0.25)) * np.exp(rng.normal(0.0, 0.06, 3))
    saturation = rng.uniform(0.2, 1.6) if rng.uniform() < 0.5 else 1.0
    # Saturation, gain and offset are one affine map of a pixel's colours.
    colours = saturation * np.eye(3) + (1.0 - saturation) / 3.0
    offset = np.full((3, 1), rng.normal(0.0, 12.0))
    result = cv2.transform(image, np.hstack([gain[:, None] * colours, offset]))
    if rng.uniform() < 0.3:
        noise = rng.standard_normal((*result.shape[:2], 1), dtype=np.float32)
        noisy = result + noise * np.float32(rng.uniform(2.0, 14.0))
        result = np.clip(noisy, 0, 255).astype(np.uint8)
    chance = rng.uniform()
    if chance < 0.12:
        result = cv2.GaussianBlur(result, (0, 0), rng.uniform(0.5, 1.3))
    elif chance < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))]
        result = cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR)
    elif chance < 0.32:  # as a camera of lower resolution sees it
        factor = rng.uniform(0.4, 0.8)
        small = cv2.resize(result, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        result = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return result
