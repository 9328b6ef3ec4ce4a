"""config/edge_robot.rviz shows topics that there are, as their types and contracts permit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from edge_robot import topics
from edge_robot.share import share_dir
from edge_robot.topics import Durability, Reliability

TYPES = {
    "Map": "nav_msgs/OccupancyGrid",
    "PointCloud2": "sensor_msgs/PointCloud2",
    "LaserScan": "sensor_msgs/LaserScan",
    "MarkerArray": "visualization_msgs/MarkerArray",
    "Path": "nav_msgs/Path",
    "Odometry": "nav_msgs/Odometry",
    "Pose": "geometry_msgs/PoseStamped",
    "SetGoal": "geometry_msgs/PoseStamped",
    "Camera": "sensor_msgs/Image",
}
"""What RViz's displays and tools of a class take."""


def shown() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield class and topic of every display and tool that has one."""
    layout = yaml.safe_load((share_dir() / "config" / "edge_robot.rviz").read_text())
    manager = layout["Visualization Manager"]
    for item in (*manager["Displays"], *manager["Tools"]):
        if "Topic" in item:
            yield item["Class"].removeprefix("rviz_default_plugins/"), item["Topic"]


def test_every_topic_is_one_of_the_table_with_the_type_its_display_takes() -> None:
    rows = {topic["Value"]: kind for kind, topic in shown()}
    assert {"lidar/points", "scan", "fusion/markers", "global_costmap", "plan"} <= rows.keys()
    for name, kind in rows.items():
        row = topics.row_of(name)
        assert row is not None and row.type == TYPES[kind], name


def test_rviz_asks_for_no_more_than_is_offered() -> None:
    """A subscription that does hears nothing."""
    for kind, topic in shown():
        row = topics.row_of(topic["Value"])
        assert row is not None
        if row.qos.reliability is not Reliability.RELIABLE:
            assert topic["Reliability Policy"] == "Best Effort", row.name
        latched = row.qos.durability is Durability.TRANSIENT_LOCAL
        if kind != "SetGoal":
            assert (topic["Durability Policy"] == "Transient Local") == latched, row.name
