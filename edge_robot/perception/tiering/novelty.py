"""How much a frame differs from what has been sent lately: the same view is not worth it twice."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 12
"""Of the reduced image that views are compared by, pixels."""

_DEPTH = 16
"""Views remembered."""


def view_of(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a view as a unit vector that light and contrast do not change.

    Args:
        image: (H, W, 3) uint8 BGR.
    """
    coarse = image[:: _step(image.shape[0]), :: _step(image.shape[1])]
    small = cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    centred = (grey - grey.mean()).ravel()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-6), np.float32)


def _step(size: int) -> int:
    """Return of how many rows or columns one is enough: of each pixel of a view, ten by ten."""
    return max(1, size // (10 * _SIDE))


class RecentViews:
    """The views sent of late.

    Args:
        memory: Time after which a view is news again, s: the world moves on.
        scale: Distance (one minus correlation) at which a view is mostly news.
    """

    def __init__(self, memory: float, scale: float) -> None:
        self._memory = memory
        self._scale = scale
        self._sent: deque[tuple[float, NDArray[np.float32]]] = deque(maxlen=_DEPTH)

    def novelty(self, view: NDArray[np.float32], now: float) -> float:
        """Return how new a view is, 0..1: 0 for one just sent, 1 for one unlike all others.

        Args:
            view: From `view_of`.
            now: s, on a clock that never goes back.
        """
        news = 1.0
        for at, seen in self._sent:
            distance = max(0.0, 1.0 - float(seen @ view))
            unlike = 1.0 - np.exp(-distance / self._scale)
            faded = min(1.0, max(0.0, now - at) / self._memory)
            news = min(news, float(unlike + faded - unlike * faded))
        return news

    def sent(self, view: NDArray[np.float32], now: float) -> None:
        """Remember a view that was sent."""
        self._sent.append((now, view))
