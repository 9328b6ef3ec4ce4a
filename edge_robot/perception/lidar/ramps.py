"""Follows ground that leaves the plane: ramps, crests, pavements, roads that bend upward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_SECTORS = 120
_RING_GROWTH = 0.05  # rings are this share of (range + _RING_START) deep
_RING_START = 4.0  # m
_BASELINE = 1.0  # m over which a slope is believed
_BEND = 0.06  # by how much the slope may have changed behind what stands on it, m per m
_UPRIGHT = 1.0  # m; how far above its foot a thing is looked at to see that it stands
_SHADOW = 3  # sectors; who stands on a ramp hides this much of it on each side of his middle
_REACH = 1.0  # m; how far a slope is continued where no ground is seen to follow


@dataclass(frozen=True)
class Ramps:
    """Where the ground leaves the plane, on a polar grid about the sensor.

    Attributes:
        height: (sectors, rings) of the ground above the plane in the middle of each cell, m.
        known: (sectors, rings) where that holds.
    """

    height: NDArray[np.float32]
    known: NDArray[np.bool_]

    def below(
        self, sector: NDArray[np.intp], radius: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the ground's height above the plane below each point, and where it is known."""
        rings = self.height.shape[1]
        ring = np.minimum(_ring(radius), rings - 1)
        middle = _radius(np.arange(rings) + 0.5)
        other = np.clip(ring + np.where(radius < middle[ring], -1, 1), 0, rings - 1)
        gap = middle[other] - middle[ring]
        share = (radius - middle[ring]) / np.where(gap == 0.0, np.inf, gap)
        here = self.height[sector, ring]
        return here + share * (self.height[sector, other] - here), self.known[sector, ring]


def sector_of(azimuth: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the sector of the polar grid in which each point lies, (N,)."""
    turn = azimuth * np.float32(_SECTORS / (2 * np.pi))
    return np.floor(turn).astype(np.intp) % _SECTORS


def find_ramps(
    sector: NDArray[np.intp],
    radius: NDArray[np.float32],
    height: NDArray[np.float32],
    *,
    tolerance: tuple[float, float],
    max_slope: float,
    min_width: float,
    noise: float,
) -> Ramps | None:
    """Walk outwards in every sector and follow the lowest points as long as one can drive there.

    From one ring to the next the ground may rise or fall by `max_slope`. What rises steeper
    within a ring stands on the ground and tells nothing about it; behind such a thing only what
    continues the slope before it is ground, so that no table top or car roof becomes a ramp.

    Args:
        sector: (N,) of each point, see `sector_of`.
        radius: (N,) horizontal distance of each point, m.
        height: (N,) above the plane, m.
        tolerance: How far the ground may depart from the plane and yet be of it: at the sensor,
            m, and the growth of that with range, m per m.
        max_slope: Steepest ground against the plane, m per m.
        min_width: Narrowest ramp, m.
        noise: Of a ground point's height, m.

    Returns:
        None where all ground that was seen is of the plane.
    """
    slack = tolerance[0] + tolerance[1] * radius
    within = np.abs(height) <= slack + max_slope * radius
    if not (within & (np.abs(height) > slack)).any():
        return None
    low, low_radius, standing = _feet(sector, radius, height, within, max_slope, noise)
    on_plane = np.abs(low) <= tolerance[0] + tolerance[1] * low_radius
    # Most sweeps end here: what is off the plane and no obstacle is, all together, too narrow.
    if not _wide((np.isfinite(low) & ~standing & ~on_plane).sum(axis=0), min_width):
        return None
    accepted, slope = _walk(low, low_radius, standing, on_plane, max_slope, noise)
    if not (accepted & ~on_plane).any():
        return None
    level, known = _fill(low, low_radius, accepted, on_plane, slope)
    known = _wide_enough(known, accepted & ~on_plane, min_width)
    if not known.any():
        return None
    return Ramps(*_bridge_shadows(level, known, accepted & on_plane))


def _ring(radius: NDArray[np.float32]) -> NDArray[np.intp]:
    ring = np.log1p(radius * np.float32(1 / _RING_START)) * np.float32(1 / _RING_GROWTH)
    return ring.astype(np.intp)


def _radius(ring: NDArray[np.floating]) -> NDArray[np.float32]:
    return (_RING_START * np.expm1(ring * _RING_GROWTH)).astype(np.float32)


def _feet(
    sector: NDArray[np.intp],
    radius: NDArray[np.float32],
    height: NDArray[np.float32],
    within: NDArray[np.bool_],
    max_slope: float,
    noise: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return each cell's lowest point that may be ground, and whether something stands there.

    Returns:
        Height (infinite where there is none), radius and the flag, (sectors, rings) each.
    """
    ring = _ring(radius)
    rings = int(ring.max()) + 1
    cell = sector * rings + ring
    low = np.full(_SECTORS * rings, np.inf, np.float32)
    np.minimum.at(low, cell[within], height[within])
    low_radius = np.tile(_radius(np.arange(rings) + 0.5), _SECTORS)
    lowest = height == low[cell]
    low_radius[cell[lowest]] = radius[lowest]

    standing = np.zeros(_SECTORS * rings, bool)
    # Things straddle rings: a point may also be too steeply above the lowest of the ring before.
    for foot in (cell, np.where(ring > 0, cell - 1, cell)):
        rise = height - low[foot]
        steep = rise > max_slope * np.abs(radius - low_radius[foot]) + 2 * noise
        standing[foot[steep & (rise < _UPRIGHT)]] = True
    shape = (_SECTORS, rings)
    return low.reshape(shape), low_radius.reshape(shape), standing.reshape(shape)


def _walk(
    low: NDArray[np.float32],
    low_radius: NDArray[np.float32],
    standing: NDArray[np.bool_],
    on_plane: NDArray[np.bool_],
    max_slope: float,
    noise: float,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return which cells' lowest points are ground, and the slope there; (sectors, rings) each."""
    sectors = len(low)
    accepted = np.zeros(low.shape, bool)
    slopes = np.zeros(low.shape, np.float32)
    last, last_radius, slope = (np.zeros(sectors, np.float32) for _ in range(3))
    blocked = np.zeros(sectors, bool)
    seen = np.isfinite(low)
    for ring in np.flatnonzero(seen.any(axis=0)):
        run = low_radius[:, ring] - last_radius
        rise = np.where(seen[:, ring], low[:, ring] - last, 0.0)
        drivable = np.abs(rise) <= max_slope * run + noise
        continued = np.abs(rise - slope * run) <= _BEND * run + noise
        ground = seen[:, ring] & ~standing[:, ring] & np.where(blocked, continued, drivable)
        ground |= on_plane[:, ring]
        blocked = ~ground & (blocked | standing[:, ring])
        # One ring alone says little about the slope: its points are noisy.
        step = np.clip(rise / np.maximum(run, 1e-3), -max_slope, max_slope)
        slope = np.where(ground, slope + np.minimum(run / _BASELINE, 1.0) * (step - slope), slope)
        last = np.where(ground, low[:, ring], last)
        last_radius = np.where(ground, low_radius[:, ring], last_radius)
        accepted[:, ring], slopes[:, ring] = ground, slope
    return accepted, slopes


def _fill(
    low: NDArray[np.float32],
    low_radius: NDArray[np.float32],
    accepted: NDArray[np.bool_],
    on_plane: NDArray[np.bool_],
    slope: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the ground in the middle of every cell, and where it is of a ramp.

    Between two rings of ground it is interpolated; behind the last one it goes on for _REACH.
    """
    rings = low.shape[1]
    index = np.arange(rings)
    before = np.maximum.accumulate(np.where(accepted, index, -1), axis=1)
    after = np.minimum.accumulate(np.where(accepted, index, rings)[:, ::-1], axis=1)[:, ::-1]
    has_before, has_after = before >= 0, after < rings
    before, after = np.maximum(before, 0), np.minimum(after, rings - 1)

    def take(cells: NDArray, at: NDArray[np.intp]) -> NDArray:
        return np.take_along_axis(cells, at, axis=1)

    ground = np.where(accepted, low, 0.0)
    start, start_radius = take(ground, before), take(low_radius, before)
    end, end_radius = take(ground, after), take(low_radius, after)
    start, start_radius = np.where(has_before, start, 0.0), np.where(has_before, start_radius, 0.0)
    run = _radius(index + 0.5) - start_radius
    between = np.clip(run / np.maximum(end_radius - start_radius, 1e-3), 0.0, 1.0)
    beyond = start + take(slope, before) * np.clip(run, 0.0, _REACH)
    level = np.where(has_after, start + between * (end - start), beyond)
    ramp = accepted & ~on_plane
    known = (has_before & take(ramp, before)) | (has_after & take(ramp, after))
    return level.astype(np.float32), known


def _bridge_shadows(
    level: NDArray[np.float32], known: NDArray[np.bool_], plane: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return both with what lies in the shadow of a narrow thing: as on its left and right."""
    wrapped = np.concatenate([known[-_SHADOW:], known, known[:_SHADOW]])
    closed = ndimage.binary_closing(wrapped, np.ones((2 * _SHADOW + 1, 1)))[_SHADOW:-_SHADOW]
    hidden = closed & ~known & ~plane
    shifts = [shift for shift in range(-_SHADOW, _SHADOW + 1) if shift]
    total = sum(np.roll(np.where(known, level, 0.0), shift, axis=0) for shift in shifts)
    count = sum(np.roll(known.astype(np.float32), shift, axis=0) for shift in shifts)
    return np.where(hidden, total / np.maximum(count, 1.0), level), known | hidden


def _wide_enough(
    known: NDArray[np.bool_], ramp: NDArray[np.bool_], min_width: float
) -> NDArray[np.bool_]:
    """Return `known` without the patches that are not as wide as a ramp in two rings at least."""
    rings = known.shape[1]
    labels, count = ndimage.label(known)
    # The last sector and the first are neighbours.
    for one, other in zip(labels[-1], labels[0], strict=True):
        if one and other and one != other:
            labels[labels == other] = one
    place = labels * rings + np.arange(rings)
    cells = np.bincount(place[ramp], minlength=(count + 1) * rings).reshape(count + 1, rings)
    return known & _wide(cells, min_width)[labels]


def _wide(cells: NDArray[np.integer], min_width: float) -> NDArray[np.bool_]:
    """Return whether a patch of so many cells in each ring, (..., rings), is as wide as a ramp."""
    width = cells * _radius(np.arange(cells.shape[-1]) + 0.5) * (2 * np.pi / _SECTORS)
    return np.asarray((width >= min_width).sum(axis=-1) >= 2)
