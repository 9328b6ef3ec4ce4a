"""Whether something may be a parameter's name."""

from __future__ import annotations

from edge_robot.standalone.rclpy.exceptions import InvalidParameterException


def validate_parameter_name(name: str) -> bool:
    """Return True for a valid name: ROS 2 takes any that is not empty.

    Raises:
        InvalidParameterException: it is empty.
    """
    if not name:
        raise InvalidParameterException(name)
    return True
