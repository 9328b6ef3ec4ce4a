"""The name under which programs catch the exceptions that rclpy defines in C++."""

from __future__ import annotations

from edge_robot.standalone.rclpy import _rclpy_pybind11 as rclpy_implementation

__all__ = ["rclpy_implementation"]
