"""Runs launch XML files without ROS 2: the same files that `ros2 launch` runs.

`load` reads a file into a list of processes, `LaunchService` runs them until they end or are told
to stop. The subset of launch XML is the tables in `loader` and `substitutions`; what is not in
them is refused with the file and line.
"""

from edge_robot.standalone.launch.description import Argument, LaunchDescription, Process
from edge_robot.standalone.launch.loader import arguments_of, find_launch_file, load
from edge_robot.standalone.launch.output import Console, Output
from edge_robot.standalone.launch.service import LaunchService

__all__ = [
    "Argument",
    "Console",
    "LaunchDescription",
    "LaunchService",
    "Output",
    "Process",
    "arguments_of",
    "find_launch_file",
    "load",
]
