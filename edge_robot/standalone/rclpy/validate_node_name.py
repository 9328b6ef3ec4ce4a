"""The rule for node names."""

from __future__ import annotations

import re
from typing import Literal

from edge_robot.standalone.rclpy.exceptions import InvalidNodeNameException

MAX_LENGTH = 255


def node_name_error(name: str) -> tuple[str, int] | None:
    """Return what is wrong with a node name, and where; None if nothing is."""
    if not name:
        return "node name must not be empty", 0
    stray = re.search(r"[^A-Za-z0-9_]", name)
    if stray:
        return (
            "node name must not contain characters other than alphanumerics or '_'",
            stray.start(),
        )
    if name[0].isdigit():
        return "node name must not start with a number", 0
    if len(name) > MAX_LENGTH:
        return f"node name length should not exceed '{MAX_LENGTH}'", MAX_LENGTH - 1
    return None


def validate_node_name(node_name: str) -> Literal[True]:
    """Accept letters, digits and underscores, not starting with a digit.

    Raises:
        InvalidNodeNameException: otherwise.
    """
    error = node_name_error(node_name)
    if error:
        raise InvalidNodeNameException(node_name, *error)
    return True
