"""What crosses between Gazebo and ROS: the rows of config/gazebo_bridge.yaml, for ros_gz_bridge.

Sensors go straight to their topics of `edge_robot.topics`. What `nodes/gazebo_world.py` makes
something of first has a name below `gazebo/`.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from edge_robot import topics
from edge_robot.sim.gazebo import names
from edge_robot.sim.scenario import PEOPLE
from edge_robot.topics import Topic


@dataclass(frozen=True)
class Crossing:
    """One row.

    Attributes:
        ros: Topic on the side of ROS.
        gazebo: Topic on the side of Gazebo.
        ros_type: `package/Name`.
        gazebo_type: `gz.msgs.Name`.
        to_gazebo: Whether it goes from ROS to Gazebo; else the other way.
    """

    ros: str
    gazebo: str
    ros_type: str
    gazebo_type: str
    to_gazebo: bool = False


def wheels() -> Crossing:
    """Return the odometry of Gazebo's drive."""
    return Crossing("gazebo/wheels", names.ODOMETRY, "nav_msgs/Odometry", "gz.msgs.Odometry")


def pose(model: str) -> Crossing:
    """Return where the robot, or a person, truly is."""
    return Crossing(
        f"gazebo/{model}/pose", names.pose_topic(model), "geometry_msgs/PoseStamped", "gz.msgs.Pose"
    )


def velocity(model: str) -> Crossing:
    """Return what the robot, or a person, is told to do."""
    return Crossing(
        f"gazebo/{model}/cmd_vel",
        names.command_topic(model),
        "geometry_msgs/Twist",
        "gz.msgs.Twist",
        to_gazebo=True,
    )


def _sensor(topic: Topic, gazebo: str, gazebo_type: str) -> Crossing:
    return Crossing(topic.name, gazebo, topic.type, gazebo_type)


def crossings() -> tuple[Crossing, ...]:
    """Return all rows; a seed may have fewer people, never more."""
    walkers = [f"person_{number}" for number in range(1, max(PEOPLE) + 1)]
    movers = [names.ROBOT, *walkers]
    return (
        _sensor(topics.CAMERA_IMAGE, names.CAMERA, "gz.msgs.Image"),
        _sensor(topics.CAMERA_INFO, names.CAMERA_INFO, "gz.msgs.CameraInfo"),
        _sensor(topics.LIDAR_POINTS, names.LIDAR_POINTS, "gz.msgs.PointCloudPacked"),
        _sensor(topics.SCAN, names.SCAN, "gz.msgs.LaserScan"),
        _sensor(topics.IMU, names.IMU, "gz.msgs.IMU"),
        wheels(),
        *(pose(name) for name in movers),
        *(velocity(name) for name in movers),
    )


def bridge_yaml() -> str:
    """Return the file for ros_gz_bridge."""
    rows = [
        {
            "ros_topic_name": row.ros,
            "gz_topic_name": row.gazebo,
            "ros_type_name": row.ros_type.replace("/", "/msg/"),
            "gz_type_name": row.gazebo_type,
            "direction": "ROS_TO_GZ" if row.to_gazebo else "GZ_TO_ROS",
            # The newest counts: what waits is late.
            "publisher_queue": 2,
            "subscriber_queue": 2,
        }
        for row in crossings()
    ]
    head = "# Written by edge_robot/sim/gazebo/bridge.py; a test keeps it equal.\n"
    return head + yaml.safe_dump(rows, sort_keys=False)
