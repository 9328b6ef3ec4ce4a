"""Publishers of managed nodes."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.rclpy.lifecycle.managed_entity import SimpleManagedEntity
from edge_robot.standalone.rclpy.publisher import Publisher


class LifecyclePublisher(SimpleManagedEntity, Publisher):
    """A publisher that is silent while its node is not active."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        SimpleManagedEntity.__init__(self)
        Publisher.__init__(self, *args, **kwargs)

    @SimpleManagedEntity.when_enabled
    def publish(self, msg: Any) -> None:
        """Send a message if the publisher is active; errors as for `Publisher.publish`."""
        Publisher.publish(self, msg)
