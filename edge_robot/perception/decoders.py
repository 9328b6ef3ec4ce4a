"""From a network's output tensor to scored boxes.

A decoder returns candidates above a score, in pixels of the network's input; `suppress` thins them.
Two public output layouts are known:

* `yolox`: 1×N×(5+C), one row per cell of each stride's grid, row-major, strides in order;
  cx cy (cells, relative to the cell), w h (log of strides), objectness and class scores in 0..1.
* `fastestdet`: 1×(5+C)×H×W, one cell per grid position; objectness, x y (before tanh, cells),
  w h (before sigmoid, fractions of the image), class scores in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 400
"""Candidates kept before suppression: bounds its cost on a noisy image or at a tiny score."""


@dataclass(frozen=True)
class Candidates:
    """Boxes before suppression.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the network's input.
        scores: (N,) float32, in descending order.
        class_ids: (N,) int64.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]


@lru_cache(maxsize=8)
def grid(width: int, height: int, strides: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (N, 3) float32 column, row and stride of every cell, strides in order, row-major.

    An input that is no multiple of a stride has a partial last cell there, as a padded
    convolution makes it.
    """
    levels = []
    for stride in strides:
        columns, rows = -(-width // stride), -(-height // stride)
        row, column = np.mgrid[:rows, :columns].astype(np.float32)
        levels.append(np.stack([column, row, np.full_like(row, stride)], axis=-1).reshape(-1, 3))
    return np.concatenate(levels)


def decode_yolox(
    output: NDArray[np.float32], width: int, height: int, strides: tuple[int, ...], min_score: float
) -> Candidates:
    """Decode a 1×N×(5+C) `yolox` output of a network with a width × height input.

    The score is objectness × class score.
    """
    rows = output[0]
    classes = rows[:, 5:]
    class_ids = classes.argmax(axis=1)
    scores = rows[:, 4] * classes[np.arange(len(rows)), class_ids]
    picked = _best(scores, min_score)
    rows, cells = rows[picked], grid(width, height, strides)[picked]
    stride = cells[:, 2:]
    centre = (rows[:, :2] + cells[:, :2]) * stride
    # 20 = a box of e^20 strides: keeps an untrained or broken network from overflowing.
    half = 0.5 * np.exp(np.minimum(rows[:, 2:4], 20.0)) * stride
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return Candidates(boxes, scores[picked], class_ids[picked])


def encode_yolox(boxes: NDArray[np.float32], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (N, 4) `yolox` values that decode to these boxes in these cells.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in input pixels, of positive width and height.
        cells: (N, 3) rows of `grid`.
    """
    stride = cells[:, 2:]
    centre = 0.5 * (boxes[:, :2] + boxes[:, 2:]) / stride - cells[:, :2]
    size = np.log((boxes[:, 2:] - boxes[:, :2]) / stride)
    return np.concatenate([centre, size], axis=1)


def decode_fastestdet(
    output: NDArray[np.float32], width: int, height: int, min_score: float
) -> Candidates:
    """Decode a 1×(5+C)×H×W `fastestdet` output of a network with a width × height input.

    The score is objectness^0.6 × class score^0.4, as its authors define it.
    """
    channels, rows, columns = output.shape[1:]
    cells = output[0].reshape(channels, rows * columns)
    classes = cells[5:]
    class_ids = classes.argmax(axis=0)
    best_class = classes[class_ids, np.arange(rows * columns)]
    scores = np.maximum(cells[0], 0.0) ** 0.6 * np.maximum(best_class, 0.0) ** 0.4
    picked = _best(scores, min_score)
    column_row = np.stack([picked % columns, picked // columns], axis=1)
    cells = cells[:, picked].T
    size = np.array([width, height], np.float32)
    centre = (np.tanh(cells[:, 1:3]) + column_row) / np.array([columns, rows]) * size
    half = 0.5 * size / (1.0 + np.exp(-np.clip(cells[:, 3:5], -60.0, 60.0)))
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return Candidates(boxes, scores[picked], class_ids[picked])


def suppress(candidates: Candidates, iou_threshold: float) -> NDArray[np.int64]:
    """Return the indices greedy non-maximum suppression keeps, class by class, best first."""
    boxes = candidates.boxes.astype(np.float64)
    overlap = iou_matrix(boxes, boxes) > iou_threshold
    overlap &= candidates.class_ids[:, None] == candidates.class_ids[None, :]
    alive = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if alive[index]:
            alive[index + 1 :] &= ~overlap[index, index + 1 :]
    return np.flatnonzero(alive)


def iou_matrix(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the (N, M) intersection over union of (N, 4) and (M, 4) x1 y1 x2 y2 boxes."""
    corner_low = np.maximum(a[:, None, :2], b[None, :, :2])
    corner_high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.prod(np.maximum(corner_high - corner_low, 0.0), axis=2)
    area_a = np.prod(a[:, 2:] - a[:, :2], axis=1)
    area_b = np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def _best(scores: NDArray[np.float32], min_score: float) -> NDArray[np.int64]:
    """Return the indices of scores from `min_score` up, best first, `MAX_CANDIDATES` at most."""
    picked = np.flatnonzero(scores >= min_score)
    order = np.argsort(-scores[picked], kind="stable")[:MAX_CANDIDATES]
    return picked[order]
