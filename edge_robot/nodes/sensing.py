"""Scans and clouds as plain arrays, and where their sensors are mounted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.time import Time
from sensor_msgs.msg import LaserScan, PointCloud2
from tf2_ros import Buffer, TransformException

from edge_robot.nodes.conversions import pose_matrix
from edge_robot.perception.lidar import scan_geometry
from edge_robot.perception.lidar.points import read_points

BASE_FRAME = "base_link"


class Mounts:
    """Poses of the sensors on the robot, looked up once each.

    Args:
        buffer: Where the transforms are.
    """

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._known: dict[str, NDArray[np.float64]] = {}

    def base_from(self, frame: str) -> NDArray[np.float64] | None:
        """Return the pose of a sensor's frame in base_link, (4, 4); None if not known yet."""
        if frame not in self._known:
            try:
                found = self._buffer.lookup_transform(BASE_FRAME, frame, Time())
            except TransformException:
                return None
            self._known[frame] = pose_matrix(found.transform)
        return self._known[frame]


def scan_angles(scan: LaserScan) -> NDArray[np.floating]:
    """Return the directions of a scan's rays, (n,), rad, in its frame."""
    return float(scan.angle_min) + float(scan.angle_increment) * np.arange(len(scan.ranges))


def scan_ranges(scan: LaserScan) -> NDArray[np.float64]:
    """Return a scan's ranges, (n,), m: infinite where nothing was met, NaN where it tells nothing.

    See `edge_robot.perception.lidar.scan_geometry.scan_ranges`.
    """
    return scan_geometry.scan_ranges(scan.ranges, scan.range_min, scan.range_max)


def check_scan(scan: LaserScan) -> None:
    """Check that a scan's rays are where its header says.

    Raises:
        ScanError: They are not.
    """
    scan_geometry.check_scan(
        len(scan.ranges),
        angle_min=scan.angle_min,
        angle_max=scan.angle_max,
        angle_increment=scan.angle_increment,
        range_min=scan.range_min,
        range_max=scan.range_max,
    )


def scan_points(scan: LaserScan, base_from_scan: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a scan met, (n, 2), m, in base_link."""
    ranges, angles = scan_ranges(scan), scan_angles(scan)
    met = np.isfinite(ranges)
    ranges, angles = ranges[met], angles[met]
    flat = np.stack((ranges * np.cos(angles), ranges * np.sin(angles)), 1)
    return flat @ base_from_scan[:2, :2].T + base_from_scan[:2, 3]


def read_cloud(cloud: PointCloud2) -> NDArray[np.float32]:
    """Return the finite points of a cloud, (n, 3 or 4) float32: x, y, z in m (and intensity).

    Raises:
        CloudError: the message contradicts itself.
    """
    return read_points(
        cloud.data,
        [(field.name, field.offset, field.datatype) for field in cloud.fields],
        width=cloud.width,
        height=cloud.height,
        point_step=cloud.point_step,
        row_step=cloud.row_step,
        big_endian=cloud.is_bigendian,
    )


def cloud_points(cloud: PointCloud2, base_from_cloud: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the finite points of a cloud, (n, 3), m, in base_link.

    Raises:
        CloudError: the message contradicts itself.
    """
    points = read_cloud(cloud)
    return points[:, :3] @ base_from_cloud[:3, :3].T + base_from_cloud[:3, 3]
