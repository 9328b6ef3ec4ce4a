"""What happened in a run, as arrays over time, taken from its recording."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from edge_robot import topics
from edge_robot.control import modes
from edge_robot.recording.reader import Recording, nanoseconds

SOURCES = {1: "camera", 2: "lidar", 4: "fleet", 8: "peer", 16: "radar"}
"""Names of `edge_robot/msg/TrackedObject`'s SOURCE bits."""


@dataclass(frozen=True)
class Happening:
    """One entry of /events.

    Attributes:
        wall: When it was published, wall clock, ns.
        stamp: Its header stamp, ns.
        name: Machine-readable name.
        detail: For people.
    """

    wall: int
    stamp: int
    name: str
    detail: str


@dataclass(frozen=True)
class Span:
    """A time during which a state held.

    Attributes:
        start: Wall clock, ns.
        end: Wall clock, ns.
        state: Its name.
        cause: Why, in words.
    """

    start: int
    end: int
    state: str
    cause: str


@dataclass(frozen=True)
class Box:
    """A detection in an image.

    Attributes:
        x: Left edge, pixels.
        y: Top edge, pixels.
        width: Pixels.
        height: Pixels.
        label: Class name.
        score: 0..1.
    """

    x: float
    y: float
    width: float
    height: float
    label: str
    score: float


@dataclass(frozen=True)
class Frame:
    """A recorded camera image with what was seen in it.

    Attributes:
        stamp: Capture time, ns.
        wall: When it was published, wall clock, ns.
        jpeg: The picture.
        onboard: Boxes of the detector on the robot.
        fleet: Boxes of the fleet backend; None if it did not answer for this frame.
    """

    stamp: int
    wall: int
    jpeg: bytes
    onboard: list[Box]
    fleet: list[Box] | None


@dataclass
class StageRuns:
    """Every reported run of a stage.

    Attributes:
        name: Stage name.
        budget: s.
        elapsed: (N,) float64, wall-clock time of each run, s.
        capture: (N,) int64, capture stamp of each run's input, ns; 0 for none.
        output: (N,) int64, header stamp of each run's output, ns; 0 for none.
    """

    name: str
    budget: float
    elapsed: np.ndarray
    capture: np.ndarray
    output: np.ndarray


@dataclass
class TrackHistory:
    """One track over its life.

    Attributes:
        id: Identity given by the tracker.
        stamp: (N,) int64, ns.
        position: (N, 3) float64, centre, m, in the fixed frame.
        size: (N, 3) float64, length, width and height, m.
        yaw: (N,) float64, rad.
        velocity: (N, 2) float64, m/s, in the fixed frame.
        scores: Class name to the sum of its scores over the life.
        sources: Bits of `TrackedObject.sources`, all ever set.
        recent: (N,) uint8, bits of `TrackedObject.recent_sources`.
    """

    id: int
    stamp: np.ndarray
    position: np.ndarray
    size: np.ndarray
    yaw: np.ndarray
    velocity: np.ndarray
    scores: dict[str, float]
    sources: int
    recent: np.ndarray

    @property
    def label(self) -> str:
        """Class with the largest score over the life; "unknown" only if nothing else was said."""
        named = {name: score for name, score in self.scores.items() if name != "unknown"}
        return max(named, key=lambda name: named[name]) if named else "unknown"

    @property
    def source_names(self) -> list[str]:
        """Names of the sensors that ever updated it."""
        return [name for bit, name in SOURCES.items() if self.sources & bit]

    @property
    def speed(self) -> float:
        """Median speed over the life, m/s, in the fixed frame."""
        return float(np.median(np.hypot(self.velocity[:, 0], self.velocity[:, 1])))


@dataclass
class Polyline:
    """Poses over time.

    Attributes:
        wall: (N,) int64, when each was published, wall clock, ns.
        xy: (N, 2) float64, m.
        speed: (N,) float64, forward speed, m/s.
    """

    wall: np.ndarray
    xy: np.ndarray
    speed: np.ndarray = field(default_factory=lambda: np.zeros(0))


class History:
    """The contents of a recording as arrays, each computed when first asked for.

    Args:
        recording: The recording.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def _samples(self, topic: topics.Topic) -> list[Any]:
        return self.recording.samples(self.recording.name_of(topic))

    @cached_property
    def clock(self) -> np.ndarray:
        """(N, 2) int64: wall and simulated time of every /clock sample, ns, both increasing."""
        pairs = [(s.wall, nanoseconds(s.message.clock)) for s in self._samples(topics.CLOCK)]
        array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        newer = np.ones(len(array), dtype=bool)
        newer[1:] = array[1:, 1] > np.maximum.accumulate(array[:, 1])[:-1]
        return array[newer]

    def wall_of(self, stamp: np.ndarray | int) -> np.ndarray:
        """Return the wall time of stamps: interpolated between the /clock samples around them.

        Args:
            stamp: Header stamps, ns. Before the first /clock sample and after the last, the
                nearest sample's offset between the clocks holds. Without any /clock sample the
                stamps are wall time already (a robot on real sensors).

        Returns:
            Wall clock, ns, float64 array; float64 resolves 256 ns at today's epoch.
        """
        stamp = np.asarray(stamp)
        if not len(self.clock):
            return stamp.astype(np.float64)
        wall, simulated = self.clock[:, 0], self.clock[:, 1]
        inside = np.clip(stamp, simulated[0], simulated[-1])
        origin = int(wall[0])
        offset = np.interp(
            (inside - simulated[0]).astype(np.float64),
            (simulated - simulated[0]).astype(np.float64),
            (wall - origin).astype(np.float64),
        )
        return origin + offset + (stamp - inside)

    @cached_property
    def happenings(self) -> list[Happening]:
        """Everything on /events, in order."""
        return [
            Happening(s.wall, nanoseconds(s.message.header.stamp), s.message.name, s.message.detail)
            for s in self._samples(topics.EVENTS)
        ]

    def when(self, name: str) -> list[int]:
        """Return the wall times of the events called `name`, ns."""
        return [event.wall for event in self.happenings if event.name == name]

    @cached_property
    def drive(self) -> tuple[int, int]:
        """Wall times of the drive's begin and end, ns.

        From the first event goal_sent (else the first sample recorded) to the first goal_reached
        after it (else the last sample recorded).
        """
        start, end = self.extent
        start = next(iter(self.when("goal_sent")), start)
        end = next((wall for wall in self.when("goal_reached") if wall >= start), end)
        return start, end

    @cached_property
    def extent(self) -> tuple[int, int]:
        """Wall times of the first and last sample of any topic that is not latched, ns."""
        latched = topics.Durability.TRANSIENT_LOCAL
        old = [t for t in topics.TOPICS if t.qos.durability is latched]
        return self.recording.extent(exclude={self.recording.name_of(topic) for topic in old})

    def in_drive(self, wall: np.ndarray) -> np.ndarray:
        """Return which of the wall times lie within the drive."""
        start, end = self.drive
        return (wall >= start) & (wall <= end)

    @cached_property
    def odometry(self) -> Polyline:
        """/odom: where the robot believes it is, frame odom."""
        return _polyline(
            [
                (s.wall, s.message.pose.pose.position, s.message.twist.twist.linear.x)
                for s in self._samples(topics.ODOM)
            ]
        )

    @cached_property
    def truth(self) -> Polyline:
        """/sim/truth: where the robot was, frame map."""
        return _polyline([(s.wall, s.message.robot.position, 0.0) for s in self._truth])

    @cached_property
    def _truth(self) -> list[Any]:
        return self._samples(topics.SIMULATION_TRUTH)

    @cached_property
    def people(self) -> dict[int, Polyline]:
        """/sim/truth: where each person was, frame map."""
        rows: dict[int, list[tuple[int, Any, float]]] = {}
        for sample in self._truth:
            for person in sample.message.people:
                rows.setdefault(int(person.id), []).append((sample.wall, person.position, 0.0))
        return {identity: _polyline(row) for identity, row in rows.items()}

    @cached_property
    def collisions(self) -> tuple[int, list[str]] | None:
        """The referee's last count of collisions and what was touched; None without a referee."""
        if not self._truth:
            return None
        last = self._truth[-1].message
        return int(last.collisions), [str(name) for name in last.collided_with]

    @cached_property
    def commands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """/cmd_vel: wall time (N,) int64 ns; header stamp (N,) int64 ns; v, w (N, 2) m/s, rad/s."""
        samples = self._samples(topics.CMD_VEL)
        wall = np.array([s.wall for s in samples], dtype=np.int64)
        stamp = np.array([nanoseconds(s.message.header.stamp) for s in samples], dtype=np.int64)
        twists = [(s.message.twist.linear.x, s.message.twist.angular.z) for s in samples]
        return wall, stamp, np.array(twists, dtype=np.float64).reshape(-1, 2)

    @cached_property
    def commands_made(self) -> dict[int, int]:
        """Header stamps of commands to the wall time they first appeared on the way, ns."""
        made: dict[int, int] = {}
        for topic in (topics.CMD_VEL_NAV, topics.CMD_VEL_TELEOP):
            for sample in self._samples(topic):
                stamp = nanoseconds(sample.message.header.stamp)
                made[stamp] = min(sample.wall, made.get(stamp, sample.wall))
        return made

    @cached_property
    def stages(self) -> dict[str, StageRuns]:
        """/deadlines: every stage's runs, by stage name."""
        runs: dict[str, list[tuple[float, int, int]]] = {}
        budgets: dict[str, float] = {}
        for sample in self._samples(topics.DEADLINES):
            status = sample.message
            budgets[status.stage] = float(status.budget)
            runs.setdefault(status.stage, []).extend(
                (run.elapsed, nanoseconds(run.capture_stamp), nanoseconds(run.output_stamp))
                for run in status.runs
            )
        return {
            name: StageRuns(
                name,
                budgets[name],
                np.array([row[0] for row in rows], dtype=np.float64),
                np.array([row[1] for row in rows], dtype=np.int64),
                np.array([row[2] for row in rows], dtype=np.int64),
            )
            for name, rows in runs.items()
        }

    @cached_property
    def modes(self) -> list[Span]:
        """/robot/mode as spans until the end of the recording."""
        return self._spans(
            [
                (s.wall, modes.NAMES[s.message.mode], s.message.cause)
                for s in self._samples(topics.MODE)
            ]
        )

    @cached_property
    def links(self) -> list[Span]:
        """/fleet/link as spans "up" and "down" until the end of the recording."""
        return self._spans(
            [
                (s.wall, "up" if s.message.up else "down", s.message.cause)
                for s in self._samples(topics.LINK)
            ]
        )

    def _spans(self, changes: list[tuple[int, str, str]]) -> list[Span]:
        kept = [
            change
            for previous, change in zip([None, *changes], changes, strict=False)
            if previous is None or previous[1] != change[1]
        ]
        ends = [wall for wall, _, _ in kept[1:]] + [self.extent[1]]
        return [
            Span(wall, max(wall, end), state, cause)
            for (wall, state, cause), end in zip(kept, ends, strict=False)
        ]

    @cached_property
    def fleet_answers(self) -> tuple[np.ndarray, np.ndarray]:
        """/fleet/detections: wall time (N,) int64 ns; whether each was late (N,) bool."""
        samples = self._samples(topics.FLEET_DETECTIONS)
        return (
            np.array([s.wall for s in samples], dtype=np.int64),
            np.array([s.message.late for s in samples], dtype=bool),
        )

    @cached_property
    def frames(self) -> list[Frame]:
        """Recorded camera images in order, each with the detections of the same capture stamp."""
        onboard = {
            nanoseconds(s.message.header.stamp): _boxes(s.message)
            for s in self._samples(topics.CAMERA_DETECTIONS)
        }
        fleet = {
            nanoseconds(s.message.detections.header.stamp): _boxes(s.message.detections)
            for s in self._samples(topics.FLEET_DETECTIONS)
        }
        frames = []
        for sample in self._samples(topics.CAMERA_COMPRESSED):
            stamp = nanoseconds(sample.message.header.stamp)
            frames.append(
                Frame(
                    stamp,
                    sample.wall,
                    sample.message.data.tobytes(),
                    onboard.get(stamp, []),
                    fleet.get(stamp),
                )
            )
        return frames

    @cached_property
    def tracks(self) -> list[TrackHistory]:
        """/fusion/tracks by identity, longest-lived first.

        Of several messages with one stamp (camera and lidar of one instant) the last counts.
        """
        states: dict[int, dict[int, Any]] = {}
        for sample in self._samples(topics.TRACKS):
            stamp = nanoseconds(sample.message.header.stamp)
            for item in sample.message.objects:
                states.setdefault(int(item.id), {})[stamp] = item
        histories = [_track(identity, by_stamp) for identity, by_stamp in states.items()]
        return sorted(histories, key=lambda track: (-len(track.stamp), track.id))

    @cached_property
    def costmap(self) -> Any | None:
        """The last /global_costmap (`nav_msgs/OccupancyGrid`), None without one."""
        samples = self._samples(topics.COSTMAP)
        return samples[-1].message if samples else None

    @cached_property
    def goal(self) -> tuple[float, float] | None:
        """The last /goal_pose, m; None without one."""
        samples = self._samples(topics.GOAL)
        if not samples:
            return None
        position = samples[-1].message.pose.position
        return float(position.x), float(position.y)


def _polyline(rows: list[tuple[int, Any, float]]) -> Polyline:
    return Polyline(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([(row[1].x, row[1].y) for row in rows], dtype=np.float64).reshape(-1, 2),
        np.array([row[2] for row in rows], dtype=np.float64),
    )


def _boxes(array: Any) -> list[Box]:
    return [
        Box(
            item.bbox.center.position.x - item.bbox.size_x / 2.0,
            item.bbox.center.position.y - item.bbox.size_y / 2.0,
            item.bbox.size_x,
            item.bbox.size_y,
            best.class_id,
            best.score,
        )
        for item in array.detections
        for best in [max((r.hypothesis for r in item.results), key=lambda h: h.score)]
        if math.isfinite(item.bbox.size_x)
    ]


def _track(identity: int, by_stamp: dict[int, Any]) -> TrackHistory:
    items = [by_stamp[stamp] for stamp in sorted(by_stamp)]
    scores: dict[str, float] = {}
    sources = 0
    for item in items:
        scores[item.class_name] = scores.get(item.class_name, 0.0) + float(item.class_score)
        sources |= int(item.sources)
    return TrackHistory(
        identity,
        np.array(sorted(by_stamp), dtype=np.int64),
        np.array([(i.position.x, i.position.y, i.position.z) for i in items], dtype=np.float64),
        np.array([(i.size.x, i.size.y, i.size.z) for i in items], dtype=np.float64),
        np.array([i.yaw for i in items], dtype=np.float64),
        np.array([(i.velocity.x, i.velocity.y) for i in items], dtype=np.float64),
        scores,
        sources,
        np.array([i.recent_sources for i in items], dtype=np.uint8),
    )
