"""Follows objects across cameras, lidars and peers: detections → `TRACKS`, on each input."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, LaserScan, RegionOfInterest
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener
from vision_msgs.msg import Detection2DArray, Detection3DArray

from edge_robot import stages, topics
from edge_robot.errors import UserError
from edge_robot.fusion.config import ClassSettings, TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import (
    BoxMeasurement,
    ClearanceMeasurement,
    LidarMeasurement,
    Measurement,
    Source,
    clearance_name,
    name_of,
    sensor_name,
)
from edge_robot.fusion.peers import Peer, placed
from edge_robot.fusion.refusal import Refusal
from edge_robot.fusion.tracker import Tracker
from edge_robot.fusion.tracks import Track
from edge_robot.msg import FleetDetections, TrackedObjectArray
from edge_robot.nodes.conversions import nanoseconds, pose_matrix
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.diagnostics import DiagnosticsReporter
from edge_robot.nodes.fusion_diagnostics import FusionDiagnostics
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.track_messages import (
    box_measurement,
    camera_measurement,
    clearance_measurement,
    is_calibrated,
    is_labelled,
    lidar_measurement,
    peer_measurement,
    to_tracked_object_array,
)
from edge_robot.nodes.unhurried import unhurried
from edge_robot.nodes.urgency import Urgency
from edge_robot.perception.lidar.scan_geometry import ScanError
from edge_robot.settings import Settings, setting

_RETRY_PERIOD = 0.005  # s; how often a waiting measurement looks for its transform
_MAX_WAITING = 16  # messages of one sensor
_SENSOR = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class _Waiting:
    """A message whose frame's pose is not known yet."""

    sensor: str
    frame: str
    stamp: Time
    fuse: Callable[[Array], None]
    until: float  # steady time, s


@dataclass(frozen=True)
class FusionSettings(Settings):
    """What the node listens to, and where tracks live."""

    fixed_frame: str = setting("odom", "frame the tracks live in")
    transform_timeout: float = setting(
        0.1, "wait for the transform at a capture time, wall clock, s", ge=0.0, le=10.0, live=True
    )
    require_transforms: bool = setting(
        True,
        "drop detections without a transform at their capture time; false: after the wait, "
        "use the newest transform there is",
        live=True,
    )
    cameras: Sequence[str] = setting((topics.FRONT_CAMERA,), "names of the cameras")
    lidars: Sequence[str] = setting((topics.LIDAR,), "names of the lidars")
    peers: Sequence[str] = setting(("",), "names of other robots, and of roadside sensors")
    peer_frames: Sequence[str] = setting(
        ("",),
        "for each of peers, the TF frame its tracks are in; empty: the one its messages name",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("cameras", "lidars", "peers"):
            names = self.names(parameter)
            for name in names:
                if not _SENSOR.fullmatch(name) or names.count(name) > 1:
                    raise UserError(
                        f"{parameter} names {name!r}; give each name once, of letters, digits and "
                        "underscores, beginning with a letter"
                    )

    def names(self, parameter: str) -> list[str]:
        """Return the names that one of the lists has; [""] has none."""
        return [name for name in getattr(self, parameter) if name]

    def frames(self) -> dict[str, str]:
        """Return `peer_frames` by peer.

        Raises:
            UserError: there are more or fewer than peers.
        """
        peers, frames = self.names("peers"), list(self.peer_frames)
        if frames == [""]:
            return dict.fromkeys(peers, "")
        if len(frames) != len(peers):
            raise UserError("peers and peer_frames differ in length; give a frame per peer")
        return dict(zip(peers, frames, strict=True))


class Fusion(ManagedNode):
    """Feeds detections to the tracker with the sensor's pose at their capture time."""

    def __init__(self) -> None:
        super().__init__("fusion")
        self._settings = self.settings(FusionSettings())
        self._config = self.settings(TrackerConfig())
        self._classes = self.settings(ClassSettings())

    def configure(self) -> None:
        """Take what parameters say of classes and peers."""
        self._fixed_frame = self._settings.value.fixed_frame
        self._priors = self._classes.value.priors()
        self._peer_frames = self._settings.value.frames()

    def activate(self) -> None:
        """Listen, with no tracks."""
        settings, config = self._settings.value, self._config.value
        self._tracker = Tracker(replace(config, priors=self._priors))
        self._peers = {
            name: Peer(name, config.peers, self._tracker.admission) for name in self._peer_frames
        }
        self._info: dict[str, CameraInfo] = {}
        self._lidar: Array | None = None
        self._labelled: set[str] = set()
        self._capture_stamp = 0
        self._published: tuple[list[Track], int] = [], 0
        self._waiting: deque[_Waiting] = deque()
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        unhurried(self._listener.tf_sub)
        self._reporter = DeadlineReporter(self, stages.FUSION)
        cameras, lidars = settings.names("cameras"), settings.names("lidars")
        sensors = [
            *(sensor_name(Source.CAMERA, name) for name in cameras),
            *(sensor_name(Source.LIDAR, name) for name in lidars),
        ]
        diagnostics = FusionDiagnostics(
            self._tracker, sensors, self._peers.values(), steady_seconds, self._now
        )
        self._diagnostics = DiagnosticsReporter(self, diagnostics.statuses)
        self._publisher = self.create_publisher(
            TrackedObjectArray, topics.TRACKS.name, qos_profile(topics.TRACKS)
        )
        for name in cameras:
            self._listen(topics.CAMERA_INFO.of(name), CameraInfo, self._on_camera_info, name)
            detections = topics.CAMERA_DETECTIONS.of(name)
            self._listen(detections, Detection2DArray, self._on_camera, name)
        for name in lidars:
            self._listen(topics.LIDAR_DETECTIONS.of(name), Detection3DArray, self._on_lidar, name)
            self._listen(topics.LIDAR_CLEARANCE.of(name), LaserScan, self._on_clearance, name)
        for name in self._peers:
            self._listen(topics.PEER_TRACKS.of(name), TrackedObjectArray, self._on_peer, name)
        self.create_subscription(
            FleetDetections,
            topics.FLEET_DETECTIONS.name,
            self._on_fleet,
            qos_profile(topics.FLEET_DETECTIONS),
        )
        self._retry = self.create_timer(
            _RETRY_PERIOD, self._retry_waiting, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._retry.cancel()

    def reconfigure(self) -> None:
        """Fuse what comes next, and what is repeated for late measurements, by the new settings."""
        if self.is_active:
            self._tracker.config = replace(self._config.value, priors=self._priors)

    def _listen(
        self, topic: topics.Topic, kind: Any, callback: Callable[[str, Any], None], name: str
    ) -> None:
        self.create_subscription(kind, topic.name, partial(callback, name), qos_profile(topic))

    def _on_camera_info(self, name: str, info: CameraInfo) -> None:
        if is_calibrated(info):
            self._info[name] = info

    def _on_lidar(self, name: str, message: Detection3DArray) -> None:
        # An empty array of such a detector is named by those before it.
        if is_labelled(message):
            self._labelled.add(name)
        convert = box_measurement if name in self._labelled else lidar_measurement

        def fuse(pose: Array) -> None:
            self._fuse(message.header, convert(message, pose, name))

        stamp = self._captured(Source.LIDAR, name, message.header)
        self._accept(sensor_name(Source.LIDAR, name), message.header.frame_id, stamp, fuse)

    def _on_clearance(self, name: str, message: LaserScan) -> None:
        sensor = clearance_name(name)

        def fuse(pose: Array) -> None:
            try:
                measurement = clearance_measurement(message, pose, name)
            except ScanError as error:
                self._drop(sensor, Refusal.MALFORMED, str(error))
                return
            self._fuse(message.header, measurement)

        stamp = self._captured(Source.LIDAR, name, message.header)
        self._accept(sensor, message.header.frame_id, stamp, fuse)

    def _on_camera(self, name: str, message: Detection2DArray) -> None:
        self._accept_image(name, message, Source.CAMERA)

    def _on_fleet(self, message: FleetDetections) -> None:
        frame = message.detections.header.frame_id
        cameras = (name for name, info in self._info.items() if info.header.frame_id == frame)
        image, regions = message.detections, message.regions
        self._accept_image(next(cameras, ""), image, Source.FLEET, regions)

    def _accept_image(
        self,
        name: str,
        message: Detection2DArray,
        source: Source,
        regions: Sequence[RegionOfInterest] = (),
    ) -> None:
        sensor, info = sensor_name(source, name or "fleet"), self._info.get(name)
        if info is None:
            self._drop(sensor, Refusal.NO_CALIBRATION, f"in frame {message.header.frame_id}")
            return

        def fuse(pose: Array) -> None:
            measurement = camera_measurement(message, info, pose, source, name, regions)
            self._fuse(message.header, measurement)

        stamp = self._captured(source, name, message.header)
        self._accept(sensor, message.header.frame_id, stamp, fuse)

    def _on_peer(self, name: str, message: TrackedObjectArray) -> None:
        peer = self._peers[name]
        if not peer.expects(nanoseconds(message.header.stamp), self.get_clock().now().nanoseconds):
            return

        def fuse(pose: Array) -> None:
            trusted = peer.trusted
            told = placed(peer_measurement(message, name), pose, self._tracker.config.peers)
            admitted = peer.admit(told, *self._published, self._lidar)
            if trusted and not peer.trusted:
                self.get_logger().warning(f"{peer.sensor} is ignored: {peer.reason}")
            elif peer.trusted and not trusted:
                self.get_logger().info(f"{peer.sensor} is listened to again")
            if admitted is not None:
                self._fuse(message.header, admitted)

        frame = self._peer_frames[name] or message.header.frame_id
        self._accept(peer.sensor, frame, Time.from_msg(message.header.stamp), fuse)

    def _captured(self, source: Source, name: str, header: Header) -> Time:
        """Return when a message was captured, if its sensor is known to stamp early or late."""
        stamp = nanoseconds(header.stamp)
        return Time(nanoseconds=stamp - self._tracker.alignment.shift(source, name, stamp))

    def _accept(self, sensor: str, frame: str, stamp: Time, fuse: Callable[[Array], None]) -> None:
        """Fuse a message now, or as soon as the pose of its frame is known."""
        if sum(item.sensor == sensor for item in self._waiting) >= _MAX_WAITING:
            self._drop(sensor, Refusal.TOO_OFTEN, f"{_MAX_WAITING} wait for their transform")
            return
        until = steady_seconds() + self._settings.value.transform_timeout
        self._waiting.append(_Waiting(sensor, frame, stamp, fuse, until))
        self._retry_waiting()

    def _retry_waiting(self) -> None:
        still_waiting: deque[_Waiting] = deque()
        for item in self._waiting:
            try:
                pose = self._pose(item)
            except TransformException as error:
                if steady_seconds() < item.until:
                    still_waiting.append(item)
                else:
                    self._drop(item.sensor, Refusal.NO_TRANSFORM, str(error))
                continue
            item.fuse(pose)
        self._waiting = still_waiting
        if still_waiting:
            self._retry.reset()
        else:
            self._retry.cancel()

    def _pose(self, item: _Waiting) -> Array:
        """Return the pose of a message's frame in the fixed frame.

        Raises:
            TransformException: it is not known (yet).
        """
        try:
            found = self._buffer.lookup_transform(self._fixed_frame, item.frame, item.stamp)
        except TransformException:
            strict = self._settings.value.require_transforms
            if strict or steady_seconds() < item.until:
                raise
            found = self._buffer.lookup_transform(self._fixed_frame, item.frame, Time())
        return pose_matrix(found.transform)

    def _fuse(self, header: Header, measurement: Measurement) -> None:
        if isinstance(measurement, ClearanceMeasurement):
            # It shows in the next update, which is also when it is worked out.
            self._let_in(measurement)
            return
        with self._reporter.measure(header.stamp) as stage_run:
            if not self._let_in(measurement):
                return
            if isinstance(measurement, LidarMeasurement | BoxMeasurement):
                self._lidar = measurement.fixed_from_sensor[:3, 3]
            if measurement.source is Source.CAMERA:
                self._capture_stamp = max(self._capture_stamp, measurement.stamp)
            # What others say shows in the next update; it moves no stamp.
            if measurement.source not in (Source.FLEET, Source.PEER):
                stage_run.output_stamp = self._publish()

    def _let_in(self, measurement: Measurement) -> bool:
        """Give a measurement to the tracker; say so where it refuses it."""
        if self._tracker.process(measurement, self._now()):
            return True
        sensor = name_of(measurement)
        refused = self._tracker.admission.refused[sensor]
        reasons = ", ".join(f"{n} {why.value}" for why, n in refused.items())
        self.get_logger().warning(
            f"{sensor}: refused (so far: {reasons})", throttle_duration_sec=5.0
        )
        return False

    def _publish(self) -> Any:
        stamp = self._tracker.stamp
        assert stamp is not None  # a measurement has just been applied
        tracks = self._tracker.tracks()
        self._published = tracks, stamp
        message = to_tracked_object_array(tracks, stamp, self._capture_stamp, self._fixed_frame)
        self._publisher.publish(message)
        return message.header.stamp

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _drop(self, sensor: str, why: Refusal, detail: str) -> None:
        self._tracker.admission.refuse(sensor, why)
        self.get_logger().warning(f"{sensor}: {why.value} ({detail})", throttle_duration_sec=5.0)


def main() -> None:
    """Run the node."""
    run(Fusion, Urgency.FUSION)


if __name__ == "__main__":
    main()
