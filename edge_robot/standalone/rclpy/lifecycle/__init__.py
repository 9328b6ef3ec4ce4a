"""Managed nodes: nodes that are configured, activated and shut down from outside."""

from __future__ import annotations

from edge_robot.standalone.rclpy.lifecycle.managed_entity import (
    ManagedEntity,
    SimpleManagedEntity,
)
from edge_robot.standalone.rclpy.lifecycle.node import LifecycleNode, LifecycleNodeMixin
from edge_robot.standalone.rclpy.lifecycle.publisher import LifecyclePublisher
from edge_robot.standalone.rclpy.lifecycle.state_machine import (
    LifecycleState,
    TransitionCallbackReturn,
)

# As rclpy has it: `from rclpy.lifecycle import Node`. Not in `__all__`, where they would hide
# those of `rclpy.node` and `rclpy.publisher`.
Node = LifecycleNode
NodeMixin = LifecycleNodeMixin
State = LifecycleState
Publisher = LifecyclePublisher

__all__ = [
    "LifecycleNode",
    "LifecycleNodeMixin",
    "LifecyclePublisher",
    "LifecycleState",
    "ManagedEntity",
    "SimpleManagedEntity",
    "TransitionCallbackReturn",
]
