"""What goes wrong, and when: drawn from a seed, told in words, and done to a virtual world."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rclpy.serialization import deserialize_message, serialize_message

from edge_robot import topics
from edge_robot.introspection.interfaces import interface_class
from edge_robot.standalone.virtual.network import Passage
from edge_robot.topics import full_name

GOAL_AT = 1.0
"""When the operator gives the goal, s."""
END = 10.0
"""How long a schedule lasts, s."""
RESPAWN = 1.0
"""Time after which a node that died is started again, s, as `robot.launch.xml respawn:=true`."""
REFEREES = frozenset({"referee", "operator"})
"""Processes that no fault touches: who judges, and who is not part of the robot."""

_FIRST, _LAST = 1.5, 6.5
NODES = (
    "fusion",
    "planner",
    "controller",
    "command_mux",
    "collision_monitor",
    "mode_manager",
    "base",
    "scanner",
    "lidar_perception",
    "camera_perception",
)
_TOPICS = (
    topics.SCAN,
    topics.ODOM,
    topics.TF,
    topics.LIDAR_DETECTIONS,
    topics.CAMERA_DETECTIONS,
    topics.TRACKS,
    topics.TRAJECTORY,
    topics.CMD_VEL_NAV,
    topics.CMD_VEL_MUX,
    topics.CMD_VEL,
    topics.MODE,
    topics.ESTOP,
    topics.DEADLINES,
)
_KINDS = {full_name(topic.name): topic.type for topic in _TOPICS}
NODE_FAULTS = ("kill", "restart", "stop", "slow")
TRAFFIC_FAULTS = ("drop", "delay", "duplicate", "reorder", "corrupt")
CORRUPTIONS = ("nan", "huge", "frame", "stale", "future", "truncated", "garbage")
OTHERS = ("odometry jump", "emergency stop", "teleoperation")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: One of `NODE_FAULTS`, `TRAFFIC_FAULTS`, `OTHERS`.
        target: The node or topic it is done to; empty for the others.
        start: s.
        end: s; infinite where it lasts.
        how: Of corruptions, which; else empty.
        amount: Of slow: factor; drop: share; delay and reorder: s; else what kind says.
    """

    kind: str
    target: str
    start: float
    end: float
    how: str = ""
    amount: tuple[float, ...] = ()

    def __str__(self) -> str:
        amount = ", ".join(f"{value:.2f}" for value in self.amount)
        words = " ".join(word for word in (self.kind, self.target, self.how) if word)
        return f"{self.start:.2f}-{self.end:.2f} s: {words}{f' ({amount})' if amount else ''}"


def draw(seed: int) -> list[Fault]:
    """Return the faults of a schedule: one to four, over each other as it falls."""
    drawn = random.Random(f"faults of {seed}")
    faults = [_one(drawn) for _ in range(drawn.choice((1, 2, 2, 3, 4)))]
    return sorted(faults, key=lambda fault: fault.start)


def _one(drawn: random.Random) -> Fault:
    start = drawn.uniform(_FIRST, _LAST)
    end = start + drawn.choice((0.2, 0.5, 1.0, 2.0, 4.0))
    family = drawn.random()
    if family < 0.4:
        kind, node = drawn.choice(NODE_FAULTS), drawn.choice(NODES)
        if kind in ("kill", "restart"):
            end = float("inf") if kind == "kill" else start + RESPAWN
            return Fault(kind, node, start, end)
        factor = (drawn.choice((2.0, 5.0, 20.0, 100.0)),) if kind == "slow" else ()
        return Fault(kind, node, start, end, amount=factor)
    if family < 0.85:
        kind, topic = drawn.choice(TRAFFIC_FAULTS), full_name(drawn.choice(_TOPICS).name)
        if kind == "corrupt":
            return Fault(kind, topic, start, end, drawn.choice(CORRUPTIONS))
        amount = {
            "drop": (drawn.choice((0.3, 0.7, 1.0)),),
            "delay": (drawn.choice((0.03, 0.08, 0.2, 0.6)),),
            "reorder": (drawn.choice((0.03, 0.1)),),
        }.get(kind, ())
        return Fault(kind, topic, start, end, amount=amount)
    kind = drawn.choice(OTHERS)
    if kind == "odometry jump":
        jump = drawn.uniform(-2, 2), drawn.uniform(-2, 2), drawn.uniform(-1, 1)
        return Fault(kind, "", start, start, amount=jump)
    if kind == "teleoperation":
        return Fault(kind, "", start, end, amount=(drawn.uniform(-0.5, 1.0), drawn.uniform(-1, 1)))
    return Fault(kind, "", start, end)


class Disturbance:
    """Does the traffic faults of a schedule, as `Network.route`.

    Args:
        faults: All of the schedule's.
        seed: Of what is lost, and when what is late comes.
        now: Time of the world, s.
    """

    def __init__(self, faults: Iterable[Fault], seed: int, now: Callable[[], float]) -> None:
        self._now = now
        self._faults = [fault for fault in faults if fault.kind in TRAFFIC_FAULTS]
        self._random = random.Random(f"traffic of {seed}")

    def __call__(self, passage: Passage) -> Iterable[tuple[float, bytes]]:
        """Return what arrives."""
        arriving = [(0.0, passage.data)]
        if passage.target in REFEREES or passage.source in REFEREES:
            return arriving
        for fault in self._faults:
            if fault.target == passage.topic and fault.start <= self._now() < fault.end:
                arriving = self._spoil(fault, arriving)
        return arriving

    def _spoil(
        self, fault: Fault, arriving: list[tuple[float, bytes]]
    ) -> list[tuple[float, bytes]]:
        drawn = self._random
        if fault.kind == "drop":
            return [one for one in arriving if drawn.random() >= fault.amount[0]]
        if fault.kind == "delay":
            return [(late + fault.amount[0], data) for late, data in arriving]
        if fault.kind == "reorder":
            return [(late + drawn.uniform(0, fault.amount[0]), data) for late, data in arriving]
        if fault.kind == "duplicate":
            return [*arriving, *((late + 0.002, data) for late, data in arriving)]
        return [(late, corrupted(fault.target, data, fault.how)) for late, data in arriving]


def corrupted(topic: str, data: bytes, how: str) -> bytes:
    """Return a sample spoilt in one of the ways of `CORRUPTIONS`."""
    if how == "garbage":
        return data[: len(data) // 2]
    message = deserialize_message(data, interface_class(_KINDS[topic]))
    _corrupt(message, how)
    return bytes(serialize_message(message))


def _corrupt(message: object, how: str) -> None:
    for name, kind in type(message).get_fields_and_field_types().items():  # type: ignore[attr-defined]
        value = getattr(message, name)
        if kind == "std_msgs/Header":
            _corrupt_header(value, how)
        elif "/" in kind and "sequence" not in kind and "[" not in kind:
            _corrupt(value, how)
        elif kind.startswith("sequence"):
            if how == "truncated":
                setattr(message, name, value[: len(value) // 2])
            elif "/" in kind:
                for one in value:
                    _corrupt(one, how)
            elif "float" in kind or "double" in kind:
                setattr(message, name, [_wrong(how, number) for number in value])
        elif "[" in kind and ("float" in kind or "double" in kind):
            setattr(message, name, [_wrong(how, number) for number in value])
        elif kind in ("float", "double"):
            setattr(message, name, _wrong(how, value))


def _corrupt_header(header: object, how: str) -> None:
    if how == "frame":
        header.frame_id = "nowhere"  # type: ignore[attr-defined]
    elif how in ("stale", "future"):
        header.stamp.sec += 5 if how == "future" else -5  # type: ignore[attr-defined]


def _wrong(how: str, value: float) -> float:
    return {"nan": float("nan"), "huge": 1e30}.get(how, float(value))
