"""What a camera detector says about one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, best score first.

    Attributes:
        boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the raw image, clipped to it.
        scores: (N,) float32 in 0..1.
        class_ids: (N,) int64, indices into `class_names`.
        class_names: Names of all classes the detector knows.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def labels(self) -> list[str]:
        """Class name of each detection."""
        return [self.class_names[index] for index in self.class_ids]
