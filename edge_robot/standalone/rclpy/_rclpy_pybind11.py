"""The public part of rclpy's C++ module: exceptions, under the names that programs catch."""

from __future__ import annotations

from edge_robot.standalone.rclpy.exceptions import (
    InvalidHandle,
    NodeNameNonExistentError,
    RCLError,
    RCLInvalidROSArgsError,
    UnknownROSArgsError,
    UnsupportedEventTypeError,
)

__all__ = [
    "InvalidHandle",
    "NodeNameNonExistentError",
    "RCLError",
    "RCLInvalidROSArgsError",
    "UnknownROSArgsError",
    "UnsupportedEventTypeError",
]
