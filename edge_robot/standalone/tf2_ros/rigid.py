"""Rigid transforms: a rotation followed by a translation, in plain floats.

For the few multiplications of a lookup this is faster than small arrays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
"""x, y, z, w."""


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the rotation that turns by `b`, then by `a`."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(rotation: Quaternion, vector: Vector) -> Vector:
    """Return the rotated vector."""
    qx, qy, qz, qw = rotation
    x, y, z = vector
    # t = 2 q × v;  v' = v + w t + q × t
    tx, ty, tz = 2 * (qy * z - qz * y), 2 * (qz * x - qx * z), 2 * (qx * y - qy * x)
    return (
        x + qw * tx + qy * tz - qz * ty,
        y + qw * ty + qz * tx - qx * tz,
        z + qw * tz + qx * ty - qy * tx,
    )


def slerp(a: Quaternion, b: Quaternion, ratio: float) -> Quaternion:
    """Return the rotation at `ratio` (0..1) of the shorter way from `a` to `b`."""
    cosine = sum(x * y for x, y in zip(a, b, strict=True))
    sign = 1.0
    if cosine < 0:
        cosine, sign = -cosine, -1.0
    if cosine > 1 - 1e-9:
        first, second = 1 - ratio, ratio
    else:
        angle = math.acos(cosine)
        first = math.sin((1 - ratio) * angle) / math.sin(angle)
        second = math.sin(ratio * angle) / math.sin(angle)
    x, y, z, w = (first * p + sign * second * q for p, q in zip(a, b, strict=True))
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    return x / norm, y / norm, z / norm, w / norm


class Rigid(NamedTuple):
    """Maps a point p to `rotate(rotation, p) + translation`."""

    translation: Vector
    rotation: Quaternion

    def after(self, first: Rigid) -> Rigid:
        """Return the transform that applies `first`, then this."""
        x, y, z = rotate(self.rotation, first.translation)
        tx, ty, tz = self.translation
        return Rigid((x + tx, y + ty, z + tz), multiply(self.rotation, first.rotation))

    def inverse(self) -> Rigid:
        """Return the transform that undoes this."""
        qx, qy, qz, qw = self.rotation
        back = (-qx, -qy, -qz, qw)
        x, y, z = rotate(back, self.translation)
        return Rigid((-x, -y, -z), back)

    def towards(self, other: Rigid, ratio: float) -> Rigid:
        """Return the transform at `ratio` (0..1) of the way to another."""
        x, y, z = (
            p + ratio * (q - p) for p, q in zip(self.translation, other.translation, strict=True)
        )
        return Rigid((x, y, z), slerp(self.rotation, other.rotation, ratio))


IDENTITY = Rigid((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
