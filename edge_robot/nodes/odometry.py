"""How the robot moved between two moments, from `ODOM`."""

from __future__ import annotations

import math

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.serialization import deserialize_message

from edge_robot import topics
from edge_robot.nodes.conversions import yaw_of
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.unhurried import unhurried
from edge_robot.perception.camera_health import Motion

_SILENCE = 1.0  # s; odometry older than that says nothing of the present


class MotionMeter:
    """Tells the motion from one question to the next.

    Samples come 50 times a second and are asked for ten times: they are kept as bytes, and only the
    newest is read.

    Args:
        node: The node that listens.
    """

    def __init__(self, node: Node) -> None:
        self._newest: tuple[float, bytes] | None = None
        self._pose: tuple[float, float, float] | None = None
        newest_only = qos_profile(topics.ODOM)
        newest_only.depth = 1
        odom = topics.ODOM.name
        unhurried(node.create_subscription(Odometry, odom, self._keep, newest_only, raw=True))

    def _keep(self, data: bytes) -> None:
        self._newest = steady_seconds(), data

    def since_last(self) -> Motion | None:
        """Return the motion since the last call; None where there is no odometry, or was none."""
        before, self._pose = self._pose, self._read()
        if before is None or self._pose is None:
            return None
        x, y, yaw = (now - then for now, then in zip(self._pose, before, strict=True))
        motion = Motion(math.hypot(x, y), abs(math.remainder(yaw, math.tau)))
        return motion if math.isfinite(motion.distance + motion.angle) else None

    def _read(self) -> tuple[float, float, float] | None:
        if self._newest is None or steady_seconds() - self._newest[0] > _SILENCE:
            return None
        pose = deserialize_message(self._newest[1], Odometry).pose.pose
        return pose.position.x, pose.position.y, yaw_of(pose.orientation)
