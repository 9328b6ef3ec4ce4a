"""Publishes transforms on `/tf`."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.qos import QoSProfile

TFMessage = message_class("tf2_msgs/msg/TFMessage")


class TransformBroadcaster:
    """Publishes transforms that change.

    Args:
        node: Publishes.
        qos: Contract; keep-last 100 if not given.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        self.pub_tf = node.create_publisher(TFMessage, "/tf", qos or QoSProfile(depth=100))

    def sendTransform(self, transform: Any) -> None:
        """Publish one `geometry_msgs.msg.TransformStamped` or several."""
        transforms = list(transform) if isinstance(transform, (list, tuple)) else [transform]
        self.pub_tf.publish(TFMessage(transforms=transforms))
