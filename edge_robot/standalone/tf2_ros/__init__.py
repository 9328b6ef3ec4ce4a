"""Transforms between frames, as ROS 2's tf2_ros."""
