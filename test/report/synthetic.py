"""Recordings with known contents, written sample by sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from edge_robot import topics
from edge_robot.recording.writer import RecordingWriter
from edge_robot.share import share_dir
from edge_robot.topics import Topic, full_name

EPOCH = 1_760_000_000.0
SIMULATED_LEAD = 5.0
"""Simulated time at `EPOCH`, s."""

_ROOT = Path(__file__).resolve().parents[2]
_VISION = _ROOT / "edge_robot" / "standalone" / "interfaces" / "share" / "vision_msgs" / "msg"


def typestore() -> Any:
    store = get_typestore(Stores.ROS2_HUMBLE)
    types: dict[str, Any] = {}
    for package, folder in (("vision_msgs", _VISION), ("edge_robot", share_dir() / "msg")):
        for file in folder.glob("*.msg"):
            types.update(get_types_from_msg(file.read_text(), f"{package}/msg/{file.stem}"))
    store.register(types)
    return store


class Scribe:
    """Writes a recording of the robot in `namespace`.

    Times are s since `EPOCH`, simulated time runs `speed` times as fast.
    """

    def __init__(self, path: Path, speed: float = 1.0, namespace: str = "/") -> None:
        self.namespace = namespace
        self.store = typestore()
        self.speed = speed
        self.writer = RecordingWriter(path)
        self._channels: dict[str, int] = {}

    def __enter__(self) -> Scribe:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def make(self, type_name: str, /, **fields: Any) -> Any:
        """Make a message; fields not named are zero."""
        package, name = type_name.split("/")[0], type_name.split("/")[-1]
        full = f"{package}/msg/{name}"
        made = {}
        for field, (kind, description) in self.store.fielddefs[full][1]:
            made[field] = fields.pop(field) if field in fields else self._zero(kind, description)
        assert not fields, f"{type_name} has no fields {list(fields)}"
        return self.store.types[full](**made)

    def _zero(self, kind: Any, description: Any) -> Any:
        if kind.name == "BASE":
            return "" if description[0] == "string" else 0
        if kind.name == "NAME":
            return self.make(description)
        element, length = description
        dtype = element[1][0] if element[0].name == "BASE" else None
        if dtype in (None, "string"):
            return [self._zero(*element) for _ in range(length)]
        return np.zeros(length, dtype={"octet": "uint8", "byte": "uint8"}.get(dtype, dtype))

    def stamp(self, simulated: float, extra_ns: int = 0) -> Any:
        sec, nanosec = divmod(round(simulated * 1e9) + extra_ns, 1_000_000_000)
        return self.make("builtin_interfaces/Time", sec=sec, nanosec=nanosec)

    def simulated(self, wall: float) -> float:
        return SIMULATED_LEAD + wall * self.speed

    def header(self, wall: float, frame: str = "odom", extra_ns: int = 0) -> Any:
        """Make a header whose stamp is the simulated time at `wall`."""
        stamp = self.stamp(self.simulated(wall), extra_ns)
        return self.make("std_msgs/Header", stamp=stamp, frame_id=frame)

    def add(self, topic: Topic, wall: float, /, **fields: Any) -> None:
        """Write one sample of a topic of the table."""
        self.add_as(full_name(topic.name, self.namespace), topic.type, wall, **fields)

    def add_as(self, name: str, type_name: str, wall: float, /, **fields: Any) -> None:
        package, base = type_name.split("/")[0], type_name.split("/")[-1]
        full = f"{package}/msg/{base}"
        if name not in self._channels:
            text = self.store.generate_msgdef(full, ros_version=2)[0]
            self._channels[name] = self.writer.add_channel(name, full, text)
        data = bytes(self.store.serialize_cdr(self.make(full, **fields), full))
        time = round((EPOCH + wall) * 1e9)
        assert self.writer.write(self._channels[name], time, time, data)

    def event(self, wall: float, name: str, detail: str = "") -> None:
        self.add(topics.EVENTS, wall, header=self.header(wall), name=name, detail=detail)

    def clock(self, wall: float) -> None:
        self.add(topics.CLOCK, wall, clock=self.stamp(self.simulated(wall)))

    def command(
        self,
        wall: float,
        stamped: float,
        v: float = 0.5,
        extra_ns: int = 0,
        topic: Topic = topics.CMD_VEL,
    ) -> None:
        linear = self.make("geometry_msgs/Vector3", x=v)
        twist = self.make("geometry_msgs/Twist", linear=linear)
        header = self.header(stamped, "base_link", extra_ns)
        self.add(topic, wall, header=header, twist=twist)

    def run(self, elapsed: float, capture: float, output: float, extra_ns: int = 0) -> Any:
        """Make a `StageRun`; times are wall times whose simulated time is the stamp."""
        return self.make(
            "edge_robot/StageRun",
            capture_stamp=self.stamp(self.simulated(capture)),
            output_stamp=self.stamp(self.simulated(output), extra_ns),
            elapsed=elapsed,
        )

    def pose(self, x: float, y: float, yaw: float = 0.0) -> Any:
        return self.make(
            "geometry_msgs/Pose",
            position=self.make("geometry_msgs/Point", x=x, y=y),
            orientation=self.make(
                "geometry_msgs/Quaternion", z=np.sin(yaw / 2.0), w=np.cos(yaw / 2.0)
            ),
        )

    def tracked(self, identity: int, x: float, y: float, **fields: Any) -> Any:
        return self.make(
            "edge_robot/TrackedObject",
            id=identity,
            position=self.make("geometry_msgs/Point", x=x, y=y),
            **fields,
        )

    def detection(self, x: float, y: float, w: float, h: float, label: str, score: float) -> Any:
        """Make a `Detection2D` from its centre and size in pixels."""
        position = self.make("vision_msgs/Point2D", x=x, y=y)
        center = self.make("vision_msgs/Pose2D", position=position)
        hypothesis = self.make("vision_msgs/ObjectHypothesis", class_id=label, score=score)
        return self.make(
            "vision_msgs/Detection2D",
            bbox=self.make("vision_msgs/BoundingBox2D", center=center, size_x=w, size_y=h),
            results=[self.make("vision_msgs/ObjectHypothesisWithPose", hypothesis=hypothesis)],
        )
