"""Settings of the local planner."""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class MppiConfig(Settings):
    """How the planner samples and what it minds. Costs are in metres of progress."""

    samples: int = setting(400, "noisy sequences per iteration, besides the fixed fan")
    iterations: int = setting(1, "refinements per call; later ones only within the budget")
    steps: int = setting(30, "points of a trajectory after the first")
    dt: float = setting(0.1, "time between points, s")
    noise_v: float = setting(0.35, "standard deviation of forward velocity, m/s")
    noise_w: float = setting(0.6, "standard deviation of yaw rate, rad/s")
    noise_lateral: float = setting(0.3, "of sideways velocity, omnidirectional only, m/s")
    temperature: float = setting(0.08, "cost at which a sequence's weight has fallen to 1/e")
    obstacle_contact: float = setting(0.03, "distance from obstacles that counts as touching, m")
    obstacle_margin: float = setting(0.35, "distance from obstacles below which it costs, m")
    object_contact: float = setting(0.15, "distance from moving objects that counts as meeting, m")
    object_margin: float = setting(0.5, "distance to keep from moving objects, m")
    object_whim: float = setting(0.4, "how much they may change their velocity at once (1σ), m/s")
    object_headway: float = setting(0.8, "time it should take to meet them: limits speed near, s")
    object_sigmas: float = setting(1.0, "of where they will be, added to object_margin")
    object_certain: float = setting(1.5, "up to when a predicted meeting counts as one, s")
    cost_obstacle: float = setting(6.0, "of a whole trajectory at obstacle_contact")
    cost_object: float = setting(12.0, "of a whole trajectory at object_contact")
    cost_object_speed: float = setting(6.0, "per m/s above what object_headway allows")
    cost_meeting: float = setting(100.0, "of a meeting, and again per metre of its depth")
    cost_path: float = setting(0.35, "per metre off the path")
    cost_reverse: float = setting(1.0, "per m/s backwards")
    cost_turn: float = setting(0.04, "per squared rad/s of turning")
    cost_smooth: float = setting(0.05, "per squared change of velocity between points")
    cost_overspeed: float = setting(2.0, "per m/s above what goal_decel allows")
    goal_decel: float = setting(0.9, "deceleration planned towards the goal, m/s²")
