"""Virtual time below rclpy: nodes run in one process, deterministic and faster than real time."""

from edge_robot.standalone.virtual.process import Process
from edge_robot.standalone.virtual.world import VirtualWorld

__all__ = ["Process", "VirtualWorld"]
