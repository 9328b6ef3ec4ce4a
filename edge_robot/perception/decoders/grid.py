"""The cells of a grid detector."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


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
