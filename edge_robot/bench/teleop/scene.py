"""Pictures of a camera on paper: as rich as an ordinary scene, with the time of capture in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 480
BITS = 20
CELL = WIDTH // BITS
"""The time stands along the upper edge as squares of this size, px; white is 1, the first is 1 ms.

So large that they are still read from a picture a quarter as wide, and compressed hard.
"""

_PANORAMA = 2 * WIDTH  # px, then it begins again
_SPEED = 60.0  # px/s; a robot that turns slowly
_CONTRAST = 45.0  # standard deviation of a colour, 0..255
_SLOPE = 1.2  # of the amplitude over the frequency
_TINT = 0.2  # colours vary less than light does


class Scene:
    """A texture whose spectrum falls as that of photographs does.

    At JPEG quality 70 a picture has about 60 kB: more than most scenes indoors, so that links are
    filled.

    Args:
        seed: Of the texture.
    """

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        rows = np.fft.fftfreq(HEIGHT)[:, np.newaxis]
        columns = np.fft.rfftfreq(_PANORAMA)[np.newaxis]
        frequency = np.hypot(rows, columns)
        frequency[0, 0] = np.inf  # no constant part
        white = np.fft.rfft2(random.standard_normal((4, HEIGHT, _PANORAMA)))
        light, *tints = np.fft.irfft2(white / frequency**_SLOPE, s=(HEIGHT, _PANORAMA))
        texture = light + _TINT * np.stack(tints)
        texture *= _CONTRAST / texture.std()
        colours = np.clip(128.0 + texture, 0.0, 255.0).astype(np.uint8).transpose(1, 2, 0)
        self._panorama = np.concatenate([colours, colours[:, :WIDTH]], axis=1)

    def frame(self, wall: float) -> NDArray[np.uint8]:
        """Return the picture, (480, 640, 3) BGR, of a time of the wall clock, s."""
        left = int(wall * _SPEED) % _PANORAMA
        image = np.ascontiguousarray(self._panorama[:, left : left + WIDTH])
        code = round(wall * 1e3)
        for bit in range(BITS):
            image[:CELL, bit * CELL : (bit + 1) * CELL] = 255 * (code >> bit & 1)
        return image
