"""What tracks let expect in an image; apart, because who only says it needs no assignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Expected:
    """Where tracked objects should appear in an image.

    Attributes:
        boxes: (N, 4) x1 y1 x2 y2, px.
        labels: Class name of each.
        existence: (N,) probability that it exists, 0..1.
    """

    boxes: NDArray[np.float32]
    labels: tuple[str, ...]
    existence: NDArray[np.float32]
