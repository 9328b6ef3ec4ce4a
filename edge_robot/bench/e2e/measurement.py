"""The whole stack in the embedded world: from camera to wheels, calm, under load, and with faults.

An observer listens as any node would. Faults are real: a process is killed (SIGKILL) or stopped
(SIGSTOP), or all samples of one topic are lost while its writer lives on. For that the publisher of
every topic is remapped to NAME/sent, from where a relay of the observer's forwards each sample, or,
while the fault lasts, none.

What the fleet costs the control path is measured in turns: the stack without bridge, telemetry and
backend, and the stack with them while the link between them is cut again and again.

What a fault must lead to follows from the contracts: the deadline of the topic that falls silent,
and how long the ladder of modes then lets the robot go on. Two control periods later zero must be
commanded at the wheels; where the last stage itself is silent, the base must stop by its own
time-out. Where the robot may go on, its mode must say so, and why.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import MessageInfo
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool

from edge_robot import topics
from edge_robot.bench.e2e.stack import Stack, stress
from edge_robot.bench.e2e.trace import (
    PERIOD,
    Command,
    ModeNote,
    Trace,
    camera_to_command,
    figures,
)
from edge_robot.bench.runtimes import bench_domain, standalone
from edge_robot.control.modes import Mode, ModeTimes
from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.msg import DeadlineStatus, RobotMode, SimulationTruth
from edge_robot.nodes.conversions import nanoseconds
from edge_robot.nodes.mission import LINK_SERVICE
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.nodes.urgency import Urgency, claim_priority
from edge_robot.sim.scenario import Scenario
from edge_robot.topics import Topic, full_name

SECONDS = 30.0
"""How long calm and stress are each measured."""
ALLOWED = 2 * PERIOD
"""From the end of a contract to zero, s."""

_START_LIMIT = 120.0
_DRIVE_LIMIT = 90.0
"""How long the stack may take to be ready, and to drive, s."""
_DRIVING = 0.4
"""Speed from which a fault is worth something, m/s."""
_NEAR = 2.0
"""Distance from a goal at which the next one is given, m."""
_SETTLED = 3.0
"""How long the load has been there before it is measured, s."""
_AFTERMATH = 1.0
"""How long to look after the contract's end, s."""


@dataclass(frozen=True)
class Contract:
    """What the silence of a topic must lead to.

    Attributes:
        topic: The topic.
        node: Who publishes it.
        after: How long after its last sample, s.
        goes_on: Whether the robot may go on, reduced, if its mode says so; else zero must be
            commanded.
    """

    topic: Topic
    node: str
    after: float
    goes_on: bool = False


def _lease(topic: Topic) -> float:
    assert topic.qos.liveliness_lease is not None
    return topic.qos.liveliness_lease


_LAST_PLAN = ModeTimes().last_plan_time
_STRICTER = {Mode.LAST_SAFE_PLAN.name, Mode.CONTROLLED_STOP.name, Mode.EMERGENCY_STOP.name}

CONTRACTS = (
    Contract(topics.CAMERA_DETECTIONS, "camera_perception", _lease(topics.CAMERA_DETECTIONS), True),
    Contract(topics.LIDAR_DETECTIONS, "lidar_perception", _lease(topics.LIDAR_DETECTIONS), True),
    # Late tracks and plans: the last safe plan is followed, ever slower, to its end; no trajectory
    # for longer than it is valid.
    Contract(topics.TRACKS, "fusion", topics.TRACKS.deadline + _LAST_PLAN),
    Contract(topics.TRAJECTORY, "planner", topics.TRAJECTORY_VALIDITY),
    Contract(topics.CMD_VEL_NAV, "controller", topics.CMD_VEL_NAV.deadline),
    Contract(topics.CMD_VEL_MUX, "command_mux", topics.CMD_VEL_MUX.deadline),
    Contract(topics.CMD_VEL, "collision_monitor", topics.CMD_VEL.deadline),
    Contract(topics.MODE, "mode_manager", topics.MODE.deadline),
)
"""Of the nodes that may be killed or stopped."""

SENSOR_CONTRACTS = (
    Contract(topics.SCAN, "simulator", topics.SCAN.deadline),
    # Dead reckoning bridges odometry until it counts as lost.
    Contract(topics.ODOM, "simulator", 0.3),
    Contract(topics.ESTOP, "command_mux", 2.5),
)
"""Of further topics that may be lost."""


@dataclass(frozen=True)
class Fault:
    """One fault: `killed` or `stopped` a node, or `lost` a topic."""

    kind: str
    contract: Contract

    @property
    def name(self) -> str:
        """As on the command line: `killed:controller`, `lost:/scan`."""
        target = full_name(self.contract.topic.name) if self.kind == "lost" else self.contract.node
        return f"{self.kind}:{target}"


FAULTS = (
    *(Fault(kind, contract) for kind in ("killed", "stopped") for contract in CONTRACTS),
    *(Fault("lost", contract) for contract in (*CONTRACTS, *SENSOR_CONTRACTS)),
)


def selected(names: Sequence[str]) -> list[Fault]:
    """Return the faults of some names; `killed`, `stopped` and `lost` stand for all of a kind.

    Raises:
        UserError: a name that no fault has.
    """
    known = {name for fault in FAULTS for name in (fault.name, fault.kind)}
    for name in names:
        if name not in known:
            raise UserError(f"no fault {name!r}; there are {', '.join(sorted(known))}")
    return [fault for fault in FAULTS if fault.name in names or fault.kind in names]


class _Observer(Node):
    """Listens to all that matters, gives goals, and relays the topics that may be lost."""

    def __init__(self, seed: int, relayed: Sequence[Topic]) -> None:
        super().__init__("e2e_observer")
        self.trace = Trace()
        self.lost: set[str] = set()
        self.speed = 0.0
        scenario = Scenario.generate(seed)
        self._ends = [(scenario.goal.x, scenario.goal.y), (scenario.start.x, scenario.start.y)]
        self._position = self._ends[1]
        self._goal_given = 0.0
        self._goals = self.create_publisher(PoseStamped, topics.GOAL.name, qos_profile(topics.GOAL))
        self._link = self.create_client(SetBool, LINK_SERVICE)
        # The stack publishes into /NAME/sent what others hear from the relay.
        for topic in relayed:
            self._relay(topic)
        self._listen(topics.ODOM, self._on_odometry)
        self._listen(topics.CLOCK, self._on_clock)
        self._listen(topics.MODE, self._on_mode)
        self._listen(topics.DEADLINES, self._on_deadlines)
        self._listen(topics.SIMULATION_TRUTH, self._on_truth)
        for topic in (topics.CMD_VEL_NAV, topics.CMD_VEL_MUX, topics.CMD_VEL):
            self._listen(topic, partial(self._on_command, topic.name))
        for topic in {c.topic.name: c.topic for c in (*CONTRACTS, *SENSOR_CONTRACTS)}.values():
            self.create_subscription(
                interface_class(topic.type),
                topic.name,
                partial(self._on_sign_of_life, topic.name),
                _watching(topic),
                raw=True,
            )

    def _listen(self, topic: Topic, callback: Callable[[Any, MessageInfo], None]) -> None:
        kind = interface_class(topic.type)
        self.create_subscription(kind, topic.name, callback, _watching(topic))

    def _relay(self, topic: Topic) -> None:
        kind = interface_class(topic.type)
        publisher = self.create_publisher(kind, topic.name, contract_profile(topic))

        def forward(data: bytes) -> None:
            if topic.name not in self.lost:
                publisher.publish(data)

        sent = _sent(topic)
        self.create_subscription(kind, sent, forward, qos_profile(topic), raw=True)

    # --- eyes ---------------------------------------------------------------------------------

    def _on_sign_of_life(self, name: str, _data: bytes, info: MessageInfo) -> None:
        self.trace.heard[name].append(info["source_timestamp"])

    def _on_command(self, name: str, command: TwistStamped, info: MessageInfo) -> None:
        linear, angular = command.twist.linear, command.twist.angular
        zero = not any((linear.x, linear.y, angular.z))
        self.trace.commands[name].append(
            Command(info["source_timestamp"], nanoseconds(command.header.stamp), zero)
        )

    def _on_odometry(self, message: Odometry, _info: MessageInfo) -> None:
        position = message.pose.pose.position
        self._position = (position.x, position.y)
        self.speed = abs(message.twist.twist.linear.x)

    def _on_clock(self, message: Clock, info: MessageInfo) -> None:
        self.trace.clock.append((info["source_timestamp"], nanoseconds(message.clock)))

    def _on_mode(self, message: RobotMode, info: MessageInfo) -> None:
        name = Mode(message.mode).name
        self.trace.modes.append(ModeNote(info["source_timestamp"], name, message.cause))

    def _on_deadlines(self, status: DeadlineStatus, info: MessageInfo) -> None:
        times = [(info["source_timestamp"], float(run.elapsed)) for run in status.runs]
        self.trace.stages[status.stage] += times
        if status.stage == "control":
            self.trace.runs += [
                (nanoseconds(run.output_stamp), nanoseconds(run.capture_stamp))
                for run in status.runs
            ]

    def _on_truth(self, message: SimulationTruth, info: MessageInfo) -> None:
        self.trace.collisions = message.collisions
        self.trace.time_outs.append((info["source_timestamp"], message.base_timed_out))

    # --- hands --------------------------------------------------------------------------------

    def set_link(self, up: bool) -> None:
        """Cut the link to the fleet, or restore it."""
        self._link.call_async(SetBool.Request(data=up))

    def drive_on(self) -> None:
        """Give the next goal when the last one is near, and the same again to a robot at rest."""
        x, y = self._ends[0]
        dx, dy = x - self._position[0], y - self._position[1]
        now = time.monotonic()
        near = dx * dx + dy * dy < _NEAR * _NEAR
        if near:
            self._ends.reverse()
        if near or (self.speed < 0.05 and now - self._goal_given > 3.0):
            self._goal_given = now
            goal = PoseStamped()
            goal.header.frame_id = "map"
            goal.header.stamp = self.get_clock().now().to_msg()
            goal.pose.position.x, goal.pose.position.y = self._ends[0]
            goal.pose.orientation.w = 1.0
            self._goals.publish(goal)


def _watching(topic: Topic) -> QoSProfile:
    """Return the profile of one who wants to hear all and asks for no promises."""
    profile = qos_profile(topic)
    return QoSProfile(depth=500, reliability=profile.reliability, durability=profile.durability)


def _sent(topic: Topic) -> str:
    return f"{topic.name}/sent"


@dataclass
class _Run:
    """A stack under observation."""

    stack: Stack
    observer: _Observer
    executor: SingleThreadedExecutor

    @property
    def trace(self) -> Trace:
        """What was seen."""
        return self.observer.trace

    def watch(self, seconds: float) -> None:
        """Look on, and keep the robot driving."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
            self.observer.drive_on()

    def until(self, condition: Callable[[], bool], what: str, limit: float) -> None:
        """Look on until something is so.

        Raises:
            UserError: it does not come about, or the stack ends.
        """
        end = time.monotonic() + limit
        while not condition():
            self.stack.check()
            if time.monotonic() > end:
                raise UserError(f"waited {limit:g} s in vain for {what}; see {self.stack.log}")
            self.watch(0.1)

    def drive(self) -> None:
        """Look on until the robot drives, hears all it needs, and has done so for a while."""
        since = time.monotonic()

        def steady() -> bool:
            nonlocal since
            modes = self.trace.modes
            well = (
                modes
                and modes[-1].mode in (Mode.NOMINAL.name, Mode.REDUCED.name)
                and not any(full_name(c.topic.name) in modes[-1].cause for c in CONTRACTS)
            )
            if not well or self.observer.speed < _DRIVING:
                since = time.monotonic()
            return time.monotonic() - since > 0.5

        self.until(steady, "the robot to drive", _DRIVE_LIMIT)


@contextlib.contextmanager
def _running(
    seed: int, folder: Path, relayed: Sequence[Topic] = (), without: Sequence[str] = ()
) -> Iterator[_Run]:
    """Run the stack, or all of it but some nodes, until its robot drives."""
    folder.mkdir(parents=True)
    environment = dict(standalone(bench_domain()).environment)
    environment["EDGE_ROBOT_SENSOR_RELIABILITY"] = "reliable"
    os.environ.update({name: environment[name] for name in _NETWORK})
    remappings: dict[str, list[str]] = {}
    for contract in (*CONTRACTS, *SENSOR_CONTRACTS):
        if contract.topic in relayed:
            rule = f"{contract.topic.name}:={_sent(contract.topic)}"
            remappings.setdefault(f"/{contract.node}", []).append(rule)
    stack = Stack(folder, seed, remappings, environment, without)
    try:
        rclpy.init()
        run = _Run(stack, _Observer(seed, relayed), SingleThreadedExecutor())
        # Commands expire before an observer that waits has seen them; and the relay stands for the
        # network, which no load of the machine delays. What it starts later is load, and stacks.
        claim_priority(Urgency.CONTROL, inherited=False)
        run.executor.add_node(run.observer)
        run.until(lambda: bool(run.trace.modes), "the mode", _START_LIMIT)
        run.drive()
        yield run
        run.observer.destroy_node()
    finally:
        rclpy.try_shutdown()
        stack.end()


_NETWORK = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "EDGE_ROBOT_SENSOR_RELIABILITY")


def _span(run: _Run, seconds: float) -> dict[str, Any]:
    """Return the figures of the next seconds."""
    used, start = run.stack.processor_seconds(), time.time_ns()
    run.watch(seconds)
    end = time.time_ns()
    cores = {
        node: round((now - used[node]) / seconds, 3)
        for node, now in run.stack.processor_seconds().items()
        if node in used
    }
    run.watch(1.5)  # stages report once a second
    return {**figures(run.trace, start, end), "cores": cores}


def _fleet_cost(
    seed: int, pairs: int, seconds: float, folder: Path, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Return camera to command with and without the fleet, in turns, and the ratios."""
    latencies: dict[str, list[NDArray[np.float64]]] = {"with": [], "without": []}
    misses = dict.fromkeys(latencies, 0)
    for pair in range(pairs):
        for kind in ("without", "with") if pair % 2 else ("with", "without"):
            progress(f"{kind} the fleet, {pair + 1} of {pairs}, {seconds:g} s")
            without = () if kind == "with" else _FLEET
            with _running(seed, folder / f"{kind}-{pair}", without=without) as run:
                start = time.time_ns()
                for turn in range(round(seconds / _CUT)):
                    if kind == "with":
                        run.observer.set_link(turn % 2 == 0)
                    run.watch(_CUT)
                end = time.time_ns()
                run.watch(1.5)  # stages report once a second
                latencies[kind].append(camera_to_command(run.trace, start, end))
                misses[kind] += figures(run.trace, start, end)["deadline_misses"]
    found: dict[str, Any] = {"pairs": pairs, "seconds": seconds}
    for kind, parts in latencies.items():
        values = np.concatenate(parts) * 1e3
        found[kind] = {
            **{f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 99)},
            "samples": len(values),
            "deadline_misses": misses[kind],
        }
    for share in ("p50", "p99"):
        found[f"ratio_{share}"] = round(found["with"][share] / found["without"][share], 3)
    return found


_FLEET = ("fleet_bridge", "fleet_telemetry", "fleet_backend", "network_link")
_CUT = 2.5
"""How long the link is up, and how long it is cut, s."""


def _suffer(run: _Run, fault: Fault, random: Random) -> dict[str, Any]:
    """Let a fault happen while the robot drives; return what it led to."""
    try:
        run.drive()
    except UserError as error:
        run.stack.check()
        return {"ok": False, "not_tried": str(error)}
    run.watch(random.uniform(0.0, 0.2))
    hold = fault.contract.after + _AFTERMATH
    before, start = run.trace.collisions, time.time_ns()
    with _happening(run, fault):
        struck = time.time_ns()
        run.watch(hold)
        end = time.time_ns()
    run.watch(2.0)
    verdict = judged(run.trace, fault, struck, end)
    verdict["expired_commands"] = run.trace.expired(start, time.time_ns())
    verdict["collisions"] = run.trace.collisions - before
    verdict["ok"] = verdict["ok"] and not verdict["expired_commands"]
    return verdict


@contextlib.contextmanager
def _happening(run: _Run, fault: Fault) -> Iterator[None]:
    """Let a fault begin, and end; who is killed is started again by the launch."""
    node, lost = fault.contract.node, run.observer.lost
    if fault.kind == "lost":
        lost.add(fault.contract.topic.name)
        yield
        lost.clear()
    elif fault.kind == "killed":
        run.stack.signal(node, signal.SIGKILL)
        yield
    else:
        run.stack.signal(node, signal.SIGSTOP)
        try:
            yield
        finally:
            run.stack.signal(node, signal.SIGCONT)


def judged(trace: Trace, fault: Fault, start: int, end: int) -> dict[str, Any]:
    """Hold what was seen of a fault against its contract.

    Args:
        trace: What was seen.
        fault: What happened.
        start: When it had happened, ns.
        end: When it was over, ns; where the topic spoke again before, that counts.
    """
    contract = fault.contract
    # What was under way when it happened still came.
    last = trace.last(contract.topic, start + round(2 * PERIOD * 1e9)) or start
    end = min([end, *(wall for wall in trace.heard[contract.topic.name] if wall > last)])
    broken = last + round(contract.after * 1e9)
    modes = [note for note in trace.modes if start < note.wall <= end]
    named = [note for note in modes if full_name(contract.topic.name) in note.cause]
    told = next(iter(named or modes), None)
    if contract.goes_on:
        # A mode that permits less still will do, whatever its reason.
        said = [n for n in modes if n.mode in _STRICTER or (n in named and n.mode == "REDUCED")]
        done, how = (said[0].wall if said else None), "reduced mode"
    elif contract.topic is topics.CMD_VEL:
        done, how = trace.base_stopped_at(last, end), "stop by the base's own time-out"
    else:
        done, how = trace.zero_since(last, end), "zero commanded"
    after = None if done is None else (done - broken) * 1e-9
    return {
        "expected": how,
        "contract_ms": round(contract.after * 1e3),
        "silent_to_consequence_ms": None if done is None else round((done - last) * 1e-6, 1),
        "after_contract_ms": None if after is None else round(after * 1e3, 1),
        "mode": None if told is None else told.mode,
        "cause": None if told is None else told.cause,
        "mode_after_ms": None if told is None else round((told.wall - last) * 1e-6, 1),
        "ok": after is not None and after <= ALLOWED,
    }


def measure(
    faults: Sequence[Fault] = FAULTS,
    seconds: float = SECONDS,
    seed: int = 1,
    fleet_pairs: int = 0,
    folder: Path = Path("runs"),
    progress: Callable[[str], None] = lambda text: None,
    sofar: Callable[[dict[str, Any]], None] = lambda figures: None,
) -> dict[str, Any]:
    """Measure calm, stress and faults.

    Args:
        faults: Which to try.
        seconds: How long calm and stress are each measured; 0: not at all.
        seed: Of the warehouse and of the faults' moments.
        fleet_pairs: How often the stack is run with and without the fleet.
        folder: Gets recordings and logs.
        progress: Is told how far it is.
        sofar: Is given what has been found, again and again.

    Returns:
        `calm` and `stress`: figures of `edge_robot.bench.e2e.trace.figures`; `faults`: each by its
        name, and `faults_ok`: how many led to what they must; `fleet`: camera to command, ms, with
        and without it.

    Raises:
        UserError: the stack does not come to drive.
    """
    random, cores = Random(seed), len(os.sched_getaffinity(0))
    folder = folder / f"e2e-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    found: dict[str, Any] = {"seed": seed, "faults": {}}
    direct = [fault for fault in faults if fault.kind != "lost"]
    if seconds or direct:
        progress("starting the stack")
        with _running(seed, folder / "direct") as run:
            if seconds:
                progress(f"calm, {seconds:g} s")
                found["calm"] = _span(run, seconds)
                progress(f"{cores} processes that only compute, {seconds:g} s")
                with stress(cores):
                    run.watch(_SETTLED)
                    found["stress"] = _span(run, seconds)
            for fault in direct:
                progress(fault.name)
                found["faults"][fault.name] = _suffer(run, fault, random)
                sofar(found)
    lost = [fault for fault in faults if fault.kind == "lost"]
    if lost:
        progress("starting the stack with a relay in every topic that is lost")
        with _running(seed, folder / "relayed", [f.contract.topic for f in lost]) as run:
            for fault in lost:
                progress(fault.name)
                found["faults"][fault.name] = _suffer(run, fault, random)
                sofar(found)
    if fleet_pairs:
        found["fleet"] = _fleet_cost(seed, fleet_pairs, seconds or SECONDS, folder, progress)
    found["faults_ok"] = sum(row["ok"] for row in found["faults"].values())
    return found
