"""The robot as viewers see it: the newest messages, decoded only while somebody looks.

Messages that are too large are refused before they are decoded, those that cannot be read
afterwards; both are counted by topic and reason, and shown. Nothing else is lost by them.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, LaserScan, PointCloud2
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer

from edge_robot import topics
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.conversions import compressed_image_to_bgr, image_to_bgr, stamp_of
from edge_robot.nodes.dashboard_sections import (
    MAX_NAME,
    boxes,
    number,
    outline,
    text,
    view_battery,
    view_command,
    view_goal,
    view_link,
    view_log,
    view_mode,
    view_odometry,
    view_optics,
    view_path,
    view_privacy,
    view_stage,
    view_status,
    view_tracks,
    view_trajectory,
)
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.sensing import Mounts, check_scan, cloud_points, scan_points
from edge_robot.nodes.steady import steady_seconds
from edge_robot.planning.robot import DRIVES, Footprint
from edge_robot.settings import Settings, setting
from edge_robot.teleop.video import Frame
from edge_robot.teleop.view_channel import Section, Sheet, compact
from edge_robot.topics import Qos, Topic

MAP_UNKNOWN, MAP_FREE, MAP_OCCUPIED = 128, 255, 0

MAX_BYTES = 512_000
"""Largest message that is decoded for a section."""

MAX_CELLS = 16_000_000
MAX_IMAGE_BYTES = 100_000_000
MAX_SPEAKERS, MAX_LOG = 60, 50
"""Stages, nodes or diagnosed parts that are shown, and lines of the log."""

MAX_LEAD, MAX_LAG = 2.0, 3600.0
"""By how much a stamp may be ahead of us, and behind, when its message comes, s; beyond, it is of
another clock, and the age is counted from the arrival."""

BEGINS_WITH_STAMP = ("std_msgs/Header", "builtin_interfaces/Time")
"""Types of the first field of messages whose age can be told."""

WATCH_PERIOD = 0.25
"""How soon after somebody looks the robot's cameras are listened to, s."""

NO_SCAN = 2.0
"""Silence of the planar scan after which a lidar's sweep is shown instead, s."""

OUTLINE_HEIGHTS = (0.05, 0.6)
"""Heights above base_link between which its points are obstacles, m; as the collision monitor's."""

MAX_REASONS = 50
"""Kinds of refusals told apart."""

QUEUED = 64
"""Messages kept, while nobody looks, of a topic on which several speak."""

LOG = Topic("/rosout", "rcl_interfaces/Log", "as they happen", Qos(), "what nodes log")

SILENT_AFTER = 10.0
"""Time after which one who used to speak is not shown any more, s."""


CAMERAS = {
    "raw": (topics.CAMERA_IMAGE, image_to_bgr),
    "compressed": (topics.CAMERA_COMPRESSED, compressed_image_to_bgr),
}
"""How images come: topic, and what reads them."""

_UNREADABLE = object()


@dataclass(frozen=True)
class ViewSettings(Settings):
    """How the robot's images come, and what it looks like from above."""

    transport: str = setting("raw", "how images come", one_of=tuple(CAMERAS))
    drive: str = setting("differential", "how the base moves", one_of=DRIVES)
    footprint: Footprint = field(default_factory=Footprint)
    cameras: Sequence[str] = setting(
        (topics.FRONT_CAMERA,), "names of the cameras that may be looked through"
    )


@dataclass(frozen=True)
class _View:
    """A section that is the newest message of a topic.

    Attributes:
        topic: Its topic.
        view: What is shown of a message.
        period: Between two versions that a viewer gets, at least, s.
    """

    topic: Topic
    view: Callable[[Any], Any]
    period: float = 0.0


VIEWS: dict[str, _View] = {
    "stopped": _View(topics.ESTOP, lambda m: m.data),
    "mode": _View(topics.MODE, view_mode),
    "holder": _View(topics.HOLDER, lambda m: text(m.data, MAX_NAME)),
    "pose": _View(topics.ODOM, view_odometry),
    "command": _View(topics.CMD_VEL, view_command, 0.1),
    "onboard": _View(topics.CAMERA_DETECTIONS, lambda m: boxes(m, "onboard")),
    "fleet": _View(topics.FLEET_DETECTIONS, lambda m: boxes(m.detections, m.tier)),
    "tracks": _View(topics.TRACKS, view_tracks, 0.1),
    "goal": _View(topics.GOAL, view_goal),
    "trajectory": _View(topics.TRAJECTORY, view_trajectory, 0.2),
    "link": _View(topics.LINK, view_link, 0.5),
    "path": _View(topics.PATH, view_path, 0.5),
    "battery": _View(topics.BATTERY, view_battery, 1.0),
}
"""Sections of one topic each."""


@dataclass(frozen=True)
class _Sample:
    """A message as it came.

    Attributes:
        version: How many came before on its topic.
        stamp: Of its header, s; of its arrival where it has none that can be ours.
        heard: The same on the steady clock, s.
        data: CDR.
    """

    version: int
    stamp: float
    heard: float
    data: bytes


@dataclass(frozen=True)
class _Made:
    """A section, of which message it was made, and when, s."""

    version: int
    at: float
    section: Section


class DashboardViews:
    """Keeps the newest serialized messages; decodes them only while somebody looks.

    Args:
        node: Subscribes.
        name: The robot's.
        settings: How images come, and what the robot looks like.

    Attributes:
        cameras: As `edge_robot.teleop.view_channel.Views` asks.
    """

    def __init__(self, node: Node, name: str, settings: ViewSettings) -> None:
        cameras = list(settings.cameras)
        self._node = node
        self._classes: dict[str, Any] = {}
        self._stamped: set[str] = set()  # topics
        self._newest: dict[str, _Sample] = {}
        self._queues: dict[str, deque[_Sample]] = {}
        self._made: dict[str, _Made] = {}
        self._spoken: dict[str, dict[str, tuple[float, Any]]] = {}  # by section and speaker
        self._log: deque[Any] = deque(maxlen=MAX_LOG)
        self._refused: Counter[tuple[str, str]] = Counter()
        self._on_frame: Callable[[], object] | None = None
        self._camera_topics = tuple(CAMERAS[settings.transport][0].of(name) for name in cameras)
        self._read_pixels = CAMERAS[settings.transport][1]
        self.cameras: Mapping[str, Callable[[], Frame | None]] = {
            topic.sensor: partial(self._frame, topic) for topic in self._camera_topics
        }
        facts = {
            "name": text(name, MAX_NAME),
            "footprint": settings.footprint.corners.round(3).tolist(),
            "holonomic": settings.drive == "omnidirectional",
            "cameras": cameras,
        }
        self._robot = Section(compact(facts), None)

        self._sheet: Sheet | None = None
        self._map_version = -1
        self._transforms = Buffer()
        self._mounts = Mounts(self._transforms)
        node.create_subscription(
            TFMessage, topics.TF_STATIC.name, self._on_static, qos_profile(topics.TF_STATIC)
        )
        self._optics = {
            f"optics {name}": _View(topics.CAMERA_INFO.of(name), self._view_optics, 1.0)
            for name in cameras
        }
        views = (*VIEWS.values(), *self._optics.values())
        for topic in (*(view.topic for view in views), topics.SCAN):
            self._keep_newest(topic, MAX_BYTES)
        self._keep_newest(topics.COSTMAP, MAX_CELLS)
        for topic, _ in SPOKEN.values():
            self._keep_last(topic, qos_profile(topic))
        latched = DurabilityPolicy.TRANSIENT_LOCAL
        self._keep_last(LOG, QoSProfile(depth=QUEUED, durability=latched))
        self._costly: dict[str, Subscription] = {}
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(WATCH_PERIOD, self._listen_to_costly, clock=steady)

    def now(self) -> float:
        """Return the steady clock's time, s."""
        return steady_seconds()

    def watch(self, on_frame: Callable[[], object] | None) -> None:
        """Listen to cameras, and call back at each frame; None: nobody looks any more."""
        self._on_frame = on_frame

    def sections(self) -> Mapping[str, Section]:
        """Return the newest of everything."""
        found: dict[str, Section | None] = {"robot": self._robot}
        for name, view in (VIEWS | self._optics).items():
            found[name] = self._section(name, view)
        found["lidar"] = self._lidar()
        for name, (topic, views) in SPOKEN.items():
            found[name] = self._spoken_section(name, topic, views)
        lines = (line for _, line in self._decoded(LOG, view_log))
        # Loggers are called `robot1.planner`.
        self._log.extend(line for line in lines if self._is_ours(line["node"].replace(".", "/")))
        found["log"] = Section(compact(list(self._log)), None, 1.0)
        self._see_map()
        found["refused"] = self._refusals()
        return {name: section for name, section in found.items() if section is not None}

    def value(self, name: str, max_age: float) -> Any:
        """Return what a section of `VIEWS` says, None where nothing so young was heard.

        Args:
            name: Of the section.
            max_age: s.
        """
        section = self._section(name, VIEWS[name])
        if section is None or section.heard is None or self.now() - section.heard > max_age:
            return None
        return json.loads(section.text)

    def map(self) -> Sheet | None:
        """Return the newest costmap of those seen by `sections`; None before the first."""
        return self._sheet

    def _listen_to_costly(self) -> None:
        """Listen to images, and where there is no scan to a lidar, only while somebody looks."""
        wanted: dict[str, tuple[Topic, int]] = {}
        if self._on_frame is not None:
            wanted = {topic.name: (topic, MAX_IMAGE_BYTES) for topic in self._camera_topics}
            scan = self._newest.get(topics.SCAN.name)
            if scan is None or self.now() - scan.heard > NO_SCAN:
                wanted[topics.LIDAR_POINTS.name] = (topics.LIDAR_POINTS, MAX_IMAGE_BYTES)
        for name in self._costly.keys() - wanted.keys():
            self._node.destroy_subscription(self._costly.pop(name))
        for name in wanted.keys() - self._costly.keys():
            self._costly[name] = self._keep_newest(*wanted[name])

    def _lidar(self) -> Section | None:
        """Return the outline by whichever sensor was heard last."""
        by_scan = self._section("scan", _View(topics.SCAN, self._scan_outline, 0.2))
        by_lidar = self._section("sweep", _View(topics.LIDAR_POINTS, self._sweep_outline, 0.2))
        found = [section for section in (by_scan, by_lidar) if section is not None]
        return max(found, key=lambda section: section.heard or 0.0, default=None)

    def _keep_newest(self, topic: Topic, most: int) -> Subscription:
        """Keep the newest message of a topic, if it has not more than `most` bytes."""

        def keep(data: bytes) -> None:
            if len(data) > most:
                self._refuse(topic, f"{len(data)} bytes")
                return
            before = self._newest.get(topic.name)
            self._newest[topic.name] = self._sample(
                topic, before.version + 1 if before else 0, data
            )
            if topic in self._camera_topics and self._on_frame is not None:
                self._on_frame()

        return self._subscribe(topic, keep, qos_profile(topic))

    def _keep_last(self, topic: Topic, qos: QoSProfile) -> None:
        """Keep the last few messages of a topic on which several speak."""
        queue = self._queues[topic.name] = deque(maxlen=QUEUED)

        def keep(data: bytes) -> None:
            if len(data) > MAX_BYTES:
                self._refuse(topic, f"{len(data)} bytes")
            else:
                queue.append(self._sample(topic, 0, data))

        self._subscribe(topic, keep, qos)

    def _subscribe(
        self, topic: Topic, keep: Callable[[bytes], None], qos: QoSProfile
    ) -> Subscription:
        kind = self._classes[topic.name] = interface_class(topic.type)
        if next(iter(kind.get_fields_and_field_types().values())) in BEGINS_WITH_STAMP:
            self._stamped.add(topic.name)
        return self._node.create_subscription(kind, topic.name, keep, qos, raw=True)

    def _sample(self, topic: Topic, version: int, data: bytes) -> _Sample:
        """Return a message with its age as of now: a stamp counts if it can be of our clock."""
        clock, now = self._node.get_clock().now().nanoseconds * 1e-9, steady_seconds()
        stamp = (stamp_of(data) or 0) * 1e-9 if topic.name in self._stamped else 0.0
        lag = clock - stamp
        if stamp == 0.0 or not -MAX_LEAD <= lag <= MAX_LAG:
            return _Sample(version, clock, now, data)
        return _Sample(version, stamp, now - max(lag, 0.0), data)

    def _refuse(self, topic: Topic, reason: str) -> None:
        """Count a message of which nothing is shown."""
        key = (topic.name, reason[:MAX_NAME])
        if key not in self._refused and len(self._refused) >= MAX_REASONS:
            key = (topic.name, "other reasons")
        self._refused[key] += 1
        self._node.get_logger().warning(
            f"{topic.name} is not shown: {key[1]}", throttle_duration_sec=5.0
        )

    def _refusals(self) -> Section:
        rows = [
            {"topic": topic, "reason": reason, "times": times}
            for (topic, reason), times in tuple(self._refused.items())
        ]
        return Section(compact(rows), None, 1.0)

    def _decode(self, topic: Topic, data: bytes, view: Callable[[Any], Any]) -> Any:
        """Return what is made of a message; _UNREADABLE, counted, if that fails."""
        try:
            return view(deserialize_message(data, self._classes[topic.name]))
        except Exception as error:  # whatever a stranger's bytes can bring about; it is counted
            self._refuse(topic, f"{type(error).__name__}: {error}")
            return _UNREADABLE

    def _section(self, name: str, view: _View) -> Section | None:
        """Return the section of a topic's newest message; the last good one if that is bad."""
        sample = self._newest.get(view.topic.name)
        made = self._made.get(name)
        now = self.now()
        if sample is None:
            return None
        if made and (made.version == sample.version or now < made.at + view.period):
            return made.section
        value = self._decode(view.topic, sample.data, lambda m: compact(view.view(m)))
        if value is not _UNREADABLE:
            section = Section(value, sample.heard, view.period)
        elif made is None:
            return None
        else:
            section = made.section
        self._made[name] = _Made(sample.version, now, section)
        return section

    def _decoded(self, topic: Topic, view: Callable[[Any], Any]) -> Iterator[tuple[float, Any]]:
        """Yield, with when it was heard, what is made of each message that came since last."""
        queue = self._queues[topic.name]
        while queue:
            sample = queue.popleft()
            value = self._decode(topic, sample.data, view)
            if value is not _UNREADABLE:
                yield sample.heard, value

    def _is_ours(self, name: str) -> bool:
        """Return whether a node is in the robot's namespace: some topics are all robots'."""
        return f"/{name}".startswith(f"{self._node.get_namespace().rstrip('/')}/")

    def _spoken_section(
        self, name: str, topic: Topic, views: Callable[[Any], Mapping[str, Any]]
    ) -> Section | None:
        """Return the newest that each speaker of a topic said, as an object by speaker."""
        spoken = self._spoken.setdefault(name, {})
        for heard, said in self._decoded(topic, views):
            for speaker, value in said.items():
                if topic is topics.DIAGNOSTICS and not self._is_ours(speaker):
                    continue
                spoken.pop(speaker, None)
                spoken[speaker] = (heard, value)
        for speaker in tuple(spoken):  # in the order in which they last spoke
            if len(spoken) > MAX_SPEAKERS or steady_seconds() - spoken[speaker][0] > SILENT_AFTER:
                del spoken[speaker]
        if not spoken:
            return None
        heard = max(heard for heard, _ in spoken.values())
        ordered = {speaker: spoken[speaker][1] for speaker in sorted(spoken)}
        return Section(compact(ordered), heard, 1.0)

    def _on_static(self, message: TFMessage) -> None:
        for transform in message.transforms:
            self._transforms.set_transform_static(transform, "tf_static")

    def _mount(self, frame: str) -> NDArray[np.float64]:
        mount = self._mounts.base_from(frame)
        if mount is None:
            raise LookupError(f"no transform to {text(frame, MAX_NAME)}")
        return mount

    def _scan_outline(self, scan: LaserScan) -> list[list[float]]:
        check_scan(scan)
        return outline(scan_points(scan, self._mount(scan.header.frame_id)))

    def _sweep_outline(self, cloud: PointCloud2) -> list[list[float]]:
        points = cloud_points(cloud, self._mount(cloud.header.frame_id))
        low, high = OUTLINE_HEIGHTS
        return outline(points[(points[:, 2] > low) & (points[:, 2] < high), :2])

    def _view_optics(self, info: CameraInfo) -> Any:
        mount = self._mounts.base_from(info.header.frame_id)
        return None if mount is None else view_optics(info, mount)

    def _frame(self, topic: Topic) -> Frame | None:
        sample = self._newest.get(topic.name)
        if sample is None:
            return None

        def decode() -> NDArray[np.uint8]:
            read = (
                image_to_bgr if topic.type == topics.CAMERA_IMAGE.type else compressed_image_to_bgr
            )
            image = self._decode(topic, sample.data, read)
            if image is _UNREADABLE:
                raise ValueError(f"{topic.name} cannot be read")
            return image

        return Frame(sample.version, sample.stamp, sample.heard, decode)

    def _see_map(self) -> None:
        sample = self._newest.get(topics.COSTMAP.name)
        if sample is None or sample.version == self._map_version:
            return
        self._map_version = sample.version
        found = self._decode(topics.COSTMAP, sample.data, grey_map)
        if found is not _UNREADABLE:
            header, grey = found
            self._sheet = Sheet(sample.version, sample.heard, header, partial(_png, grey))


def grey_map(grid: OccupancyGrid) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return where a grid lies, and its cells as a grey image: dark what costs, +y up.

    Raises:
        ValueError: it has not the cells that its header promises.
    """
    info = grid.info
    cells = np.asarray(grid.data, np.int8).reshape(info.height, info.width)
    if not cells.size or not math.isfinite(info.resolution + info.origin.position.x):
        raise ValueError("a map without extent or place")
    costs = np.clip(cells.astype(np.int16), 0, 100)
    grey = np.where(cells < 0, MAP_UNKNOWN, MAP_FREE - (MAP_FREE - MAP_OCCUPIED) * costs // 100)
    header = {
        "resolution": number(info.resolution, 4),
        "x": number(info.origin.position.x),
        "y": number(info.origin.position.y),
        "width": info.width,
        "height": info.height,
        "frame": text(grid.header.frame_id, MAX_NAME),
    }
    return header, np.flipud(grey.astype(np.uint8))


def _png(grey: NDArray[np.uint8], factor: int) -> bytes:
    """Return an image as PNG, so many times smaller; of what becomes one, the darkest counts."""
    if factor > 1:
        size = tuple(max(1, side // factor) for side in grey.shape[::-1])
        darkest = cv2.erode(grey, np.ones((factor, factor), np.uint8))
        grey = cv2.resize(darkest, size, interpolation=cv2.INTER_NEAREST)
    _, png = cv2.imencode(".png", grey)
    return bytes(png.tobytes())


def _statuses(m: Any) -> dict[str, Any]:
    return {text(item.name, MAX_NAME): view_status(item) for item in m.status[:MAX_SPEAKERS]}


SPOKEN: dict[str, tuple[Topic, Callable[[Any], Mapping[str, Any]]]] = {
    "stages": (topics.DEADLINES, lambda m: {text(m.stage, MAX_NAME): view_stage(m)}),
    "privacy": (topics.PRIVACY, lambda m: {text(m.node, MAX_NAME): view_privacy(m)}),
    "diagnostics": (topics.DIAGNOSTICS, _statuses),
}
"""Sections of what several say on one topic: an object by speaker."""
