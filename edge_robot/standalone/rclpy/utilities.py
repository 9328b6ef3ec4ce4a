"""Small functions used everywhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.context import Context, get_default_context

__all__ = [
    "get_available_rmw_implementations",
    "get_default_context",
    "get_rmw_implementation_identifier",
    "ok",
    "remove_ros_args",
    "shutdown",
    "timeout_sec_to_nsec",
    "try_shutdown",
]


def ok(*, context: Context | None = None) -> bool:
    """Return whether a context is in use."""
    return (context or get_default_context()).ok()


def shutdown(*, context: Context | None = None) -> None:
    """End a context; what is spinning in it stops.

    Raises:
        RuntimeError: the context is not in use.
    """
    (context or get_default_context(shutting_down=True)).shutdown()


def try_shutdown(*, context: Context | None = None) -> None:
    """Shut a context down unless it is already."""
    (context or get_default_context(shutting_down=True)).try_shutdown()


def remove_ros_args(args: Sequence[str] | None = None) -> list[str]:
    """Return what of a command line is not for ROS: all but `--ros-args …` up to `--`.

    Args:
        args: Command line; `sys.argv` if not given.
    """
    rest: list[str] = []
    for_ros = False
    for argument in sys.argv if args is None else args:
        if argument == "--ros-args":
            for_ros = True
        elif not for_ros:
            rest.append(argument)
        elif argument == "--":
            for_ros = False
    return rest


def timeout_sec_to_nsec(timeout_sec: float | None) -> int:
    """Return a time-out in ns; -1 for one that is for ever (None or negative)."""
    return -1 if timeout_sec is None or timeout_sec < 0 else int(timeout_sec * S_TO_NS)


def get_rmw_implementation_identifier() -> str:
    """Return what carries the messages, as it looks on the wire."""
    return "rmw_cyclonedds_cpp"


def get_available_rmw_implementations() -> set[str]:
    """Return what could carry the messages."""
    return {get_rmw_implementation_identifier()}
