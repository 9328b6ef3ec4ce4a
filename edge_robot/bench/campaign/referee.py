"""Who judges a schedule: what must never happen, and by when the robot must have been stopped."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node

from edge_robot import topics
from edge_robot.bench.campaign.arena import Arena
from edge_robot.bench.campaign.drivers import LIFESPAN, Operator
from edge_robot.bench.campaign.schedule import Fault
from edge_robot.control.modes import NAMES, ModeTimes
from edge_robot.introspection.interfaces import interface_class
from edge_robot.msg import RobotMode
from edge_robot.nodes.conversions import seconds
from edge_robot.nodes.qos import qos_profile
from edge_robot.standalone.virtual import Process
from edge_robot.topics import full_name

CONTROL_PERIOD = 0.02
_GRACE = 2 * CONTROL_PERIOD
_HOP = 0.010  # what a sample may take to the referee, s
_STANDING = 1e-3  # m/s and rad/s

_LAST_PLAN = ModeTimes().last_plan_time

CONTRACTS: Mapping[str, float] = {
    "controller": topics.CMD_VEL_NAV.deadline,
    "command_mux": topics.CMD_VEL_MUX.deadline,
    "collision_monitor": LIFESPAN,
    "base": LIFESPAN,
    "scanner": 0.25,
    "planner": topics.TRAJECTORY_VALIDITY + CONTROL_PERIOD,
    "fusion": topics.TRACKS.deadline + _LAST_PLAN,
    full_name(topics.CMD_VEL_NAV.name): topics.CMD_VEL_NAV.deadline,
    full_name(topics.CMD_VEL_MUX.name): topics.CMD_VEL_MUX.deadline,
    full_name(topics.CMD_VEL.name): LIFESPAN,
    full_name(topics.SCAN.name): 0.25,
    full_name(topics.TRAJECTORY.name): topics.TRAJECTORY_VALIDITY + CONTROL_PERIOD,
    full_name(topics.TRACKS.name): topics.TRACKS.deadline + _LAST_PLAN,
}
"""How long after a loss zero must be commanded, s: at once, when the last trajectory is too old, or
at the last safe plan's end."""

_PLANS = frozenset(
    {"planner", "fusion", full_name(topics.TRAJECTORY.name), full_name(topics.TRACKS.name)}
)
"""Whose loss ends autonomy, but nothing that an operator does."""

_SEEN = {full_name(topics.LIDAR_DETECTIONS.name): {"lidar_perception"}} | {
    full_name(topics.CAMERA_DETECTIONS.name): {"camera_perception"}
}
_TOLD = {
    full_name(topics.SCAN.name): {"scanner"},
    full_name(topics.ODOM.name): {"base"},
    full_name(topics.TF.name): {"base"},
    full_name(topics.MODE.name): {"mode_manager"},
}


def _made_of(*nodes: str, upstream: Iterable[Mapping[str, set[str]]] = ()) -> set[str]:
    return set(nodes).union(*({topic, *of} for known in upstream for topic, of in known.items()))


_FUSED = {full_name(topics.TRACKS.name): _made_of("fusion", upstream=(_SEEN, _TOLD))}
_PLANNED = {full_name(topics.TRAJECTORY.name): _made_of("planner", upstream=(_FUSED, _TOLD))}
_NAV = {full_name(topics.CMD_VEL_NAV.name): _made_of("controller", upstream=(_PLANNED,))}
_MUX = {full_name(topics.CMD_VEL_MUX.name): _made_of("command_mux", upstream=(_NAV,))}
_UPSTREAM: Mapping[str, set[str]] = {
    **_SEEN,
    **_TOLD,
    **_FUSED,
    **_PLANNED,
    **_NAV,
    **_MUX,
    full_name(topics.CMD_VEL.name): _made_of("collision_monitor", upstream=(_MUX, _TOLD)),
    full_name(topics.ESTOP.name): {"command_mux"},
}
"""What each topic is made of: nodes and topics, all the way up."""

_SENDERS = {topics.CMD_VEL_MUX.name: "command_mux", topics.CMD_VEL.name: "collision_monitor"}
_SENDING = 0.0015
"""Time to send a command, once the clock was looked at, that hardly a run exceeds, s: five times
the mean of `drill.STACK`. A node that is slowed takes as many times longer."""

_LAST_LINK = {"collision_monitor", "base", full_name(topics.CMD_VEL.name)}
"""Without which no zero gets to the wheels."""

_AFTERMATH = 3.0
"""How long after a fault, or after a silence, its consequences may still be told, s."""


@dataclass
class _Broken:
    """A break of the chain, and what came of it."""

    fault: Fault
    speed: float = 0.0
    begun: bool = False
    zero_after: float | None = None


@dataclass
class _Heard:
    """When a topic with a deadline was heard, s; others may have heard it a hop earlier."""

    deadline: float
    last: float = 0.0
    silent_until: float = -_AFTERMATH

    def at(self, now: float) -> None:
        if now - self.last > self.deadline - _HOP:
            self.silent_until = now
        self.last = now

    def was_silent(self, now: float) -> bool:
        """Return whether a deadline was missed lately."""
        return now - self.last > self.deadline - _HOP or now - self.silent_until < _AFTERMATH


@dataclass
class Verdict:
    """What was seen.

    Attributes:
        violations: What must never happen and did, each with its time; one of a kind is enough.
        reactions: By what was lost, times until commanded zero, s.
        modes: Modes seen, with their causes, in order.
    """

    violations: list[str] = field(default_factory=list)
    reactions: dict[str, list[float]] = field(default_factory=dict)
    modes: list[str] = field(default_factory=list)


class Referee(Node):
    """Hears what the stack says, sees what the robot does.

    Args:
        arena: The world.
        faults: What goes wrong.
        processes: The nodes, by name.
        operator: Who pressed the emergency stop.
        now: Time of the world, s.
    """

    def __init__(
        self,
        arena: Arena,
        faults: Iterable[Fault],
        processes: Mapping[str, Process],
        operator: Operator,
        now: Callable[[], float],
    ) -> None:
        super().__init__("referee")
        self.verdict = Verdict()
        self._arena, self._processes, self._operator, self._now = arena, processes, operator, now
        self._faults = list(faults)
        self._broken = [_Broken(fault) for fault in self._faults if _breaks(fault)]
        self._seen: set[str] = set()
        self._sent_late: set[tuple[str, Fault]] = set()
        self._mode: RobotMode | None = None
        self._mode_heard = 0.0
        self._heard: dict[str, _Heard] = {}
        for topic in topics.TOPICS:
            name = full_name(topic.name)
            if name in _UPSTREAM and topic.qos.deadline is not None:
                heard = self._heard[name] = _Heard(topic.qos.deadline)
                self.create_subscription(
                    interface_class(topic.type),
                    topic.name,
                    lambda data, heard=heard: heard.at(self._now()),
                    qos_profile(topic),
                    raw=True,
                )
        for topic in (topics.CMD_VEL_MUX, topics.CMD_VEL):
            self.create_subscription(
                TwistStamped,
                topic.name,
                lambda command, name=topic.name: self._on_command(name, command),
                qos_profile(topic),
            )
        self.create_subscription(
            RobotMode, topics.MODE.name, self._on_mode, qos_profile(topics.MODE)
        )

    def _fault(self, kind: str, text: str) -> None:
        if kind not in self._seen:
            self._seen.add(kind)
            self.verdict.violations.append(f"{self._now():.3f} s: {kind}: {text}")

    def _on_command(self, topic: str, command: TwistStamped) -> None:
        v, w = command.twist.linear.x, command.twist.angular.z
        age = self._now() - self._since_epoch(seconds(command.header.stamp))
        # Who is slowed sends long after the look at the clock; whoever hears it looks again.
        lately = self._disturbances({_SENDERS[topic]}, self._now() - LIFESPAN)
        factors = [fault.amount[0] for fault in lately if fault.kind == "slow"]
        sending = _SENDING * max(factors, default=0.0)
        if not (v or w) or age <= LIFESPAN + sending + _HOP:
            return
        # Who was stopped in the middle of a run sends what came of it, once.
        stamp = self._now() - age
        halts = {
            (topic, fault) for fault in lately if fault.kind == "stop" and stamp <= fault.start
        }
        if halts <= self._sent_late:
            self._fault(f"old command on {topic}", f"{age:.3f} s old, {v:.2f} m/s {w:.2f} rad/s")
        self._sent_late |= halts

    def _since_epoch(self, stamp: float) -> float:
        return stamp - (self.get_clock().now().nanoseconds * 1e-9 - self._now())

    def _on_mode(self, message: RobotMode) -> None:
        before, self._mode, self._mode_heard = self._mode, message, self._now()
        name = NAMES.get(message.mode, str(message.mode))
        if before is None or (before.mode, before.cause) != (message.mode, message.cause):
            self.verdict.modes.append(f"{self._now():.2f} {name}: {message.cause}")
        if not message.cause.strip():
            self._fault("mode without a cause", name)
        if message.mode == RobotMode.INITIALIZING:
            return  # everything is new
        for topic in re.findall(r"/[a-z_]+(?:/[a-z_]+)*", message.cause):
            if not self._troubled(topic):
                self._fault("mode with a false cause", f"{name}: {message.cause}: {topic} is well")

    def _troubled(self, topic: str) -> bool:
        """Return whether something went wrong lately with a topic, or with what it is made of.

        A planner that has nothing to plan is silent without any fault: that is told, and true.
        """
        made_of = {"mode_manager", topic, *_UPSTREAM.get(topic, ())}
        now = self._now()
        if topic in self._heard and self._heard[topic].was_silent(now):
            return True
        return bool(self._disturbances(made_of, now - _AFTERMATH))

    def look(self) -> None:
        """Judge the present moment; to be called at every step of physics."""
        now, arena = self._now(), self._arena
        if arena.collision:
            self._fault("collision", arena.collision)
        speed = max(map(abs, arena.commanded))
        confirmed = self._operator.confirmed
        if confirmed is not None and speed > _STANDING:
            # Where zero does not get through, the last command's lifespan ends the motion.
            allowed = LIFESPAN if self._is_cut_off(confirmed) else _GRACE
            if now > confirmed + allowed + _HOP:
                self._fault("emergency stop not obeyed", f"{arena.commanded} commanded")
        let_go = self._operator.let_go
        if let_go is not None and now > let_go + LIFESPAN + _GRACE + _HOP and speed > _STANDING:
            self._fault("resumed by itself after an operator", f"{arena.commanded} commanded")
        for name, process in self._processes.items():
            if process.error is not None:
                self._fault(f"{name} died", repr(process.error))
        manager = self._processes["mode_manager"]
        excused = self._disturbances({"mode_manager"}, now - 1.5)
        if manager.ended or manager.stopped or excused:
            self._mode_heard = now
        elif now - self._mode_heard > 1.0 + 0.3:
            self._fault("mode not told", f"for {now - self._mode_heard:.2f} s")
        for broken in self._broken:
            self._follow(broken, now, speed)

    def _is_cut_off(self, confirmed: float) -> bool:
        """Return whether an emergency stop may not have got through, by two ways."""

        def is_disturbed(targets: Collection[str]) -> bool:
            found = self._disturbances(targets, confirmed - LIFESPAN)
            return any(fault.start <= confirmed + _GRACE for fault in found)

        ways = (topics.CMD_VEL_MUX, topics.ESTOP)
        return is_disturbed(_LAST_LINK) or all(is_disturbed({full_name(w.name)}) for w in ways)

    def _disturbances(self, targets: Collection[str], since: float) -> list[Fault]:
        """Return the faults that have touched one of these nodes and topics since a moment, s."""
        return [
            fault
            for fault in self._faults
            if fault.target in targets and fault.start <= self._now() and fault.end > since
        ]

    def _follow(self, broken: _Broken, now: float, speed: float) -> None:
        fault = broken.fault
        if broken.zero_after is not None or not fault.start <= now < fault.end:
            return
        if not broken.begun:
            broken.begun, broken.speed = True, speed
        operated = any(other.kind == "teleoperation" for other in self._faults)
        if operated and fault.target in _PLANS:
            return
        if speed <= _STANDING:
            broken.zero_after = now - fault.start
            if broken.speed > _STANDING:
                reactions = self.verdict.reactions.setdefault(fault.target, [])
                reactions.append(round(broken.zero_after, 3))
        elif now - fault.start > CONTRACTS[fault.target] + _GRACE + _HOP:
            self._fault(
                f"no stop after loss of {fault.target}",
                f"{speed:.2f} commanded {now - fault.start:.3f} s after ({fault})",
            )


def _breaks(fault: Fault) -> bool:
    """Return whether a fault takes a link of the chain away for good or for a while."""
    lost = fault.kind in ("kill", "restart", "stop") or (
        fault.kind == "drop" and fault.amount[0] == 1.0
    )
    return lost and fault.target in CONTRACTS
