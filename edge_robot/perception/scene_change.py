"""Whether anything changed in front of the camera since an image that was looked at in full."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_robot.perception.camera_health import Motion
from edge_robot.perception.detections import Detections
from edge_robot.settings import Settings, setting

_BLOCK = 8  # samples along a side
_QUIET = 0.5  # grey values a block may differ by on average in an image without noise
_MAX_NOISE = 2.5  # mean difference, grey values, beyond which it is not noise that changed


class SceneChange:
    """Compares images, block by block, with one that it keeps.

    An image counts as unchanged only if no block of 8 × 8 samples differs, on average, by more than
    0.5 grey values plus twice the noise, which is the median over all blocks and must itself be
    small. Something of 10 × 10 samples that differs by 40 grey values from what was there before is
    seen beneath noise of a standard deviation of 2, wherever it lies. The comparison is always with
    the image kept, never with the one before: slow changes add up.
    """

    def __init__(self) -> None:
        self._kept: NDArray[np.uint8] | None = None

    def keep(self, image: NDArray[np.uint8]) -> None:
        """Compare with this image, (H, W, 3) uint8, from now on."""
        self._kept = _sampled(image)

    def unchanged(self, image: NDArray[np.uint8]) -> bool:
        """Return whether an image, (H, W, 3) uint8, shows nothing but what the one kept shows."""
        sample = _sampled(image)
        if self._kept is None or self._kept.shape != sample.shape:
            return False
        difference = cv2.absdiff(self._kept, sample)
        height, width = sample.shape
        # As floats: averages rounded to whole grey values would hide half of one.
        blocks = cv2.resize(
            difference.astype(np.float32),
            (max(1, width // _BLOCK), max(1, height // _BLOCK)),
            interpolation=cv2.INTER_AREA,
        )
        noise = float(np.median(blocks))
        return noise <= _MAX_NOISE and float(blocks.max()) <= _QUIET + 2.0 * noise


@dataclass(frozen=True)
class ReuseLimits(Settings):
    """How long detections may stand for images in which nothing changed."""

    reuse_images: int = setting(
        4,
        "images in a row that an inference may be spared for, nothing having changed; 0: none",
        ge=0,
        le=1000,
        live=True,
    )
    reuse_time: float = setting(
        0.5, "age of an inference up to which it is used again, s", ge=0.0, le=60.0, live=True
    )


class LastLook:
    """The last inference, and whether it speaks for a new image as well.

    A detection is a measurement of its own capture, and an old one with a new stamp would be a lie.
    But where the robot stands and a new image shows nothing but what the old one shows, that image
    is the evidence: the detector would say the same of it. Only then, for so many images in a row
    and so long, the same boxes are given for it.

    Args:
        limits: How many and how long.

    Attributes:
        limits: As given; may be replaced.
    """

    def __init__(self, limits: ReuseLimits | None = None) -> None:
        self.limits = limits or ReuseLimits()
        self._scene = SceneChange()
        self._found: Detections | None = None
        self._stamp = 0.0
        self._repeats = 0
        self._still = False

    def keep(self, image: NDArray[np.uint8], found: Detections, stamp: float) -> None:
        """Remember what was found in an image, (H, W, 3) uint8, captured at `stamp`, s."""
        self._found, self._stamp, self._repeats, self._still = found, stamp, 0, True
        if self.limits.reuse_images > 0:
            self._scene.keep(image)

    def forget(self) -> None:
        """Let the next image be looked at in any case."""
        self._found = None

    def holds_for(
        self, image: NDArray[np.uint8], stamp: float, motion: Motion | None
    ) -> Detections | None:
        """Return what was found, if it holds for this image as well; None to look at it.

        Args:
            image: (H, W, 3) uint8.
            stamp: When it was captured, s.
            motion: How the robot moved since the image before; None where that is not known.
        """
        self._still = self._still and (motion is None or motion.is_still)
        if (
            self._found is None
            or not self._still
            or self._repeats >= self.limits.reuse_images
            or not 0.0 < stamp - self._stamp <= self.limits.reuse_time
            or not self._scene.unchanged(image)
        ):
            return None
        self._repeats += 1
        return self._found


def _sampled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the green of a grid of pixels, about 320 × 240 of them, as a copy."""
    step = max(1, min(image.shape[:2]) // 240)
    return image[::step, ::step, 1].copy()
