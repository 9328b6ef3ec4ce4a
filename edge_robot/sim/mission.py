"""The demo's conductor: when to send the goal, when to cut the link, when the run is over.

Plain decisions on plain observations; `edge_robot/nodes/mission.py` gives it eyes and hands. The
conductor stands outside the stack: it may know the truth, and tells the stack nothing but the goal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from edge_robot.settings import Settings, setting


class Phase(Enum):
    """Where the run stands."""

    PREPARING = "waiting for the robot"
    DRIVING = "driving"
    RECOVERING = "at the goal, waiting for the link"
    OVER = "over"


@dataclass(frozen=True)
class MissionSettings(Settings):
    """How the run is conducted."""

    cut_at: float = setting(
        0.35, "share of the route driven when the link is cut; above 1: never", ge=0.0, le=100.0
    )
    cut_seconds: float = setting(10.0, "how long the link stays cut, s", ge=0.0, le=3600.0)
    start_timeout: float = setting(
        90.0, "longest wait until the robot is ready, s", ge=0.1, le=3600.0
    )
    nominal_patience: float = setting(
        20.0,
        "how long a robot that offers to drive at reduced speed is asked to get well first, s",
        ge=0.0,
        le=3600.0,
    )
    drive_timeout: float = setting(180.0, "longest drive, s", ge=0.1)
    recovery_timeout: float = setting(
        20.0, "longest wait at the goal for the link, s", ge=0.0, le=3600.0
    )
    goal_tolerance: float = setting(
        0.5, "true distance at which the goal counts as reached, m", ge=0.01, le=10.0
    )


@dataclass(frozen=True)
class Announce:
    """Publish an event of the time line."""

    name: str
    detail: str


@dataclass(frozen=True)
class SendGoal:
    """Publish the goal."""


@dataclass(frozen=True)
class SetLink:
    """Cut or restore the link to the backend."""

    up: bool


Action = Announce | SendGoal | SetLink


@dataclass
class Observations:
    """The newest of everything the conductor sees; None before the first message.

    Attributes:
        nominal: Whether the robot's mode is that of full ability.
        reduced: Whether its mode lets it drive, at reduced speed.
        mode: The mode and its cause, for people.
        link_up: Whether the robot says that its backend answers.
        answers: Answers of the backend so far.
        planned: Whether the robot has planned a trajectory.
        odometer: Distance driven by odometry, m.
        true_position: Where the robot is, m, map frame.
        speed: How fast it says it drives, m/s.
        collisions: The referee's count.
        collided_with: What was touched.
        real_time_factor: Simulated over wall time.
    """

    nominal: bool = False
    reduced: bool = False
    mode: str | None = None
    link_up: bool | None = None
    answers: int = 0
    planned: bool = False
    odometer: float = 0.0
    true_position: tuple[float, float] | None = None
    speed: float | None = None
    collisions: int = 0
    collided_with: list[str] = field(default_factory=list)
    real_time_factor: float | None = None


class Mission:
    """Conducts one run.

    Args:
        goal: Where the robot shall arrive, m, map frame.
        route_length: Length of a way there, m.
        settings: How the run is conducted.
        now: Monotonic time, s.

    Attributes:
        seen: To be kept up to date by the caller.
        phase: Where the run stands.
    """

    GOAL_PERIOD = 1.0
    """Time between two publications of the goal until the robot has a plan, s."""

    def __init__(
        self,
        goal: tuple[float, float],
        route_length: float,
        settings: MissionSettings,
        now: float,
    ) -> None:
        self.seen = Observations()
        self.phase = Phase.PREPARING
        self._goal = goal
        self._route_length = route_length
        self._settings = settings
        self._entered = now
        self._unfit_until = now
        self._goal_sent: float | None = None
        self._cut: float | None = None
        self._restored: float | None = None
        self._answers_when_restored = 0
        self._collisions = 0
        self._reached = False

    @property
    def distance(self) -> float | None:
        """True straight distance to the goal, m."""
        return self.seen.true_position and math.dist(self.seen.true_position, self._goal)

    def is_late(self, now: float) -> bool:
        """Return whether the robot has not become ready in time; the caller knows what lacks."""
        waited = now - self._entered
        return self.phase is Phase.PREPARING and waited > self._settings.start_timeout

    def facts(self) -> dict[str, object]:
        """What the referee says of the run."""
        return {
            "reached_goal": self._reached,
            "collisions": self.seen.collisions,
            "collided_with": self.seen.collided_with,
            "distance_to_goal": self.distance,
            "driven": self.seen.odometer,
            "route_length": self._route_length,
            "last_mode": self.seen.mode,
        }

    def step(self, now: float) -> list[Action]:
        """Return what is to be done now, in order.

        Args:
            now: Monotonic time, s.
        """
        actions: list[Action] = []
        if self.phase is Phase.PREPARING:
            actions += self._prepare(now)
        if self.phase is Phase.DRIVING:
            actions += self._drive(now)
        if self.phase in (Phase.DRIVING, Phase.RECOVERING):
            actions += self._count_collisions()
            actions += self._conduct_link(now)
        if self.phase is Phase.RECOVERING:
            actions += self._recover(now)
        return actions

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._entered = phase, now

    def _prepare(self, now: float) -> list[Action]:
        if not (self.seen.nominal or self.seen.reduced):
            self._unfit_until = now
        fit = self.seen.nominal or now - self._unfit_until > self._settings.nominal_patience
        if fit and self.seen.link_up and self.distance is not None:
            self._enter(Phase.DRIVING, now)
            x, y = self._goal
            return [Announce("goal_sent", f"({x:.1f}, {y:.1f}), {self._route_length:.0f} m to go")]
        return []

    def _drive(self, now: float) -> list[Action]:
        assert self.distance is not None
        if self.distance < self._settings.goal_tolerance and (self.seen.speed or 0.0) < 0.05:
            self._reached = True
            self._enter(Phase.RECOVERING, now)
            return [Announce("goal_reached", f"{self.distance:.2f} m from it")]
        if now - self._entered > self._settings.drive_timeout:
            self._enter(Phase.OVER, now)
            return [Announce("timeout", f"still {self.distance:.1f} m from the goal")]
        due = self._goal_sent is None or now - self._goal_sent > self.GOAL_PERIOD
        if due and not self.seen.planned:
            # Again until there is a plan: the planner may not have been matched the first time.
            self._goal_sent = now
            return [SendGoal()]
        return []

    def _count_collisions(self) -> list[Action]:
        if self.seen.collisions <= self._collisions:
            return []
        self._collisions = self.seen.collisions
        touched = self.seen.collided_with[-1] if self.seen.collided_with else "something"
        return [Announce("collision", touched)]

    def _conduct_link(self, now: float) -> list[Action]:
        if self._cut is None:
            driven = self.seen.odometer / self._route_length
            due = self.phase is Phase.DRIVING and driven >= self._settings.cut_at
            if not (due and self.seen.link_up):  # how fast a loss is noticed shows on a good link
                return []
            self._cut = now
            share = f"{100 * driven:.0f} % of the way"
            # Announced first: what is measured from it may only come out too long.
            return [Announce("link_cut", share), SetLink(up=False)]
        if self._restored is None and now - self._cut > self._settings.cut_seconds:
            self._restored, self._answers_when_restored = now, self.seen.answers
            return [Announce("link_restored", f"after {now - self._cut:.1f} s"), SetLink(up=True)]
        return []

    def _recover(self, now: float) -> list[Action]:
        never_cut = self._cut is None
        answered = self.seen.answers > self._answers_when_restored
        recovered = self._restored is not None and bool(self.seen.link_up) and answered
        if never_cut or recovered:
            self._enter(Phase.OVER, now)
        elif now - max(self._entered, self._restored or now) > self._settings.recovery_timeout:
            self._enter(Phase.OVER, now)
            return [Announce("timeout", "the link did not recover")]
        return []
