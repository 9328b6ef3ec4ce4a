"""Follows objects across camera and lidar: detections → `TRACKS`, at once on each input."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener
from vision_msgs.msg import Detection2DArray, Detection3DArray

from edge_robot import stages, topics
from edge_robot.errors import UserError
from edge_robot.fusion.config import ClassPrior, TrackerConfig
from edge_robot.fusion.kalman import Array
from edge_robot.fusion.measurements import Measurement, Source
from edge_robot.fusion.tracker import Tracker
from edge_robot.msg import FleetDetections, TrackedObjectArray
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.track_messages import (
    camera_measurement,
    lidar_measurement,
    pose_matrix,
    to_tracked_object_array,
)

_RETRY_PERIOD = 0.005  # s; how often a waiting measurement looks for its transform


@dataclass(frozen=True)
class _Waiting:
    """A measurement whose sensor pose is not known yet."""

    header: Header
    convert: Callable[[Array], Measurement]
    until: float  # steady time, s


class Fusion(Node):
    """Feeds detections to the tracker with the sensor's pose at their capture time."""

    def __init__(self) -> None:
        super().__init__("fusion")
        self._fixed_frame = self._parameter("fixed_frame", "odom", "frame the tracks live in")
        self._timeout = self._parameter(
            "transform_timeout", 0.1, "wait for the transform at a capture time, wall clock, s"
        )
        self._strict = self._parameter(
            "require_transforms",
            True,
            "drop detections without a transform at their capture time; false: after the wait, "
            "use the newest transform there is",
        )
        config = declare_settings(self, TrackerConfig())
        self._tracker = Tracker(replace(config, priors=self._class_priors()))
        self._info: CameraInfo | None = None
        self._capture_stamp = 0
        self._dropped = 0
        self._waiting: deque[_Waiting] = deque()
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self._reporter = DeadlineReporter(self, stages.FUSION)
        self._publisher = self.create_publisher(
            TrackedObjectArray, topics.TRACKS.name, qos_profile(topics.TRACKS)
        )
        for topic, kind, callback in (
            (topics.CAMERA_INFO, CameraInfo, self._on_camera_info),
            (topics.CAMERA_DETECTIONS, Detection2DArray, self._on_camera),
            (topics.LIDAR_DETECTIONS, Detection3DArray, self._on_lidar),
            (topics.FLEET_DETECTIONS, FleetDetections, self._on_fleet),
        ):
            self.create_subscription(kind, topic.name, callback, qos_profile(topic))
        self._retry = self.create_timer(
            _RETRY_PERIOD, self._retry_waiting, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._retry.cancel()

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value

    def _class_priors(self) -> dict[str, ClassPrior]:
        names = self._parameter("class_names", ["person"], "classes that may start a track alone")
        columns = [
            self._parameter("class_lengths", [0.5], "usual length of each class, m"),
            self._parameter("class_widths", [0.5], "usual width of each class, m"),
            self._parameter("class_heights", [1.72], "usual height of each class, m"),
            self._parameter("class_height_errors", [0.12], "standard deviation of the height, m"),
        ]
        if any(len(column) != len(names) for column in columns):
            raise UserError(
                "fusion: class_names, class_lengths, class_widths, class_heights and "
                "class_height_errors differ in length; give one value per class"
            )
        return {name: ClassPrior(*row) for name, *row in zip(names, *columns, strict=True)}

    def _on_camera_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_lidar(self, message: Detection3DArray) -> None:
        self._accept(message.header, lambda pose: lidar_measurement(message, pose))

    def _on_camera(self, message: Detection2DArray) -> None:
        self._accept_image(message, Source.CAMERA)

    def _on_fleet(self, message: FleetDetections) -> None:
        self._accept_image(message.detections, Source.FLEET)

    def _accept_image(self, message: Detection2DArray, source: Source) -> None:
        info = self._info
        if info is None:
            self._drop(f"no calibration on {topics.CAMERA_INFO.name} yet")
            return
        self._accept(message.header, lambda pose: camera_measurement(message, info, pose, source))

    def _accept(self, header: Header, convert: Callable[[Array], Measurement]) -> None:
        """Fuse a measurement now, or as soon as the pose of its sensor is known."""
        self._waiting.append(_Waiting(header, convert, time.monotonic() + self._timeout))
        self._retry_waiting()

    def _retry_waiting(self) -> None:
        still_waiting: deque[_Waiting] = deque()
        for item in self._waiting:
            try:
                pose = self._sensor_pose(item)
            except TransformException as error:
                if time.monotonic() < item.until:
                    still_waiting.append(item)
                else:
                    self._drop(str(error))
                continue
            self._fuse(item, pose)
        self._waiting = still_waiting
        if still_waiting:
            self._retry.reset()
        else:
            self._retry.cancel()

    def _sensor_pose(self, item: _Waiting) -> Array:
        """Return the pose of a measurement's sensor in the fixed frame.

        Raises:
            TransformException: it is not known (yet).
        """
        frame, stamp = item.header.frame_id, Time.from_msg(item.header.stamp)
        try:
            found = self._buffer.lookup_transform(self._fixed_frame, frame, stamp)
        except TransformException:
            if self._strict or time.monotonic() < item.until:
                raise
            found = self._buffer.lookup_transform(self._fixed_frame, frame, Time())
        return pose_matrix(found.transform)

    def _fuse(self, item: _Waiting, pose: Array) -> None:
        with self._reporter.measure(item.header.stamp) as stage_run:
            measurement = item.convert(pose)
            if not self._tracker.process(measurement, self.get_clock().now().nanoseconds):
                reasons = ", ".join(f"{n} {why}" for why, n in self._tracker.rejected.items())
                self._drop(f"{measurement.source.name} measurement refused (so far: {reasons})")
                return
            if measurement.source is Source.CAMERA:
                self._capture_stamp = max(self._capture_stamp, measurement.stamp)
            # A late second opinion shows in the next update; it moves no stamp.
            if measurement.source is not Source.FLEET:
                stage_run.output_stamp = self._publish()

    def _publish(self) -> Any:
        stamp = self._tracker.stamp
        assert stamp is not None  # a measurement has just been applied
        message = to_tracked_object_array(
            self._tracker.tracks(), stamp, self._capture_stamp, self._fixed_frame
        )
        self._publisher.publish(message)
        return message.header.stamp

    def _drop(self, why: str) -> None:
        self._dropped += 1
        self.get_logger().warning(
            f"{why}; {self._dropped} message(s) dropped so far", throttle_duration_sec=5.0
        )


def main() -> None:
    """Run the node."""
    run(Fusion)


if __name__ == "__main__":
    main()
