"""Fits upright oriented boxes to clusters of points, all clusters at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP = np.deg2rad(2.0)
_ANGLES = np.arange(0.0, np.pi / 2 - 1e-6, _STEP).astype(np.float32)
_CORRELATED = 3.0  # neighbouring points err alike: they say as much as with this times the noise
_FAR = 3.0  # standard deviations; a point further inside than this is no point of the edge
_POINTS_PER_FIT = 96  # an L-shape shows in fewer points than a near cluster has
_EDGE_DISTANCE = np.float32(0.04)  # of the diagonal; nearer than this a point is on the edge


def fit_rectangles(
    xy: NDArray[np.float32], starts: NDArray[np.intp], *, noise: float = 0.02
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Fit a rectangle to each cluster by searching the heading (L-shape fit, closeness criterion).

    Of all headings the one is chosen whose bounding rectangle has most points close to an edge:
    a lidar sees the outside of things, so the points lie on one or two faces.

    Args:
        xy: (N, 2) float32, m, points ordered by cluster.
        starts: (C,) first index of each cluster, ascending from 0; no cluster is empty.
        noise: Standard deviation of a point's distance from the edge it lies on, m.

    Returns:
        Centres (C, 2) m, sizes (C, 2) m as length ≥ width, yaws (C,) rad of the length,
        in (-π/2, π/2], and the yaws' standard deviations (C,) rad, modulo a quarter turn.
    """
    counts = np.diff(starts, append=len(xy))
    picked, picked_starts = _thin(starts, counts)
    yaw, yaw_sigma = _best_headings(xy[picked], picked_starts, noise)

    cluster = np.repeat(np.arange(len(starts)), counts)
    cos, sin = np.cos(yaw), np.sin(yaw)
    u = xy[:, 0] * cos[cluster] + xy[:, 1] * sin[cluster]
    v = xy[:, 1] * cos[cluster] - xy[:, 0] * sin[cluster]
    u_low, u_high = np.minimum.reduceat(u, starts), np.maximum.reduceat(u, starts)
    v_low, v_high = np.minimum.reduceat(v, starts), np.maximum.reduceat(v, starts)
    u_mid, v_mid = (u_low + u_high) / 2, (v_low + v_high) / 2
    centers = np.stack([u_mid * cos - v_mid * sin, u_mid * sin + v_mid * cos], axis=1)
    sizes = np.stack([u_high - u_low, v_high - v_low], axis=1)
    swap = sizes[:, 1] > sizes[:, 0]
    sizes[swap] = sizes[swap, ::-1]
    yaw = np.where(swap, yaw - np.float32(np.pi / 2), yaw)
    yaw = np.where(yaw <= -np.pi / 2, yaw + np.float32(np.pi), yaw)
    return (
        centers.astype(np.float32),
        sizes.astype(np.float32),
        yaw.astype(np.float32),
        yaw_sigma,
    )


def _thin(
    starts: NDArray[np.intp], counts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return at most _POINTS_PER_FIT evenly spaced indices per cluster, and the new starts."""
    kept = np.minimum(counts, _POINTS_PER_FIT)
    new_starts = np.cumsum(kept) - kept
    cluster = np.repeat(np.arange(len(starts)), kept)
    rank = np.arange(kept.sum()) - new_starts[cluster]
    return starts[cluster] + rank * counts[cluster] // kept[cluster], new_starts


def _best_headings(
    xy: NDArray[np.float32], starts: NDArray[np.intp], noise: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    cos, sin = np.cos(_ANGLES), np.sin(_ANGLES)
    counts = np.diff(starts, append=len(xy))
    cluster = np.repeat(np.arange(len(starts)), counts)

    def edge_distance(along: NDArray[np.float32]) -> NDArray[np.float32]:
        low = np.minimum.reduceat(along, starts)[cluster]
        high = np.maximum.reduceat(along, starts)[cluster]
        return np.minimum(along - low, high - along)

    u = xy[:, :1] * cos + xy[:, 1:] * sin
    v = xy[:, 1:] * cos - xy[:, :1] * sin
    distance = np.minimum(edge_distance(u), edge_distance(v))
    # Real corners are rounded, the more the larger the object.
    extent = np.maximum.reduceat(xy, starts) - np.minimum.reduceat(xy, starts)
    on_edge = _EDGE_DISTANCE * np.hypot(extent[:, 0], extent[:, 1])
    on_edge = np.maximum(on_edge, np.float32(0.01))[cluster, None]
    closeness = np.add.reduceat(1.0 / np.maximum(distance, on_edge), starts)
    best = closeness.argmax(axis=1)
    # How well the other headings explain the same points says how sure this one is.
    misfit = np.add.reduceat(np.minimum(distance, _FAR * noise) ** 2, starts)
    misfit -= misfit[np.arange(len(starts)), best][:, None]
    misfit /= np.float32((_CORRELATED * noise) ** 2)
    likelihood = np.exp(-0.5 * np.maximum(misfit, 0.0))
    turn = np.abs(_ANGLES - _ANGLES[best][:, None])
    turn = np.minimum(turn, np.float32(np.pi / 2) - turn)
    variance = (likelihood * turn**2).sum(axis=1) / likelihood.sum(axis=1)
    return _ANGLES[best], np.sqrt(variance + np.float32(_STEP**2 / 12))
