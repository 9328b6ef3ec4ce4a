"""Reads the points of a cloud message of any field layout, and says where the sensor sees them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# sensor_msgs/PointField datatypes.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


class CloudError(ValueError):
    """A cloud whose description contradicts itself or its data."""


@dataclass(frozen=True)
class Sweep:
    """Points, and where the sensor sees them.

    Ground, clusters, occlusion and motion all ask for the same distances and angles; worked out by
    each of them anew, they cost a seventh of a sweep's time more.

    Attributes:
        xyz: (N, 3) float32, m, sensor frame.
        distance: (N,) horizontal, m.
        azimuth: (N,) rad, in [-π, π].
        elevation: (N,) rad.
    """

    xyz: NDArray[np.float32]
    distance: NDArray[np.float32]
    azimuth: NDArray[np.float32]
    elevation: NDArray[np.float32]

    @classmethod
    def of(cls, points: NDArray[np.float32] | Sweep) -> Sweep:
        """Return points, (N, 3+), as a sweep; one that is a sweep already as it is."""
        if isinstance(points, Sweep):
            return points
        xyz = np.ascontiguousarray(points[:, :3])
        x, y, z = xyz.T
        with np.errstate(over="ignore"):  # finite, but of no distance
            distance = np.hypot(x, y)
        return cls(xyz, distance, np.arctan2(y, x), np.arctan2(z, distance))

    def __len__(self) -> int:
        return len(self.xyz)

    def where(self, keep: NDArray[np.bool_]) -> Sweep:
        """Return the points where `keep` is true."""
        return self.at(np.flatnonzero(keep))

    def at(self, indices: NDArray[np.intp]) -> Sweep:
        """Return the points of these indices, in their order."""
        return Sweep(
            self.xyz.take(indices, axis=0),
            self.distance.take(indices),
            self.azimuth.take(indices),
            self.elevation.take(indices),
        )


def read_points(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
    fields: Iterable[tuple[str, int, int]],
    *,
    width: int,
    height: int,
    point_step: int,
    row_step: int,
    big_endian: bool = False,
) -> NDArray[np.float32]:
    """Return x, y, z (and intensity, where the cloud has it) of every finite point.

    Args:
        data: The message's bytes.
        fields: Name, byte offset and `sensor_msgs/PointField` datatype of each field; any order,
            any gaps, any further fields.
        width: Points in a row.
        height: Rows.
        point_step: Bytes from one point to the next.
        row_step: Bytes from one row to the next.
        big_endian: Byte order of the fields.

    Returns:
        (N, 3) or (N, 4) float32, m, in the cloud's frame; points with a NaN or infinite
        coordinate (a ray without return) are left out, a non-finite intensity reads as 0.

    Raises:
        CloudError: The description contradicts itself or the length of the data.
    """
    if width < 0 or height < 0 or point_step <= 0:
        raise CloudError(f"cloud of {width}×{height} points of {point_step} bytes")
    if height > 1 and row_step < width * point_step:
        raise CloudError(
            f"row_step {row_step} is shorter than {width} points of {point_step} bytes"
        )
    flat = np.frombuffer(data, np.uint8)
    # One row needs no row_step: some drivers leave it zero.
    stride = row_step if height > 1 else width * point_step
    needed = (height - 1) * stride + width * point_step if width and height else 0
    if flat.size < needed:
        raise CloudError(f"cloud holds {flat.size} bytes, its header promises {needed}")

    fields = list(fields)
    by_name = {name: (offset, datatype) for name, offset, datatype in fields}
    names = [name for name, _, _ in fields]
    if twice := [name for name in ("x", "y", "z", "intensity") if names.count(name) > 1]:
        raise CloudError(f"cloud has field {', '.join(twice)} more than once")
    missing = [name for name in "xyz" if name not in by_name]
    if missing:
        raise CloudError(f"cloud has no field {', '.join(missing)}; it has {', '.join(by_name)}")
    wanted = [name for name in ("x", "y", "z", "intensity") if name in by_name]
    order = ">" if big_endian else "<"
    columns = np.empty((len(wanted), height, width), np.float32)
    for column, name in zip(columns, wanted, strict=True):
        offset, datatype = by_name[name]
        if datatype not in _TYPES:
            raise CloudError(f"field {name} has unknown datatype {datatype}")
        dtype = np.dtype(order + _TYPES[datatype])
        if offset < 0 or offset + dtype.itemsize > point_step:
            raise CloudError(f"field {name} at offset {offset} lies outside of {point_step} bytes")
        if column.size:
            # A float64 beyond float32's range becomes infinite, and is dropped as such below.
            with np.errstate(over="ignore", invalid="ignore"):
                column[:] = np.ndarray(
                    (height, width), dtype, flat, offset=offset, strides=(stride, point_step)
                )
    points = columns.reshape(len(wanted), -1)
    finite = np.isfinite(points[:3]).all(axis=0)
    points = np.ascontiguousarray(points.T).compress(finite, axis=0)
    if points.shape[1] == 4:
        np.nan_to_num(points[:, 3], copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return points


def cells(xy: NDArray[np.float32], side: float) -> NDArray[np.int32]:
    """Return the square of a grid that each point is in, (2, N): a row for x and one for y.

    NumPy goes along rows many times faster than along columns of two.

    Args:
        xy: (N, 2) m.
        side: Of a square, m; one begins at the origin.
    """
    return np.floor(np.ascontiguousarray(xy.T) / np.float32(side)).astype(np.int32)
