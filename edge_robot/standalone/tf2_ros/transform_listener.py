"""Fills a buffer from `/tf` and `/tf_static`."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.callback_groups import ReentrantCallbackGroup
from edge_robot.standalone.rclpy.executors import (
    ExternalShutdownException,
    SingleThreadedExecutor,
)
from edge_robot.standalone.rclpy.node import Node
from edge_robot.standalone.rclpy.qos import DurabilityPolicy, QoSProfile
from edge_robot.standalone.tf2_ros.buffer import Buffer
from edge_robot.standalone.tf2_ros.exceptions import InvalidArgumentException

TFMessage = message_class("tf2_msgs/msg/TFMessage")

DYNAMIC_QOS = QoSProfile(depth=100)
STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Fills a buffer while its node spins.

    Args:
        buffer: What to fill.
        node: Subscribes.
        spin_thread: Whether to spin the node in a thread of its own.
        qos: Contract for `/tf`.
        static_qos: Contract for `/tf_static`.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        self.buffer = buffer
        self.node = node
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage, "/tf", self.callback, qos or DYNAMIC_QOS, callback_group=self.group
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            "/tf_static",
            self.static_callback,
            static_qos or STATIC_QOS,
            callback_group=self.group,
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.executor.add_node(node)
            self.dedicated_listener_thread = threading.Thread(target=self._spin, daemon=True)
            self.dedicated_listener_thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def callback(self, data: Any) -> None:
        """Remember the transforms of a message of `/tf`."""
        self._store(data, static=False)

    def static_callback(self, data: Any) -> None:
        """Remember the transforms of a message of `/tf_static`."""
        self._store(data, static=True)

    def _store(self, data: Any, *, static: bool) -> None:
        store = self.buffer.set_transform_static if static else self.buffer.set_transform
        for transform in data.transforms:
            try:
                store(transform, "default_authority")
            except InvalidArgumentException as error:
                self.node.get_logger().warning(str(error), throttle_duration_sec=1.0)

    def __del__(self) -> None:
        self.unregister()

    def unregister(self) -> None:
        """Listen no more."""
        executor = getattr(self, "executor", None)
        if executor is not None:
            executor.shutdown()
            if threading.current_thread() is not self.dedicated_listener_thread:
                self.dedicated_listener_thread.join()
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)
