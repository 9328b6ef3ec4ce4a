"""One schedule, from start to verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from rclpy.node import Node

from edge_robot.bench.campaign.arena import Arena
from edge_robot.bench.campaign.drivers import (
    Base,
    CameraPerception,
    LidarPerception,
    Operator,
    Scanner,
)
from edge_robot.bench.campaign.referee import Referee
from edge_robot.bench.campaign.schedule import END, GOAL_AT, RESPAWN, Disturbance, Fault, draw
from edge_robot.nodes.collision_monitor import CollisionMonitor
from edge_robot.nodes.command_mux import CommandMux
from edge_robot.nodes.controller import Controller
from edge_robot.nodes.fusion import Fusion
from edge_robot.nodes.mode_manager import ModeManager
from edge_robot.nodes.planner import Planner
from edge_robot.share import share_dir
from edge_robot.sim.flat.vehicle import HALF_LENGTH, HALF_WIDTH, STEP
from edge_robot.standalone.virtual import VirtualWorld

STACK: Mapping[str, tuple[Callable[[], Node], Mapping[str, float]]] = {
    "collision_monitor": (CollisionMonitor, {"": 0.0003, "/scan": 0.001}),
    "command_mux": (CommandMux, {"": 0.0003}),
    "controller": (Controller, {"": 0.0003, "_tick": 0.001}),
    "mode_manager": (ModeManager, {"": 0.0002}),
    "planner": (Planner, {"": 0.0005, "/fusion/tracks": 0.013, "/scan": 0.002}),
    "fusion": (
        Fusion,
        {
            "": 0.0003,
            "/perception/lidar/detections": 0.003,
            "/perception/camera/front/detections": 0.002,
        },
    ),
}
"""The real nodes, each with its mean run times, s: well within the stages' budgets."""

_PARAMETERS = {
    "planner": {
        "length": 2 * HALF_LENGTH,
        "width": 2 * HALF_WIDTH,
        "samples": 64,
        "steps": 20,
        "budget": 0.0,
    },
    "collision_monitor": {"length": 2 * HALF_LENGTH, "width": 2 * HALF_WIDTH},
}


@dataclass(frozen=True)
class Outcome:
    """What came of a schedule.

    Attributes:
        seed: Of all of it.
        faults: In words.
        violations: What must never happen and did.
        goal_reached: Whether the robot got there.
        distance: Way driven, m.
        closest: Least clearance, m.
        bumps: People who walked into the standing robot.
        reactions: By what was lost, times until commanded zero, s.
        modes: Modes seen, with their causes.
        digest: Fingerprint of every sample: the same seed gives the same.
        cpu_seconds: What it cost.
    """

    seed: int
    faults: list[str]
    violations: list[str]
    goal_reached: bool
    distance: float
    closest: float
    bumps: int
    reactions: dict[str, list[float]]
    modes: list[str]
    digest: str
    cpu_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def drill(
    seed: int, faults: list[Fault] | None = None, *, seconds: float = END, log: bool = False
) -> Outcome:
    """Run the schedule of a seed, or other faults in that seed's world.

    Args:
        seed: Of world, noise, run times and faults.
        faults: In place of the seed's own.
        seconds: How long it lasts.
        log: Whether the nodes' log messages are printed.
    """
    begun = time.process_time()
    faults = draw(seed) if faults is None else faults
    arena = Arena(seed)
    with VirtualWorld(seed, _arguments(log=log)) as world:
        makers = dict(STACK) | {
            "base": (partial(Base, arena), {"": 0.0003}),
            "scanner": (partial(Scanner, arena), {"": 0.002}),
            "lidar_perception": (partial(LidarPerception, arena, seed), {"tick": 0.015}),
            "camera_perception": (partial(CameraPerception, arena, seed), {"tick": 0.018}),
        }
        for name, (make, run_times) in makers.items():
            world.start(name, make, run_times)
        operator = world.start("operator", Operator).node
        assert isinstance(operator, Operator)
        processes = world.processes
        judge = partial(Referee, arena, faults, processes, operator, lambda: world.now)
        referee = world.start("referee", judge).node
        assert isinstance(referee, Referee)

        def act(deed: Callable[[], object]) -> None:
            with world.running(processes["operator"]):
                deed()

        world.network.route = Disturbance(faults, seed, lambda: world.now)
        world.at(GOAL_AT, lambda: act(operator.give_goal))
        for fault in faults:
            _arm(world, fault, makers, arena, operator, act)

        def physics() -> None:
            arena.step()
            referee.look()
            world.at(world.now + STEP, physics)

        world.at(STEP, physics)
        world.run_for(seconds)
        digest = world.network.digest()
    verdict = referee.verdict
    return Outcome(
        seed,
        [str(fault) for fault in faults],
        verdict.violations,
        arena.at_goal,
        round(arena.distance, 2),
        round(arena.closest, 3),
        arena.bumps,
        verdict.reactions,
        verdict.modes,
        digest,
        round(time.process_time() - begun, 2),
    )


def _arguments(*, log: bool) -> list[str]:
    arguments = ["--ros-args", "--disable-rosout-logs"]
    if not log:
        arguments.append("--disable-stdout-logs")
    for name in STACK:
        arguments += ["--params-file", str(share_dir() / "config" / f"{name}.yaml")]
    for name, values in _PARAMETERS.items():
        for key, value in values.items():
            arguments += ["-p", f"{name}:{key}:={value}"]
    return arguments


def _arm(
    world: VirtualWorld,
    fault: Fault,
    makers: Mapping[str, tuple[Callable[[], Node], Mapping[str, float]]],
    arena: Arena,
    operator: Operator,
    act: Callable[[Callable[[], object]], None],
) -> None:
    """Plan what a fault does to nodes, odometry and operator; traffic is `Disturbance`'s."""

    def process() -> Any:
        return world.processes[fault.target]

    def restart() -> None:
        if process().ended:
            world.start(fault.target, *makers[fault.target])

    def slow(factor: float) -> None:
        process().slowdown = factor

    def jump() -> None:
        x, y, yaw = fault.amount
        arena.shift = (arena.shift[0] + x, arena.shift[1] + y, arena.shift[2] + yaw)

    def again() -> None:
        act(operator.give_goal)

    if fault.kind in ("kill", "restart"):
        world.at(fault.start, lambda: process().kill())
        if fault.kind == "restart":
            world.at(fault.start + RESPAWN, restart)
            world.at(fault.start + RESPAWN + 1.0, again)
    elif fault.kind == "stop":
        world.at(fault.start, lambda: process().stop())
        world.at(fault.end, lambda: process().resume())
    elif fault.kind == "slow":
        world.at(fault.start, lambda: slow(fault.amount[0]))
        world.at(fault.end, lambda: slow(1.0))
    elif fault.kind == "odometry jump":
        world.at(fault.start, jump)
    elif fault.kind == "emergency stop":
        world.at(fault.start, lambda: act(operator.press))
        world.at(fault.end, lambda: act(operator.release))
        world.at(fault.end + 0.5, again)
    elif fault.kind == "teleoperation":
        v, w = fault.amount
        hold = partial(operator.drive, fault.end - fault.start, v, w)
        world.at(fault.start, lambda: act(hold))
        world.at(fault.end + 2.0, again)  # by then a robot that goes on by itself would have
