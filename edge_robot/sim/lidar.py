"""The robot's ranging sensors: a 3D lidar and a planar scanner. Neither sees the robot itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_robot.sim.gl import mujoco
from edge_robot.sim.rays import Caster
from edge_robot.sim.sensors import COLUMNS, LIDAR, SCANNER
from edge_robot.sim.world import World


class Lidar:
    """A spinning 3D lidar: 16 beams over ±15°, 30 m.

    A sweep is taken at one instant: there is no distortion by motion within it.

    Args:
        world: The world.
        seed: Seed of the range noise.
        columns: Directions around the full circle.
    """

    def __init__(self, world: World, seed: int, columns: int = COLUMNS) -> None:
        self._caster = Caster(world)
        self._rng = np.random.default_rng((seed, 0x11DA))
        self._rays = _fan(
            np.radians(np.linspace(-LIDAR.elevation, LIDAR.elevation, LIDAR.beams)), columns
        )
        self._site = world.model.site("lidar").id
        self._brightness = _brightness(world)

    def sweep(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """Return the returns of one sweep: x, y, z in lidar_link, m, and intensity 0..100.

        Intensity is the brightness of what was hit, whatever the distance. Directions without a
        return are left out; shape (n, 4), n ≤ 16·columns.
        """
        rotation = data.site_xmat[self._site].reshape(3, 3)
        origin = data.site_xpos[self._site]
        hits = self._caster.cast(data, origin, self._rays @ rotation.T, LIDAR.max_range)
        seen = (hits.geom >= 0) & (hits.distance >= LIDAR.min_range)
        ranges = hits.distance[seen] + LIDAR.noise * self._rng.normal(size=int(seen.sum()))
        out = np.empty((len(ranges), 4), np.float32)
        out[:, :3] = self._rays[seen] * ranges[:, None]
        out[:, 3] = 100.0 * self._brightness[hits.geom[seen]]
        return out


class Scanner:
    """A planar scanner: 720 ranges around the full circle from -π on, counter-clockwise, 25 m.

    Args:
        world: The world.
        seed: Seed of the range noise.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._caster = Caster(world)
        self._rng = np.random.default_rng((seed, 0x5CA7))
        self._rays = _fan(np.zeros(1), COLUMNS)
        self._site = world.model.site("scan").id

    def scan(self, data: mujoco.MjData) -> NDArray[np.float32]:
        """Return the ranges in scan_link, shape (720,), m; +inf where there is no return."""
        rotation = data.site_xmat[self._site].reshape(3, 3)
        origin = data.site_xpos[self._site]
        hits = self._caster.cast(data, origin, self._rays @ rotation.T, SCANNER.max_range)
        ranges = hits.distance + SCANNER.noise * self._rng.normal(size=COLUMNS)
        missed = (hits.geom < 0) | (ranges < SCANNER.min_range) | (ranges > SCANNER.max_range)
        return np.where(missed, np.inf, ranges).astype(np.float32)


def _brightness(world: World) -> NDArray[np.float64]:
    """Return how bright each geom is on average, shape (ngeom,), 0..1."""
    model = world.model
    brightness = model.geom_rgba[:, :3].mean(axis=1).astype(np.float64)
    surface = np.array([np.mean(surface.rgb) for surface in world.scenario.surfaces])
    textured = model.geom_matid >= 0  # materials are numbered as the scenario's surfaces
    brightness[textured] *= surface[model.geom_matid[textured]]
    return brightness


def _fan(elevations: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Return unit vectors for all elevations times all columns, shape (n, 3)."""
    azimuth = np.arange(columns) * (2 * math.pi / columns) - math.pi
    up = elevations[:, None]
    rays = np.stack(
        [np.cos(up) * np.cos(azimuth), np.cos(up) * np.sin(azimuth), np.sin(up) + 0 * azimuth],
        axis=-1,
    )
    return rays.reshape(-1, 3)
