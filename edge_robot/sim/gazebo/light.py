"""The hall's light as ogre2 needs it for images as bright as the embedded camera's.

MuJoCo adds the lights' levels as they shall look; ogre2 adds shares of light, and makes of the sum
what it looks like. So the shares are fitted to three places: what is turned away from every light,
what faces the camera, and the floor.
"""

from __future__ import annotations

import math

import numpy as np

from edge_robot.sim.gazebo.shapes import linear
from edge_robot.sim.scenario import Light, Rgb

_FLOOR_TO_CAMERA = 0.3  # cosine with which the floor in sight faces the camera


def shares(light: Light) -> tuple[Rgb, Rgb, Rgb]:
    """Return ambient light, the light that goes with the camera, and the lamps, as SDF has them."""
    ambient, headlight, sun = (
        np.array(level) for level in (light.ambient, light.headlight, light.sun)
    )
    lowest = _linear(ambient)
    facing = _linear(ambient + headlight) - lowest
    down = -light.direction[2]
    floor = _linear(ambient + _FLOOR_TO_CAMERA * headlight + down * sun)
    lamps = (floor - lowest - _FLOOR_TO_CAMERA * facing) / down
    # Ambient light is shared among all directions; a lamp's share is what it gives where it falls.
    return _rgb(math.pi * lowest), _rgb(facing), _rgb(lamps)


def _linear(levels: np.ndarray) -> np.ndarray:
    return np.array(linear(_rgb(levels)))


def _rgb(levels: np.ndarray) -> Rgb:
    red, green, blue = np.clip(levels, 0.0, 1.0).tolist()
    return red, green, blue
