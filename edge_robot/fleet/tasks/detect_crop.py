"""The task `detect_crop`: only the doubtful parts of an image, packed into one picture.

Used where the whole image is too many bytes for the link, or may not leave. Any detector that
serves `detect` serves this: what it gets is an image. Around each part goes enough of its
surroundings to see the object whole; what a part's edge cuts off is not reported, since its box
would be too small.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_robot.fleet.adaptation import Encoding
from edge_robot.fleet.boundary import Cleared, Crop
from edge_robot.fleet.tasks.detect import SecondOpinion, image_request, read_detections, scaled
from edge_robot.fleet.work import Encoded
from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections
from edge_robot.perception.tiering.expected import Expected

DOUBTFUL = 0.6
"""Score below which a detection is doubtful."""
LIKELY = 0.5
"""Existence from which a track is missed where nothing was found."""
MAX_REGIONS = 8

_SAME = 0.2
"""Overlap from which a detection can be a track's; tracks are looser than drawn boxes."""
_PADDING = 0.5
"""Of a box's size, on each side."""
_MIN_PADDING = 16.0
"""px."""
_GAP = 8
"""Between parts in the picture, px: as wide as a JPEG block, so that none bleeds into another."""
_FILL = 114
"""Grey between parts; what detectors are trained to see beside an image."""
_EDGE = 2.0
"""From which an object's box is away from a part's edge if the object is whole, px."""


def doubtful_regions(
    found: Detections,
    expected: Expected | None,
    size: tuple[int, int],
    hidden: Collection[str] = (),
) -> NDArray[np.int64]:
    """Return the parts of an image that a second look would tell most about.

    Args:
        found: What the onboard detector found.
        expected: Where tracks let expect objects; None where that is not known.
        size: Width and height of the image, px.
        hidden: Classes of objects that would be blurred: there is nothing to see.

    Returns:
        (N, 4) x1 y1 x2 y2, px, inside the image; no two overlap. N is 0 where nothing is doubtful.
    """
    doubt: list[float] = []
    boxes: list[NDArray[np.float32]] = []
    for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
        if score < DOUBTFUL and label not in hidden:
            boxes.append(box)
            doubt.append(float(score))
    if expected is not None and len(expected.boxes):
        seen = iou_matrix(expected.boxes, found.boxes).max(axis=1, initial=0.0) >= _SAME
        for box, label, existence, is_seen in zip(
            expected.boxes, expected.labels, expected.existence, seen, strict=True
        ):
            if existence >= LIKELY and not is_seen and label not in hidden:
                boxes.append(box)
                doubt.append(float(existence))
    if not boxes:
        return np.zeros((0, 4), np.int64)
    best = np.argsort(doubt)[::-1][:MAX_REGIONS]
    padded = _padded(np.array(boxes, float)[best], size)
    return _merged(padded[(padded[:, 2:] > padded[:, :2]).all(axis=1)])


def encode_crops(
    cleared: Cleared[tuple[Crop, ...]],
    size: tuple[int, int],
    model: str,
    min_score: float,
    encoding: Encoding,
) -> Encoded[SecondOpinion]:
    """Return the request for the detections in parts of an image.

    Args:
        cleared: The parts; no two overlap.
        size: Width and height of the image they are from, px.
        model: Name the backend serves the model under.
        min_score: Lowest score of what is returned, 0..1.
        encoding: Of the picture sent.
    """
    crops = cleared.value
    corners, (width, height) = _layout([crop.pixels.shape[1::-1] for crop in crops])
    picture = np.full((height, width, 3), _FILL, np.uint8)
    for crop, (x, y) in zip(crops, corners, strict=True):
        rows, columns = crop.pixels.shape[:2]
        picture[y : y + rows, x : x + columns] = crop.pixels
    request, sent = image_request(picture, model, encoding)

    def decode(response: Any) -> SecondOpinion:
        found = scaled(read_detections(response, sent, min_score), sent, (width, height))
        regions = np.array([crop.box for crop in crops], np.int64)
        return SecondOpinion(_put_back(found, regions, np.array(corners), size), regions)

    return Encoded(request, decode)


def _padded(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    spare = np.maximum(_PADDING * (boxes[:, 2:] - boxes[:, :2]), _MIN_PADDING)
    low, high = np.floor(boxes[:, :2] - spare), np.ceil(boxes[:, 2:] + spare)
    return np.hstack([low.clip(0, size), high.clip(0, size)]).astype(np.int64)


def _merged(regions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return regions of which no two overlap: those that do become the one around both."""
    rest = [tuple(region) for region in regions.tolist()]
    apart: list[tuple[int, ...]] = []
    while rest:
        region = rest.pop()
        for other in apart:
            if (
                region[0] < other[2]
                and other[0] < region[2]
                and region[1] < other[3]
                and other[1] < region[3]
            ):
                apart.remove(other)
                low, high = map(min, region[:2], other[:2]), map(max, region[2:], other[2:])
                rest.append((*low, *high))
                break
        else:
            apart.append(region)
    return np.array(apart, np.int64).reshape(-1, 4)


def _layout(sizes: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return where rectangles go in a picture, about square, and its width and height.

    The highest first, in rows from left to right.
    """
    area = sum((w + _GAP) * (h + _GAP) for w, h in sizes)
    widest = max(max(w for w, _ in sizes), math.ceil(math.sqrt(area)))
    corners = [(0, 0)] * len(sizes)
    x = y = row_height = width = 0
    for k in sorted(range(len(sizes)), key=lambda k: -sizes[k][1]):
        w, h = sizes[k]
        if x and x + w > widest:
            x, y, row_height = 0, y + row_height + _GAP, 0
        corners[k] = x, y
        row_height = max(row_height, h)
        width = max(width, x + w)
        x += w + _GAP
    return corners, (width, y + row_height)


def _put_back(
    found: Detections,
    regions: NDArray[np.int64],
    corners: NDArray[np.int64],
    size: tuple[int, int],
) -> Detections:
    """Return detections in the picture as detections in the image.

    Those that lie over several parts, or between them, are of nothing that there is. Those that
    reach a part's edge are cut off there, unless it is the image's own.
    """
    cells = np.hstack([corners, corners + regions[:, 2:] - regions[:, :2]])
    at_edge = np.hstack([regions[:, :2] <= 0, regions[:, 2:] >= size])
    inner = cells + np.where(at_edge, 0.0, _EDGE) * (1, 1, -1, -1)
    boxes = found.boxes[:, None]  # (N, 1, 4) against (M, 4)
    in_cell = (boxes[..., :2] >= inner[:, :2]) & (boxes[..., 2:] <= inner[:, 2:])
    within = np.logical_and.reduce(in_cell, axis=-1)
    kept = np.logical_or.reduce(within, axis=1)
    cell = within[kept].argmax(axis=1)
    shift = (regions[cell, :2] - corners[cell]).astype(np.float32)
    return Detections(
        found.boxes[kept] + np.hstack([shift, shift]),
        found.scores[kept],
        found.class_ids[kept],
        found.class_names,
    )
