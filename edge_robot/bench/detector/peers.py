"""What others do with the same model: the peers `edge-robot bench detector` measures beside ours.

Each is the pipeline that the models' authors publish as a demo, in plain NumPy and OpenCV, with
the same session options, threads and thresholds, and nothing in it to slow it down.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections
from edge_robot.perception.model_card import ModelCard

LAYOUTS = ("yolox", "fastestdet")
"""Output layouts the peers can decode."""


class PlainOnnxRuntime:
    """ONNX Runtime with a straightforward NumPy pipeline."""

    def __init__(self, path: Path, card: ModelCard, min_score: float, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        if not _has_vnni():
            # It else lets sums of two int8 products overflow: quicker, and other boxes.
            options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._card, self._min_score = card, min_score

    def preprocess(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pad, resize, transpose, convert."""
        placed = _place(image, self._card)
        if self._card.channels == "rgb":
            placed = placed[:, :, ::-1]
        tensor = np.ascontiguousarray(placed.transpose(2, 0, 1)[None], dtype=np.float32)
        if any(self._card.mean):
            tensor -= np.array(self._card.mean, np.float32).reshape(1, 3, 1, 1)
        if self._card.std != (1.0, 1.0, 1.0):
            tensor /= np.array(self._card.std, np.float32).reshape(1, 3, 1, 1)
        return tensor

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the session."""
        return self._session.run(None, {self._input: tensor})[0]

    def decode(self, output: NDArray[np.float32], image: NDArray[np.uint8]) -> Detections:
        """Decode every cell, then suppress class by class."""
        return _decode(output, image, self._card, self._min_score)


class OpenCvDnn:
    """OpenCV's dnn module: `blobFromImage`, `forward`, and the same straightforward decoding."""

    def __init__(self, path: Path, card: ModelCard, min_score: float) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(path))
        self._card, self._min_score = card, min_score
        if len(set(card.std)) > 1:
            raise ValueError("blobFromImage has one scale for all channels")

    def preprocess(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pad and resize, then `blobFromImage`; it resizes alone where nothing is padded."""
        card = self._card
        rgb = card.channels == "rgb"
        placed = _place(image, card) if card.resize == "letterbox" else image
        return cv2.dnn.blobFromImage(
            placed, 1.0 / card.std[0], (card.width, card.height), card.mean, swapRB=rgb
        )

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network."""
        self._net.setInput(tensor)
        return self._net.forward()

    def decode(self, output: NDArray[np.float32], image: NDArray[np.uint8]) -> Detections:
        """Decode every cell, then suppress class by class."""
        return _decode(output, image, self._card, self._min_score)


def _place(image: NDArray[np.uint8], card: ModelCard) -> NDArray[np.uint8]:
    if card.resize == "stretch":
        return cv2.resize(image, (card.width, card.height))
    resized = cv2.resize(image, _resized(image, card))
    placed = np.full((card.height, card.width, 3), card.pad, np.uint8)
    placed[: resized.shape[0], : resized.shape[1]] = resized
    return placed


def _resized(image: NDArray[np.uint8], card: ModelCard) -> tuple[int, int]:
    """Return the width and height that keep the image's aspect within the network's input."""
    height, width = image.shape[:2]
    scale = min(card.width / width, card.height / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _decode(
    output: NDArray[np.float32], image: NDArray[np.uint8], card: ModelCard, min_score: float
) -> Detections:
    height, width = image.shape[:2]
    if card.layout == "yolox":
        boxes, scores = _yolox(output, card)
    else:
        boxes, scores = _fastestdet(output, card)
    class_ids = scores.argmax(axis=1)
    best = scores.max(axis=1)
    keep = best >= min_score
    boxes, best, class_ids = boxes[keep], best[keep], class_ids[keep]
    used = _resized(image, card) if card.resize == "letterbox" else (card.width, card.height)
    boxes = boxes * np.tile([width / used[0], height / used[1]], 2)
    kept: list[int] = []
    for class_id in np.unique(class_ids):
        of_class = np.flatnonzero(class_ids == class_id)
        kept.extend(of_class[_nms(boxes[of_class], best[of_class], card.nms_iou)])
    kept = sorted(kept, key=lambda index: -best[index])
    boxes = np.clip(boxes[kept], 0, [width, height, width, height])
    visible = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return Detections(
        boxes[visible].astype(np.float32),
        best[kept][visible],
        class_ids[kept][visible],
        card.classes,
    )


def _yolox(
    output: NDArray[np.float32], card: ModelCard
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (N, 4) boxes and (N, C) scores of every cell."""
    grids, strides = [], []
    for stride in card.strides:
        rows, columns = -(-card.height // stride), -(-card.width // stride)
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        grids.append(np.stack((x, y), 2).reshape(-1, 2))
        strides.append(np.full((rows * columns, 1), stride))
    grid, per_cell = np.concatenate(grids), np.concatenate(strides)
    cells = output[0]
    centre = (cells[:, :2] + grid) * per_cell
    size = np.exp(cells[:, 2:4]) * per_cell
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    return boxes, cells[:, 4:5] * cells[:, 5:]


def _fastestdet(
    output: NDArray[np.float32], card: ModelCard
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (N, 4) boxes and (N, C) scores of every cell."""
    rows, columns = output.shape[2:]
    cells = output[0].transpose(1, 2, 0).reshape(rows * columns, -1)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    grid = np.stack((x, y), 2).reshape(-1, 2)
    size = np.array([card.width, card.height])
    centre = (np.tanh(cells[:, 1:3]) + grid) / [columns, rows] * size
    extent = size / (1.0 + np.exp(-cells[:, 3:5]))
    boxes = np.concatenate([centre - extent / 2, centre + extent / 2], axis=1)
    return boxes, cells[:, :1] ** 0.6 * cells[:, 5:] ** 0.4


def _nms(
    boxes: NDArray[np.floating], scores: NDArray[np.float32], iou_threshold: float
) -> Sequence[int]:
    """Return the indices greedy non-maximum suppression keeps, as everybody writes it."""
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1) * (y2 - y1)
    order = scores.argsort()[::-1]
    kept = []
    while order.size > 0:
        best = int(order[0])
        kept.append(best)
        others = order[1:]
        width = np.minimum(x2[best], x2[others]) - np.maximum(x1[best], x1[others])
        height = np.minimum(y2[best], y2[others]) - np.maximum(y1[best], y1[others])
        shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
        overlap = shared / (areas[best] + areas[others] - shared)
        order = others[overlap <= iou_threshold]
    return kept


def _has_vnni() -> bool:
    """Return whether this is an x86 processor that adds products of int8 exactly, as Linux says."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags
