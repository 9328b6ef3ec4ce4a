"""The old name of `rclpy.event_handler`."""

from __future__ import annotations

import warnings
from typing import Any

from edge_robot.standalone.rclpy import event_handler


def __getattr__(name: str) -> Any:
    value = getattr(event_handler, name)
    warnings.warn("'qos_event' is deprecated; import 'event_handler' instead", stacklevel=2)
    return value
