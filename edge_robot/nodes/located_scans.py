"""Scans and sweeps as ranges seen from a place in the planning frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import LaserScan, PointCloud2
from std_msgs.msg import Header
from tf2_ros import Buffer

from edge_robot.nodes.conversions import seconds
from edge_robot.nodes.sensing import Mounts, check_scan, cloud_points, scan_angles, scan_ranges
from edge_robot.perception.lidar.points import CloudError
from edge_robot.perception.lidar.scan_geometry import ScanError
from edge_robot.planning.costmap import RangeScan
from edge_robot.planning.pose_history import PoseHistory

_LIDAR_BEAMS = 720


class LocatedScans:
    """Places what sensors saw where they were when they saw it; says what it cannot place.

    Args:
        node: Whose log that goes to.
        buffer: Where the transforms are.
        poses: Where the robot was.
        lidar_heights: Lowest and highest lidar point to avoid, m above base_link.
    """

    def __init__(
        self, node: Node, buffer: Buffer, poses: PoseHistory, lidar_heights: tuple[float, float]
    ) -> None:
        self._node = node
        self._mounts = Mounts(buffer)
        self._poses = poses
        self._lidar_heights = lidar_heights

    def scan(self, message: LaserScan) -> RangeScan | None:
        """Return a planar scan; None if it is none, or nobody knows where it was taken."""
        try:
            check_scan(message)
            if len(message.ranges) < 2:
                raise ScanError("scan of a single ray")
        except ScanError as error:
            self._node.get_logger().error(f"{error}; scan dropped", throttle_duration_sec=5.0)
            return None
        placed = self._place(message.header)
        if placed is None:
            return None
        increasing = 1 if message.angle_increment > 0 else -1
        angles, ranges = scan_angles(message), scan_ranges(message)
        return RangeScan(*placed[1], angles[::increasing], ranges[::increasing])

    def sweep(self, message: PointCloud2) -> RangeScan | None:
        """Return the nearest obstacles of a lidar's sweep; None as for a scan, or if it is none."""
        placed = self._place(message.header)
        if placed is None:
            return None
        mount, (x, y, yaw) = placed
        try:
            points = cloud_points(message, mount)
        except CloudError as error:
            self._node.get_logger().error(f"{error}; sweep dropped", throttle_duration_sec=5.0)
            return None
        low, high = self._lidar_heights
        counts = (points[:, 2] > low) & (points[:, 2] < high)
        obstacles = points[:, :2].compress(counts, axis=0) - mount[:2, 3]
        # The points are already turned into base_link: only the place is the sensor's.
        return RangeScan.from_points(x, y, yaw - _heading(mount), obstacles, _LIDAR_BEAMS)

    def _place(
        self, header: Header
    ) -> tuple[NDArray[np.float64], tuple[float, float, float]] | None:
        """Return a sensor's mount and its x, y, yaw in the planning frame; None if not known."""
        mount = self._mounts.base_from(header.frame_id)
        pose = self._poses.at(seconds(header.stamp))
        if mount is None or pose is None:
            lacking = f"mount of {header.frame_id}" if mount is None else "odometry at its stamp"
            self._node.get_logger().warning(
                f"data in {header.frame_id} left out: no {lacking}", throttle_duration_sec=5.0
            )
            return None
        x, y, yaw = pose
        cos, sin = np.cos(yaw), np.sin(yaw)
        dx, dy = mount[:2, 3]
        return mount, (x + cos * dx - sin * dy, y + sin * dx + cos * dy, yaw + _heading(mount))


def _heading(mount: NDArray[np.float64]) -> float:
    return float(np.arctan2(mount[1, 0], mount[0, 0]))
