"""edge_robot: a ROS 2 robotics stack with tiered perception.

Where ROS 2 is not installed, importing this package makes `rclpy`, `tf2_ros` and the message
packages importable from `edge_robot.standalone`; where it is installed, that is used only if
EDGE_ROBOT_RUNTIME asks for it.
"""

from edge_robot.standalone import finder

__version__ = "0.1.0"

finder.install()
