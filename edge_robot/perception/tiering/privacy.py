"""What must not leave the robot, whatever a second opinion on it would be worth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.detections import Detections

_MARGIN = 0.15
"""By how much of its size a box is widened before it is blurred: boxes are not exact."""


@dataclass(frozen=True)
class PrivacyRules:
    """Which frames may be uploaded.

    The rules hold for what the onboard detector found. A frame that it has not looked at cannot
    be cleared, and is refused as soon as there is any rule.

    Attributes:
        protected: Names of the classes to protect.
        max_height: Greatest height of a protected object, as a part of the image's height; 1
            permits any.
        zones: Rectangles (left, top, right, bottom) in parts of the image, 0..1, that no protected
            object may touch.
        permitted: Names of the only classes that may be in an uploaded frame; empty permits all.
        blur: Make protected objects unrecognisable in what is uploaded.
    """

    protected: tuple[str, ...] = ("person",)
    max_height: float = 1.0
    zones: tuple[tuple[float, float, float, float], ...] = ()
    permitted: tuple[str, ...] = ()
    blur: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one of them makes no sense; says which.
        """
        if not 0.0 <= self.max_height <= 1.0:
            raise ValueError(f"max_height is {self.max_height}, not in 0..1")
        for zone in self.zones:
            left, top, right, bottom = zone
            if not (0.0 <= left < right <= 1.0 and 0.0 <= top < bottom <= 1.0):
                raise ValueError(f"zone {list(zone)} is no left, top, right, bottom in 0..1")

    @property
    def any(self) -> bool:
        """Whether there is any rule."""
        return self.max_height < 1.0 or bool(self.zones) or bool(self.permitted) or self.blur

    def objection(self, found: Detections | None, width: int, height: int) -> str:
        """Return why a frame must not be uploaded; empty where it may be.

        Args:
            found: What the onboard detector found in it; None if it has not looked.
            width: Of the image, px.
            height: Of the image, px.
        """
        if found is None:
            return "not looked at on board" if self.any else ""
        if self.permitted and not set(found.labels) <= set(self.permitted):
            return "a class that is not permitted"
        boxes = found.boxes[self._protected(found)] / np.array([width, height] * 2, np.float32)
        if np.any(boxes[:, 3] - boxes[:, 1] > self.max_height):
            return "a protected object too large"
        for left, top, right, bottom in self.zones:
            x, y = boxes[:, [0, 2]], boxes[:, [1, 3]]
            touches = (x[:, 0] < right) & (x[:, 1] > left) & (y[:, 0] < bottom) & (y[:, 1] > top)
            if np.any(touches):
                return "a protected object in a zone"
        return ""

    def cleared(self, image: NDArray[np.uint8], found: Detections | None) -> NDArray[np.uint8]:
        """Return the image as it may be uploaded: protected objects blurred if so ruled.

        Args:
            image: (H, W, 3) uint8 of a frame without objection; not changed.
            found: What the onboard detector found in it.
        """
        if not self.blur or found is None:
            return image
        height, width = image.shape[:2]
        result = image.copy()
        for x1, y1, x2, y2 in found.boxes[self._protected(found)].tolist():
            spare_x, spare_y = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
            left, right = max(0, int(x1 - spare_x)), min(width, int(np.ceil(x2 + spare_x)))
            top, bottom = max(0, int(y1 - spare_y)), min(height, int(np.ceil(y2 + spare_y)))
            part = result[top:bottom, left:right]
            if part.size:
                # A handful of cells holds no face, and cannot be sharpened back as a blur can.
                cells = cv2.resize(part, (4, 8), interpolation=cv2.INTER_AREA)
                result[top:bottom, left:right] = cv2.resize(
                    cells, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST
                )
        return result

    def _protected(self, found: Detections) -> NDArray[np.bool_]:
        return np.array([name in self.protected for name in found.labels], bool)
