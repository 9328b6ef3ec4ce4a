"""Settings of the local planner."""

from __future__ import annotations

from dataclasses import dataclass

from edge_robot.errors import UserError
from edge_robot.settings import Settings, setting


@dataclass(frozen=True)
class MppiConfig(Settings):
    """How the planner samples and what it minds. Costs are in metres of progress.

    Raises:
        UserError: a margin is not wider than what counts as contact.
    """

    samples: int = setting(
        400, "noisy sequences per iteration, besides the fixed fan", ge=1, le=100000
    )
    iterations: int = setting(
        1, "refinements per call; later ones only within the budget", ge=1, le=20
    )
    steps: int = setting(30, "points of a trajectory after the first", ge=2, le=200)
    dt: float = setting(0.1, "time between points, s", ge=0.01, le=1.0)
    noise_v: float = setting(
        0.35, "standard deviation of forward velocity, m/s", ge=0.0, le=10.0, live=True
    )
    noise_w: float = setting(
        0.6, "standard deviation of yaw rate, rad/s", ge=0.0, le=20.0, live=True
    )
    noise_lateral: float = setting(
        0.3, "of sideways velocity, omnidirectional only, m/s", ge=0.0, le=10.0, live=True
    )
    temperature: float = setting(
        0.08, "cost at which a sequence's weight has fallen to 1/e", ge=0.0001, le=100.0, live=True
    )
    obstacle_contact: float = setting(
        0.03, "distance from obstacles that counts as touching, m", ge=0.0, le=5.0, live=True
    )
    obstacle_margin: float = setting(
        0.35, "distance from obstacles below which it costs, m", ge=0.0, le=10.0, live=True
    )
    object_contact: float = setting(
        0.15, "distance from moving objects that counts as meeting, m", ge=0.0, le=5.0, live=True
    )
    object_margin: float = setting(
        0.5, "distance to keep from moving objects, m", ge=0.0, le=10.0, live=True
    )
    object_whim: float = setting(
        0.4, "how much they may change their velocity at once (1σ), m/s", ge=0.0, le=10.0, live=True
    )
    object_headway: float = setting(
        0.8, "time it should take to meet them: limits speed near, s", ge=0.0, le=10.0, live=True
    )
    object_sigmas: float = setting(
        1.0, "of where they will be, added to object_margin", ge=0.0, le=10.0, live=True
    )
    object_certain: float = setting(
        1.5, "up to when a predicted meeting counts as one, s", ge=0.0, le=60.0, live=True
    )
    cost_obstacle: float = setting(
        6.0, "of a whole trajectory at obstacle_contact", ge=0.0, le=1000000.0, live=True
    )
    cost_object: float = setting(
        12.0, "of a whole trajectory at object_contact", ge=0.0, le=1000000.0, live=True
    )
    cost_object_speed: float = setting(
        6.0, "per m/s above what object_headway allows", ge=0.0, le=1000000.0, live=True
    )
    cost_meeting: float = setting(
        100.0, "of a meeting, and again per metre of its depth", ge=0.0, le=1000000.0, live=True
    )
    cost_path: float = setting(0.35, "per metre off the path", ge=0.0, le=1000000.0, live=True)
    cost_reverse: float = setting(1.0, "per m/s backwards", ge=0.0, le=1000000.0, live=True)
    cost_turn: float = setting(
        0.04, "per squared rad/s of turning", ge=0.0, le=1000000.0, live=True
    )
    cost_smooth: float = setting(
        0.05, "per squared change of velocity between points", ge=0.0, le=1000000.0, live=True
    )
    cost_overspeed: float = setting(
        2.0, "per m/s above what goal_decel allows", ge=0.0, le=1000000.0, live=True
    )
    goal_decel: float = setting(
        0.9, "deceleration planned towards the goal, m/s²", ge=0.01, le=20.0, live=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for what in ("obstacle", "object"):
            contact, margin = getattr(self, f"{what}_contact"), getattr(self, f"{what}_margin")
            if not contact < margin:
                raise UserError(
                    f"{what}_margin is {margin} m: it has to be above {what}_contact, {contact} m"
                )
