"""The map made beforehand, of a file or of `MAP`, laid under the costmap where TF says it is."""

from __future__ import annotations

from math import atan2, hypot, remainder, tau

import numpy as np
from nav_msgs.msg import OccupancyGrid
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.nodes.conversions import is_rotation, pose_matrix, quaternion_from_yaw, yaw_of
from edge_robot.nodes.qos import qos_profile
from edge_robot.planning.costmap import Costmap
from edge_robot.planning.static_map import StaticMap

_MAP_FRAME = "map"
_PERIOD = 1.0  # s
_TURNED = 0.01  # rad; a map turned less stays where it is


class StaticMapLayer:
    """Keeps the static map under the costmap; one of a file it also publishes.

    Args:
        node: Node it belongs to.
        buffer: Where the transforms are.
        frame: The planning frame.
        costmap: What is planned on.
        given: A file's map; None for what `MAP` says.
    """

    def __init__(
        self, node: Node, buffer: Buffer, frame: str, costmap: Costmap, given: StaticMap | None
    ) -> None:
        self._node = node
        self._buffer = buffer
        self._frame = frame
        self._costmap = costmap
        self._map = given
        self._map_frame = _MAP_FRAME
        self._laid: tuple[float, float, float] | None = None
        qos = qos_profile(topics.MAP)
        if given is not None:
            self._publisher = node.create_publisher(OccupancyGrid, topics.MAP.name, qos)
            self._publisher.publish(self._message(given))
        else:
            node.create_subscription(OccupancyGrid, topics.MAP.name, self._on_map, qos)
        node.create_timer(_PERIOD, self._lay, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_map(self, message: OccupancyGrid) -> None:
        try:
            self._map = static_map(message)
        except UserError as error:
            self._node.get_logger().error(f"map refused: {error}")
            return
        self._map_frame = message.header.frame_id or _MAP_FRAME
        self._laid = None
        self._lay()

    def _lay(self) -> None:
        """Lay the map where its frame is now, if that has moved by a cell or has turned."""
        if self._map is None:
            return
        x = y = yaw = 0.0
        if self._map_frame != self._frame:
            try:
                found = self._buffer.lookup_transform(self._frame, self._map_frame, Time())
            except TransformException as error:
                self._node.get_logger().warning(
                    f"the map lies nowhere yet: {error}", throttle_duration_sec=5.0
                )
                return
            matrix = pose_matrix(found.transform)
            x, y, yaw = matrix[0, 3], matrix[1, 3], atan2(matrix[1, 0], matrix[0, 0])
        if self._laid is not None:
            was_x, was_y, was_yaw = self._laid
            moved = hypot(x - was_x, y - was_y) > self._costmap.resolution
            if not moved and abs(remainder(yaw - was_yaw, tau)) < _TURNED:
                return
        self._laid = (x, y, yaw)
        self._costmap.set_static(self._map, x, y, yaw)

    def _message(self, static: StaticMap) -> OccupancyGrid:
        message = OccupancyGrid()
        message.header.stamp = message.info.map_load_time = self._node.get_clock().now().to_msg()
        message.header.frame_id = _MAP_FRAME
        message.info.resolution = static.resolution
        message.info.height, message.info.width = static.occupancy.shape
        place = message.info.origin
        place.position.x, place.position.y, yaw = static.origin
        place.orientation = quaternion_from_yaw(yaw)
        message.data = static.occupancy.ravel()
        return message


def static_map(message: OccupancyGrid) -> StaticMap:
    """Return a map as it came in a message.

    Raises:
        UserError: it contradicts itself, or its size, resolution or place is absurd.
    """
    info, place = message.info, message.info.origin
    if info.width * info.height != len(message.data):
        raise UserError(
            f"a map of {info.width} x {info.height} cells cannot have {len(message.data)} values"
        )
    if not is_rotation(place.orientation):
        raise UserError("the orientation of the map's origin is no rotation: a length other than 1")
    cells = np.asarray(message.data, np.int8).reshape(info.height, info.width)
    origin = (place.position.x, place.position.y, yaw_of(place.orientation))
    return StaticMap(cells, float(info.resolution), origin)
