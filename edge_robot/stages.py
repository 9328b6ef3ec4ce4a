"""The table of stages: each with its time budget, from camera capture to the wheels.

Budgets are 95th percentiles of wall-clock time on two cores; their sum is the promise
"camera to `/cmd_vel` within 100 ms".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Attributes:
        name: Stage name, as in `edge_robot/msg/DeadlineStatus`.
        node: The node that runs it, or that measures it.
        budget: Wall-clock time for one run, s.
        about: From which input to which output.
    """

    name: str
    node: str
    budget: float
    about: str


CAMERA_PERCEPTION = Stage("camera_perception", "camera_perception", 0.025, "image → detections")
LIDAR_PERCEPTION = Stage("lidar_perception", "lidar_perception", 0.025, "sweep → boxes")
FUSION = Stage("fusion", "fusion", 0.010, "detections → tracks")
PLANNING = Stage("planning", "planner", 0.025, "tracks and scan → trajectory")
CONTROL = Stage("control", "controller", 0.005, "trajectory → command")

STAGES: tuple[Stage, ...] = (CAMERA_PERCEPTION, LIDAR_PERCEPTION, FUSION, PLANNING, CONTROL)

TRANSPORT_BUDGET = 0.010
"""Wall-clock time all hops together may take, s."""

CAMERA_TO_COMMAND = Stage("camera_to_command", "mode_manager", 0.100, "capture → `/cmd_vel`")
"""The promise over all stages; camera and lidar run in parallel."""

CAMERA_TO_COMMAND_BUDGET = CAMERA_TO_COMMAND.budget
"""Wall-clock time from capture to the command that used it, s."""


def reserve_after(stage: Stage) -> float:
    """Return what the stages behind `stage`, and half of the transport, may still need, s."""
    behind = STAGES[STAGES.index(stage) + 1 :]
    # Camera and lidar run side by side: neither waits for the other.
    chain = [s for s in behind if s not in (CAMERA_PERCEPTION, LIDAR_PERCEPTION)]
    return sum(s.budget for s in chain) + 0.5 * TRANSPORT_BUDGET
