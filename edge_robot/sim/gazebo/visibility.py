"""Which sensor is shown what: drawing in software, every shape that is left out counts."""

from __future__ import annotations

from edge_robot.sim.robot import SCAN_MOUNT

ALL = 0x0FFFFFFF
ROBOT = 0x4
"""The robot, which its own lidars do not see; 1 and 2 are Gazebo's own."""
SCANNED = 0x8
"""What the scanner's plane can meet, and nothing else does it see."""

_MARGIN = 0.15  # m by which the plane may be off, far away, when the robot nods


def flags(bottom: float, top: float) -> int:
    """Return the flags of a thing that reaches from one height to another, m."""
    height = SCAN_MOUNT.position[2]
    in_plane = bottom - _MARGIN < height < top + _MARGIN
    return ALL & ~ROBOT if in_plane else ALL & ~ROBOT & ~SCANNED
