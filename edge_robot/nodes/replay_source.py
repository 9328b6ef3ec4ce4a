"""Replays recorded camera and lidar data, each sample once the one before is dealt with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMsg
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray

from edge_robot import topics
from edge_robot.errors import UserError
from edge_robot.introspection.interfaces import interface_class
from edge_robot.msg import TrackedObjectArray
from edge_robot.nodes.conversions import nanoseconds, stamp_from_nanoseconds
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.steady import steady_seconds
from edge_robot.replay.lockstep import LockStep, Sensor
from edge_robot.replay.opening import open_source
from edge_robot.replay.source import Camera, Frame, Transform
from edge_robot.topics import Topic

TICK = 0.02
"""Between two looks at what is due, s; results are also looked at when they come."""

LINGER = 0.5
"""How long listeners get after the last result to take in what is under way, s."""


class ReplaySource(ManagedNode):
    """Publishes a recording in lock-step with perception and fusion."""

    def __init__(self) -> None:
        super().__init__("replay_source")
        self._path = self.parameter("path", "", "folder, ROS 2 bag or MCAP file to replay")
        self._image_topic = self.parameter("image_topic", "", "of a bag with several cameras")
        self._points_topic = self.parameter("points_topic", "", "of a bag with several lidars")
        self._lidar_height = self.parameter(
            "lidar_height", 1.73, "of a folder: lidar above the ground, m", ge=0.0, le=100.0
        )
        self._speed = self.parameter("speed", 1.0, "times real time at most; 0: no limit", ge=0.0)
        self._timeout = self.parameter(
            "timeout", 30.0, "longest wait for results, wall clock, s", ge=0.0, live=True
        )
        self._resend_after = self.parameter(
            "resend_after",
            3.0,
            "wait before a sample that got lost is sent again, s",
            ge=0.0,
            live=True,
        )
        self._listeners = self.parameter(
            "listeners", 2, "subscriptions each sensor topic must have before the start", ge=0
        )

    def configure(self) -> None:
        """Open the recording.

        Raises:
            UserError: it is none.
        """
        if not self._path.value:
            raise UserError("replay_source: parameter 'path' is empty; name what to replay")
        self._source = open_source(
            Path(self._path.value).expanduser(),
            image_topic=self._image_topic.value,
            points_topic=self._points_topic.value,
            lidar_height=self._lidar_height.value,
        )

    def activate(self) -> None:
        """Replay it, from its beginning, once everybody listens."""
        self._outputs = {
            topic.name: self.create_publisher(
                interface_class(topic.type), topic.name, _unexpiring(topic)
            )
            for topic in (
                topics.CLOCK,
                topics.TF,
                topics.TF_STATIC,
                topics.CAMERA_INFO,
                topics.CAMERA_IMAGE,
                topics.LIDAR_POINTS,
            )
        }
        self._lockstep = LockStep()
        answers: tuple[tuple[Topic, Any, Callable[[Any], None]], ...] = (
            (topics.CAMERA_DETECTIONS, Detection2DArray, self._on_camera_detections),
            (topics.LIDAR_DETECTIONS, Detection3DArray, self._on_lidar_detections),
            (topics.TRACKS, TrackedObjectArray, self._on_tracks),
        )
        for topic, kind, callback in answers:
            self.create_subscription(kind, topic.name, callback, qos_profile(topic))
        # Silent publishers that only count who listens to the answers, until the start.
        self._probes = {
            topic.name: self.create_publisher(kind, topic.name, qos_profile(topic))
            for topic, kind, _ in answers
        }
        self._publish_transforms(topics.TF_STATIC, self._source.static)
        self._frames: Iterator[Frame] = iter(self._source)
        self._samples: deque[Callable[[], None]] = deque()
        self._sent: Callable[[], None] | None = None
        self._sent_again = 0
        self._started = False
        self._ended = False
        self._first_stamp: int | None = None
        self._start = self._since = self._last_sent = steady_seconds()
        self._frame = self._next_frame()
        self.create_timer(TICK, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"{self._source.name}: {len(self._source)} images and clouds")

    # --- results ----------------------------------------------------------------------------

    def _on_camera_detections(self, message: Detection2DArray) -> None:
        self._lockstep.detections(Sensor.CAMERA, nanoseconds(message.header.stamp))
        self._tick()

    def _on_lidar_detections(self, message: Detection3DArray) -> None:
        self._lockstep.detections(Sensor.LIDAR, nanoseconds(message.header.stamp))
        self._tick()

    def _on_tracks(self, message: TrackedObjectArray) -> None:
        self._lockstep.tracks(nanoseconds(message.header.stamp), nanoseconds(message.capture_stamp))
        self._tick()

    # --- the loop ---------------------------------------------------------------------------

    def _tick(self) -> None:
        """Do what is due: wait for listeners, send, send again, give up, or end."""
        now = steady_seconds()
        if self._ended:
            if now - self._since >= LINGER:
                rclpy.try_shutdown()
        elif not self._started:
            self._wait_for_listeners(now)
        elif not self._lockstep.done:
            self._wait_for_results(now)
        elif self._samples:
            self._sent, self._since, self._last_sent = self._samples.popleft(), now, now
            self._sent()
        elif self._frame is None:
            self._ended, self._since = True, now
            again = f", {self._sent_again} sent again" if self._sent_again else ""
            self.get_logger().info(
                f"done: {self._lockstep.images} images, {self._lockstep.clouds} clouds{again}"
            )
        elif now >= self._due(self._frame):
            self._begin(self._frame)
            self._frame = self._next_frame()

    def _wait_for_listeners(self, now: float) -> None:
        missing = self._unmatched()
        if not missing:
            self._started, self._start = True, now
        elif now - self._since > self._timeout.value:
            raise UserError(
                f"replay_source: nobody uses or answers {', '.join(missing)} after "
                f"{self._timeout.value:g} s; are camera_perception, lidar_perception, fusion and "
                "recorder running on this domain?"
            )

    def _unmatched(self) -> list[str]:
        """Return the topics on which not everybody has met."""
        heard = (topics.CAMERA_IMAGE, topics.CAMERA_INFO, topics.LIDAR_POINTS)
        counted = {topic.name: self._outputs[topic.name] for topic in heard} | self._probes
        few = [n for n, p in counted.items() if p.get_subscription_count() < self._listeners.value]
        if not few:
            for probe in self._probes.values():
                self.destroy_publisher(probe)
            self._probes = {}
        return few

    def _wait_for_results(self, now: float) -> None:
        if now - self._since > self._timeout.value:
            raise UserError(
                f"replay_source: no {self._lockstep.missing} within {self._timeout.value:g} s, "
                f"after {self._lockstep.images} images and {self._lockstep.clouds} clouds of "
                f"{len(self._source)}; see the other nodes' messages, or raise 'timeout'"
            )
        if now - self._last_sent > self._resend_after.value and self._sent is not None:
            # Sensor topics are best effort: a sample may be lost on the way.
            self._last_sent = now
            self._sent_again += 1
            self._sent()

    def _due(self, frame: Frame) -> float:
        if self._speed.value <= 0.0 or self._first_stamp is None:
            return 0.0
        return self._start + (frame.stamp - self._first_stamp) * 1e-9 / self._speed.value

    def _next_frame(self) -> Frame | None:
        return next(self._frames, None)

    def _begin(self, frame: Frame) -> None:
        """Publish what a frame's samples rest on, and line the samples up: the cloud first."""
        if self._first_stamp is None:
            self._first_stamp = frame.stamp
        stamp = stamp_from_nanoseconds(frame.stamp)
        self._outputs[topics.CLOCK.name].publish(ClockMsg(clock=stamp))
        self._publish_transforms(topics.TF, frame.transforms)
        if frame.points is not None and not frame.points[:, :3].any():
            # lidar_perception would refuse it, and the replay wait for its answer in vain.
            self.get_logger().warning(f"cloud at {frame.stamp} ns has no return: left out")
        elif frame.points is not None:
            cloud = _cloud(frame.points, Header(stamp=stamp, frame_id=self._source.lidar_frame))
            self._line_up(Sensor.LIDAR, frame.stamp, {topics.LIDAR_POINTS: cloud})
        if frame.image is not None:
            header = Header(stamp=stamp, frame_id=self._source.camera.frame)
            sample = {
                topics.CAMERA_INFO: _camera_info(self._source.camera, header),
                topics.CAMERA_IMAGE: _image(frame.image, header),
            }
            self._line_up(Sensor.CAMERA, frame.stamp, sample)
        self._tick()

    def _line_up(self, sensor: Sensor, stamp: int, messages: dict[Topic, Any]) -> None:
        def send() -> None:
            self._lockstep.send(sensor, stamp)
            for topic, message in messages.items():
                self._outputs[topic.name].publish(message)

        self._samples.append(send)

    def _publish_transforms(self, topic: Topic, transforms: Any) -> None:
        if transforms:
            message = TFMessage(transforms=[_transform(item) for item in transforms])
            self._outputs[topic.name].publish(message)


def _unexpiring(topic: Topic) -> Any:
    """The topic's contract without a lifespan: a slow machine shall not lose samples by age."""
    return qos_profile(replace(topic, qos=replace(topic.qos, lifespan=None)))


def _transform(item: Transform) -> TransformStamped:
    message = TransformStamped(child_frame_id=item.child)
    message.header.frame_id = item.parent
    message.header.stamp = stamp_from_nanoseconds(item.stamp)
    x, y, z = (float(value) for value in item.matrix[:3, 3])
    message.transform.translation = Vector3(x=x, y=y, z=z)
    qx, qy, qz, qw = (float(v) for v in Rotation.from_matrix(item.matrix[:3, :3]).as_quat())
    message.transform.rotation = Quaternion(x=qx, y=qy, z=qz, w=qw)
    return message


def _camera_info(camera: Camera, header: Header) -> CameraInfo:
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model=camera.distortion_model,
        d=list(camera.distortion),
        k=camera.intrinsics.reshape(-1),
        r=camera.rectification.reshape(-1),
        p=camera.projection.reshape(-1),
    )


def _image(pixels: np.ndarray, header: Header) -> Image:
    height, width = pixels.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="bgr8",
        step=3 * width,
        data=pixels.tobytes(),
    )


def _cloud(points: np.ndarray, header: Header) -> PointCloud2:
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate(("x", "y", "z", "intensity"))
        ],
        point_step=16,
        row_step=16 * len(points),
        data=points.astype("<f4").tobytes(),
        is_dense=True,
    )


def main() -> None:
    """Run the node."""
    run(ReplaySource)


if __name__ == "__main__":
    main()
