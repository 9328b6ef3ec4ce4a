"""What the base of a simulated robot says: odometry, its transform, and where its sensors sit."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry as OdometryMessage
from std_msgs.msg import Header

from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.sim.odometry import Odometry
from edge_robot.sim.robot import CAMERA_MOUNT, MOUNTS, OPTICAL_FRAME


def odometry_message(odometry: Odometry, stamp: Time) -> OdometryMessage:
    """Return the pose in odom and the twist in base_link, with the covariance of dead reckoning."""
    message = OdometryMessage(child_frame_id="base_link")
    message.header = Header(stamp=stamp, frame_id="odom")
    pose, twist = message.pose, message.twist
    pose.pose.position.x, pose.pose.position.y = odometry.pose.x, odometry.pose.y
    pose.pose.orientation = quaternion_from_yaw(odometry.pose.yaw)
    twist.twist.linear.x, twist.twist.angular.z = odometry.speed, odometry.yaw_rate
    # Dead reckoning: about 1 % of the way, and 0.1° per metre.
    drift = (0.01 * odometry.distance) ** 2 + 1e-6
    turn = (0.002 * odometry.distance) ** 2 + 1e-6
    pose.covariance = np.diag([drift, drift, 1e-6, 1e-6, 1e-6, turn]).ravel()
    twist.covariance = np.diag([4e-4, 1e-6, 1e-6, 1e-6, 1e-6, 1e-4]).ravel()
    return message


def odometry_transform(message: OdometryMessage) -> TransformStamped:
    """Return odom → base_link as the odometry has it."""
    transform = TransformStamped(header=message.header, child_frame_id=message.child_frame_id)
    position, translation = message.pose.pose.position, transform.transform.translation
    translation.x, translation.y = position.x, position.y
    transform.transform.rotation = message.pose.pose.orientation
    return transform


def static_transforms() -> list[TransformStamped]:
    """Return map → odom, which begins where the map says, and base_link → every sensor."""
    transforms = [_transform("map", "odom", (0.0, 0.0, 0.0))]
    for mount in MOUNTS:
        transforms.append(_transform("base_link", mount.frame, mount.position))
    optical = _transform(CAMERA_MOUNT.frame, OPTICAL_FRAME, (0.0, 0.0, 0.0))
    rotation = optical.transform.rotation  # z forward, x right, y down
    rotation.x, rotation.y, rotation.z, rotation.w = -0.5, 0.5, -0.5, 0.5
    return [*transforms, optical]


def _transform(parent: str, child: str, position: tuple[float, float, float]) -> TransformStamped:
    transform = TransformStamped(child_frame_id=child)
    transform.header.frame_id = parent
    translation = transform.transform.translation
    translation.x, translation.y, translation.z = position
    transform.transform.rotation.w = 1.0
    return transform
