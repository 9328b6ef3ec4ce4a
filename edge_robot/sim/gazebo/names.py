"""What things are called on Gazebo's side: the world file, the bridge and the node agree here."""

from __future__ import annotations

WORLD = "warehouse"
ROBOT = "robot"

CAMERA = f"/model/{ROBOT}/camera/front/image_raw"
CAMERA_INFO = f"/model/{ROBOT}/camera/front/camera_info"
"""Gazebo publishes it beside the image, under this name."""
LIDAR = f"/model/{ROBOT}/lidar"
LIDAR_POINTS = f"{LIDAR}/points"
"""Gazebo publishes the cloud below the name of the sensor, and its rows as a scan under it."""
SCAN = f"/model/{ROBOT}/scan"
IMU = f"/model/{ROBOT}/imu"
ODOMETRY = f"/model/{ROBOT}/odometry"


def command_topic(model: str) -> str:
    """Return where a model listens for its velocity, as DiffDrive and VelocityControl have it."""
    return f"/model/{model}/cmd_vel"


def pose_topic(model: str) -> str:
    """Return where PosePublisher says where a model truly is."""
    return f"/model/{model}/pose"
