"""Small functions used everywhere."""

from __future__ import annotations

from edge_robot.standalone.rclpy.context import Context, get_default_context

__all__ = ["get_default_context", "get_rmw_implementation_identifier", "ok", "try_shutdown"]


def ok(*, context: Context | None = None) -> bool:
    """Return whether a context is in use."""
    return (context or get_default_context()).ok()


def try_shutdown(*, context: Context | None = None) -> None:
    """Shut a context down unless it is already."""
    (context or get_default_context()).try_shutdown()


def get_rmw_implementation_identifier() -> str:
    """Return what carries the messages."""
    return "edge_robot_standalone_cyclonedds"
