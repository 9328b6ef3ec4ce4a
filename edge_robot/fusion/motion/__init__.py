"""How tracked objects move: one module per motion model, and the filter that weighs several."""

from edge_robot.fusion.motion.imm import MotionModel

__all__ = ["MotionModel"]
