"""Further looks at an image: parts of it at a finer resolution, and all of it mirrored.

A detector shrinks an image to its input, and what is far away shrinks with it. Parts of the image
shrink less ("slicing-aided inference", Akyon et al., ICIP 2022). The whole image always comes
first, so that there is an answer in time; further looks take the time that is left (an anytime
algorithm). docs/benchmarks.md has what they are worth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.decoders.boxes import iou_matrix
from edge_robot.perception.detections import Detections

_SAME_OBJECT = 0.5
"""IoU from which detections of one class in two looks are of one object."""

_CUT, _CUT_SHARE = 2.0, 1.0 / 120.0
"""Distance to an edge that goes through the image, under which a box ends there: px at least, and
share of the window, which the detector sees no finer than its input."""

_MARGIN = 1.2
"""Time set aside for a look, in times of the longest so far."""


@dataclass(frozen=True)
class Look:
    """One further look.

    Attributes:
        window: x1 y1 x2 y2 of the part looked at, shares of the image's width and height.
        mirrored: Whether left and right are swapped.
    """

    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    mirrored: bool = False

    def pixels(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the window in whole pixels, x1 y1 x2 y2; at least one pixel each way."""
        left, top, right, bottom = self.window
        x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
        return x, y, max(round(right * width), x + 1), max(round(bottom * height), y + 1)

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what this look shows of an image, (h, w, 3)."""
        x1, y1, x2, y2 = self.pixels(*image.shape[:2])
        part = image[y1:y2, x1:x2]
        return np.ascontiguousarray(part[:, ::-1] if self.mirrored else part)

    def to_image(self, found: Detections, height: int, width: int) -> Detections:
        """Return what was found in the crop, in pixels of the image.

        A box that ends at an edge of the window inside the image is of a part of an object at
        most, and left out: another look shows it whole.

        Args:
            found: Detections in the crop.
            height: Of the image, px.
            width: Of the image, px.
        """
        x1, y1, x2, y2 = self.pixels(height, width)
        boxes = found.boxes
        if self.mirrored:
            boxes = np.column_stack(
                [(x2 - x1) - boxes[:, 2], boxes[:, 1], (x2 - x1) - boxes[:, 0], boxes[:, 3]]
            ).astype(np.float32)
        boxes = boxes + np.array([x1, y1, x1, y1], np.float32)
        near_x, near_y = max(_CUT, _CUT_SHARE * (x2 - x1)), max(_CUT, _CUT_SHARE * (y2 - y1))
        cut = (x1 > 0) & (boxes[:, 0] < x1 + near_x)
        cut |= (y1 > 0) & (boxes[:, 1] < y1 + near_y)
        cut |= (x2 < width) & (boxes[:, 2] > x2 - near_x)
        cut |= (y2 < height) & (boxes[:, 3] > y2 - near_y)
        return Detections(boxes[~cut], found.scores[~cut], found.class_ids[~cut], found.class_names)


FURTHER_LOOKS = (
    Look((0.25, 0.25, 0.75, 0.75)),
    Look((0.0, 0.25, 0.5, 0.75)),
    Look((0.5, 0.25, 1.0, 0.75)),
    Look(mirrored=True),
)
"""In order of what they are worth to a camera that looks ahead: far things are at mid-height."""


def look_further(
    detect: Callable[[NDArray[np.uint8]], Detections],
    image: NDArray[np.uint8],
    first: Detections,
    looks: Sequence[Look],
    *,
    longest: float = 0.0,
    deadline: float = float("inf"),
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Detections, int]:
    """Look further as long as there is time, and return all that was found.

    No look is begun that would, by the longest so far and a margin, end after the deadline.

    Args:
        detect: The detector.
        image: (H, W, 3) uint8 BGR.
        first: What it found in the whole image.
        looks: In order of preference.
        longest: Time the first look took, s.
        deadline: By when to be done, s on `clock`.
        clock: Never goes back.

    Returns:
        The detections, which are `first` itself where no look was taken; and how many were.
    """
    results = [first]
    now = clock() if looks else 0.0
    for look in looks:
        if now + _MARGIN * longest > deadline:
            break
        results.append(look.to_image(detect(look.crop(image)), *image.shape[:2]))
        begun, now = now, clock()
        longest = max(longest, now - begun)
    return merge(results), len(results) - 1


def merge(results: Sequence[Detections]) -> Detections:
    """Return one result of several of the same image, in whatever order they come.

    Weighted boxes fusion (Solovyev et al., 2021), but for the score, which is the best that any of
    them gave: a look that does not show an object says nothing about it, and nothing that one
    found is lost. No two detections of one result are taken for the same object.

    Args:
        results: At least one; of one detector, in pixels of the same image.
    """
    filled = [found for found in results if len(found)]
    if len(filled) < 2:
        return (filled or results)[0]
    boxes = np.concatenate([found.boxes for found in filled])
    scores = np.concatenate([found.scores for found in filled])
    class_ids = np.concatenate([found.class_ids for found in filled])
    source = np.repeat(np.arange(len(filled)), [len(found) for found in filled])
    # By what was found alone, not by which look found it: best score first.
    order = np.lexsort((*boxes.T[::-1], class_ids, -scores))
    boxes, scores, class_ids, source = boxes[order], scores[order], class_ids[order], source[order]
    overlap = iou_matrix(boxes, boxes)
    near = (overlap >= _SAME_OBJECT) & (class_ids[:, None] == class_ids[None, :])
    free = np.ones(len(scores), bool)
    kept, fused = [], []
    for row in range(len(scores)):
        if not free[row]:
            continue
        members = [row]
        for other in np.flatnonzero(near[row] & free):
            if source[other] not in source[members]:
                members.append(int(other))
        free[members] = False
        weights = scores[members, None]
        kept.append(row)
        fused.append(
            boxes[row]
            if len(members) == 1
            else (weights * boxes[members]).sum(axis=0) / weights.sum()
        )
    return Detections(
        np.array(fused, np.float32), scores[kept], class_ids[kept], results[0].class_names
    )
