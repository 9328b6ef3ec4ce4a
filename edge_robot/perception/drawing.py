"""Draws detections on an image for people to look at."""

from __future__ import annotations

import colorsys
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections


def colour_of(name: str) -> tuple[int, int, int]:
    """Return the BGR colour of a class: always the same for the same name, and well saturated."""
    hue = zlib.crc32(name.encode()) % 360 / 360.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def draw_box(
    image: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    label: str,
    colour: tuple[int, int, int],
) -> None:
    """Draw one labelled box into an image.

    Args:
        image: (H, W, 3) uint8 BGR, changed in place.
        box: x1 y1 x2 y2, px.
        label: Text on a filled tab at the top left corner, inside where there is no room above.
        colour: BGR.
    """
    height, width = image.shape[:2]
    thickness = max(1, round(max(height, width) / 500))
    scale = max(0.4, max(height, width) / 1600)
    x1, y1, x2, y2 = (round(value) for value in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, thickness)
    font = cv2.FONT_HERSHEY_SIMPLEX
    (text_width, text_height), baseline = cv2.getTextSize(label, font, scale, thickness)
    tab = text_height + baseline + 2
    top = y1 - tab if y1 >= tab else y1
    left = max(0, min(x1, width - text_width - 4))
    cv2.rectangle(image, (left, top), (left + text_width + 4, top + tab), colour, cv2.FILLED)
    # Dark text on bright tabs and the reverse (ITU-R BT.601 luma).
    luma = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]
    ink = (0, 0, 0) if luma > 110 else (255, 255, 255)
    origin = (left + 2, top + text_height + 1)
    cv2.putText(image, label, origin, font, scale, ink, thickness, cv2.LINE_AA)


def draw_detections(image: NDArray[np.uint8], detections: Detections) -> NDArray[np.uint8]:
    """Return a copy of a BGR image with every detection drawn, the best on top."""
    drawn = image.copy()
    rows = list(zip(detections.boxes, detections.labels, detections.scores, strict=True))
    for box, name, score in reversed(rows):
        draw_box(drawn, tuple(box), f"{name} {score:.2f}", colour_of(name))
    return drawn
