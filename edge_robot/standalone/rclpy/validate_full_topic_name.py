"""The rule for fully qualified topic and service names."""

from __future__ import annotations

import re
from typing import Literal

from edge_robot.standalone.rclpy.exceptions import (
    InvalidServiceNameException,
    InvalidTopicNameException,
)

MAX_LENGTH = 247
"""DDS allows 256 characters, and the longest prefix and suffix that ROS 2 adds take some."""


def full_name_error(name: str, noun: str = "topic name") -> tuple[str, int] | None:
    """Return what is wrong with a fully qualified name, and where; None if nothing is.

    Args:
        name: The name.
        noun: What it names, for the message.
    """
    if not name:
        return f"{noun} must not be empty", 0
    if not name.startswith("/"):
        return f"{noun} must be absolute, it must lead with a '/'", 0
    if name.endswith("/"):
        return f"{noun} must not end with a '/'", len(name) - 1
    stray = re.search(r"[^A-Za-z0-9_/]", name)
    if stray:
        return (
            f"{noun} must not contain characters other than alphanumerics, '_', or '/'",
            stray.start(),
        )
    fault = re.search(r"/(/|[0-9])", name)
    if fault and fault[1] == "/":
        return f"{noun} must not contain repeated '/'", fault.start(1)
    if fault:
        return f"{noun} must not have a token that starts with a number", fault.start(1)
    return None


def validate_full_topic_name(name: str, *, is_service: bool = False) -> Literal[True]:
    """Accept tokens of letters, digits and underscores that each follow a slash.

    Args:
        name: Fully qualified name.
        is_service: Whether errors speak of a service.

    Raises:
        InvalidTopicNameException: the name is malformed.
        InvalidServiceNameException: the name is malformed, and is a service's.
    """
    error = full_name_error(name)
    if error is None and len(name) > MAX_LENGTH:
        error = f"topic length should not exceed '{MAX_LENGTH}'", MAX_LENGTH - 1
    if error is None:
        return True
    if is_service:
        raise InvalidServiceNameException(name, *error)
    raise InvalidTopicNameException(name, *error)
