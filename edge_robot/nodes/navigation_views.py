"""What the planner knows and intends, for people to look at: paths and costmaps as messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid, Path
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header

from edge_robot import topics
from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.nodes.qos import qos_profile
from edge_robot.planning.costmap import Grid, occupancy
from edge_robot.planning.navigator import Navigator
from edge_robot.planning.robot import State

_COST_DECAY = 3.0  # 1/m; nav2's cost_scaling_factor as most set it


class NavigationViews:
    """Publishes `PATH`, `COSTMAP` and, while somebody listens, `LOCAL_COSTMAP`.

    Args:
        node: Node they belong to.
        frame: The planning frame.
    """

    def __init__(self, node: Node, frame: str) -> None:
        self._node = node
        self._frame = frame
        self._paths = self._publisher(Path, topics.PATH)
        self._costmaps = self._publisher(OccupancyGrid, topics.COSTMAP)
        self._local_costmaps = self._publisher(OccupancyGrid, topics.LOCAL_COSTMAP)

    def _publisher(self, kind: Any, topic: topics.Topic) -> Any:
        return self._node.create_publisher(kind, topic.name, qos_profile(topic))

    def _header(self) -> Header:
        return Header(stamp=self._node.get_clock().now().to_msg(), frame_id=self._frame)

    def show_path(self, points: NDArray[np.float64], goal_yaw: float | None) -> None:
        """Publish a path.

        Args:
            points: (n, 2), m; each pose of the message looks along the path.
            goal_yaw: Heading of the last, rad; None for that of the path.
        """
        message = Path(header=self._header())
        thinned = np.vstack((points[:-1:2], points[-1:]))
        yaws = np.arctan2(*np.diff(thinned, axis=0).T[::-1])
        last = yaws[-1] if goal_yaw is None else goal_yaw
        for (x, y), yaw in zip(thinned.tolist(), (*yaws.tolist(), last), strict=True):
            pose = PoseStamped(header=message.header)
            pose.pose.position.x, pose.pose.position.y = x, y
            pose.pose.orientation = quaternion_from_yaw(yaw)
            message.poses.append(pose)
        self._paths.publish(message)

    def show_costmap(self, navigator: Navigator) -> None:
        """Publish all that was seen."""
        grid = occupancy(navigator.costmap.grid, factor=2)
        if grid.values.size:
            self._costmaps.publish(self._grid(grid))

    def show_local_costmap(
        self, navigator: Navigator, state: State, inscribed_radius: float
    ) -> None:
        """Publish the costs around the robot, if anybody listens."""
        if self._local_costmaps.get_subscription_count():
            view = navigator.config.view
            field = navigator.costmap.distance_field(state.x, state.y, view)
            self._local_costmaps.publish(self._grid(cost(field, inscribed_radius)))

    def _grid(self, grid: Grid) -> OccupancyGrid:
        message = OccupancyGrid(header=self._header())
        message.info.map_load_time = message.header.stamp
        message.info.resolution = grid.resolution
        message.info.height, message.info.width = grid.values.shape
        message.info.origin.position.x, message.info.origin.position.y = grid.origin
        message.info.origin.orientation.w = 1.0
        message.data = grid.values.ravel()
        return message


def cost(field: Grid, inscribed_radius: float) -> Grid:
    """Return the cost of having the robot's centre in a cell, as nav2's costmaps publish it.

    Args:
        field: Distance to the nearest obstacle, m.
        inscribed_radius: Of the robot, m.

    Returns:
        int8: 100 in an obstacle, 99 where the robot touches one at any heading, and from 98 on
        falling exponentially with the distance; 0 far from all obstacles.
    """
    beyond = np.maximum(field.values - inscribed_radius, 0.0)
    values = np.rint(98 * np.exp(-_COST_DECAY * beyond))
    values[field.values < inscribed_radius] = 99
    values[field.values <= 0] = 100
    return Grid(values.astype(np.int8), field.origin, field.resolution)
