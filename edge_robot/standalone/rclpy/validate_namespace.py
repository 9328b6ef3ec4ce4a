"""The rule for namespaces."""

from __future__ import annotations

from typing import Literal

from edge_robot.standalone.rclpy.exceptions import InvalidNamespaceException
from edge_robot.standalone.rclpy.validate_full_topic_name import full_name_error

MAX_LENGTH = 245


def namespace_error(namespace: str) -> tuple[str, int] | None:
    """Return what is wrong with a namespace, and where; None if nothing is."""
    if namespace == "/":
        return None
    error = full_name_error(namespace, "namespace")
    if error is None and len(namespace) > MAX_LENGTH:
        error = f"namespace should not exceed '{MAX_LENGTH}'", MAX_LENGTH - 1
    return error


def validate_namespace(namespace: str) -> Literal[True]:
    """Accept `/`, or tokens that each follow a slash.

    Raises:
        InvalidNamespaceException: otherwise.
    """
    error = namespace_error(namespace)
    if error:
        raise InvalidNamespaceException(namespace, *error)
    return True
