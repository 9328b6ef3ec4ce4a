"""Local planner: anytime model predictive path integral control."""

from edge_robot.planning.mppi.config import MppiConfig
from edge_robot.planning.mppi.guidance import Guidance
from edge_robot.planning.mppi.planner import LocalPlan, Mppi

__all__ = ["Guidance", "LocalPlan", "Mppi", "MppiConfig"]
