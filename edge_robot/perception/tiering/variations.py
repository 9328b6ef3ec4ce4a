"""Many frames of few labelled images: crops, mirrored, in other light, with the labels carried."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.evaluation import Labels

_MIN_LEFT = 0.5
"""Part of an object that must be left by a crop for it to be asked for."""

_MIN_SIDE = 0.6
"""Smallest side of a crop, as a part of the image's."""


def vary(
    image: NDArray[np.uint8], labels: Labels, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Labels]:
    """Draw one variation of a labelled image: what another frame of its kind may look like.

    Args:
        image: (H, W, 3) uint8 BGR.
        labels: What is in it.
        rng: Source of chance.

    Returns:
        A smaller image, and its labels; what a crop has left little of is to be ignored.
    """
    height, width = image.shape[:2]
    size = np.maximum(1, np.round(rng.uniform(_MIN_SIDE, 1.0, 2) * (width, height))).astype(int)
    x, y = (int(rng.integers(0, spare + 1)) for spare in (width - size[0], height - size[1]))
    result = image[y : y + size[1], x : x + size[0]]
    moved = labels.boxes - np.array([x, y, x, y], np.float32)
    boxes = np.clip(moved, 0.0, np.tile(size, 2)).astype(np.float32)
    left = _areas(boxes) / np.maximum(_areas(moved), 1e-6)
    ignore = labels.ignore | (left < _MIN_LEFT)
    inside = left > 0.0
    if rng.uniform() < 0.5:
        result = result[:, ::-1]
        boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (size[0], 0, size[0], 0)
    result = _relight(result, rng)
    return result, Labels(
        boxes[inside].astype(np.float32), labels.class_ids[inside], ignore[inside]
    )


def _areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)


def _relight(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change exposure and gamma; in some frames blur, in some add noise."""
    gamma, gain = np.exp(rng.normal(0.0, 0.25, 2))
    table = np.clip(255.0 * gain * (np.arange(256) / 255.0) ** gamma, 0.0, 255.0).astype(np.uint8)
    result = cv2.LUT(np.ascontiguousarray(image), table)
    chance = rng.uniform()
    if chance < 0.15:
        result = cv2.GaussianBlur(result, (0, 0), rng.uniform(0.6, 1.8))
    elif chance < 0.3:
        noise = rng.normal(0.0, rng.uniform(4.0, 16.0), result.shape)
        result = np.clip(result + noise, 0, 255).astype(np.uint8)
    return np.asarray(result, np.uint8)
