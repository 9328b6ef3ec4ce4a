"""Goals as ROS messages say them, in the frame that everything is planned in."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.time import Time
from tf2_ros import Buffer, TransformException

from edge_robot.nodes.conversions import is_rotation, pose_matrix, yaw_of
from edge_robot.planning.drive import Failure, Goal


class GoalError(Exception):
    """A goal that means nothing; the message says why.

    Attributes:
        failure: The same as a number.
    """

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


def read_goal(message: PoseStamped, frame: str, buffer: Buffer) -> Goal:
    """Return a goal in `frame`.

    Args:
        message: In any frame; one without a name is taken for `frame`.
        frame: The frame that is planned in.
        buffer: Where the transforms are.

    Raises:
        GoalError: it is not finite, its orientation is no rotation, or nobody knows its frame.
    """
    p, q = message.pose.position, message.pose.orientation
    if not all(map(math.isfinite, (p.x, p.y, p.z))):
        raise GoalError(Failure.INVALID_GOAL, "its position is not finite")
    if not is_rotation(q):
        raise GoalError(
            Failure.INVALID_GOAL, "its orientation is no rotation: a length other than 1"
        )
    if message.header.frame_id in ("", frame):
        return Goal(p.x, p.y, yaw_of(q))
    try:
        found = buffer.lookup_transform(frame, message.header.frame_id, Time())
    except TransformException as error:
        raise GoalError(Failure.UNKNOWN_FRAME, str(error)) from error
    matrix = pose_matrix(found.transform)
    x, y = (matrix @ np.array((p.x, p.y, p.z, 1.0)))[:2].tolist()
    return Goal(x, y, yaw_of(q) + math.atan2(matrix[1, 0], matrix[0, 0]))
