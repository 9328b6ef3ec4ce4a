"""Publishes transforms that hold for all times on `/tf_static`."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.qos import DurabilityPolicy, QoSProfile

TFMessage = message_class("tf2_msgs/msg/TFMessage")


class StaticTransformBroadcaster:
    """Publishes transforms once; late joiners get all that this broadcaster ever sent.

    Args:
        node: Publishes.
        qos: Contract; keep-last 1 and transient local if not given.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos or latched)
        self._sent: dict[str, Any] = {}

    def sendTransform(self, transform: Any) -> None:
        """Publish one `geometry_msgs.msg.TransformStamped` or several, with those sent before."""
        for item in transform if isinstance(transform, (list, tuple)) else [transform]:
            self._sent[item.child_frame_id] = item
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))
