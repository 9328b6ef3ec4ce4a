"""Publishes the boxes of a lidar with what is known of their motion, and counts what gave none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException, TransformListener
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from edge_robot import topics
from edge_robot.nodes.conversions import pose_matrix, quaternion_from_yaw, seconds
from edge_robot.nodes.diagnostics import ERROR, OK, STALE, WARN, DiagnosticsReporter, Status
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.steady import steady_seconds
from edge_robot.nodes.track_messages import UNCLASSIFIED
from edge_robot.perception.lidar.moving import MovingConfig, MovingObjects
from edge_robot.perception.lidar.objects import LidarDetections, ObjectConfig
from edge_robot.perception.lidar.points import Sweep
from edge_robot.settings import Settings, setting

_SILENT = 1.0  # s without a sweep
MOVING_ID = "moving"
"""Second hypothesis of a box: its score is the probability that the thing moves."""


@dataclass(frozen=True)
class MotionSettings(Settings):
    """How it is told what moves."""

    fixed_frame: str = setting(
        "odom", "frame that stands still, to tell what moves; empty: no odometry"
    )
    moving: MovingConfig = field(default_factory=MovingConfig)


class BoxPublisher:
    """The output of a node that finds boxes, and what it says of its sensor in `DIAGNOSTICS`.

    Args:
        node: The node.
        config: Of the sensor's objects.
        motion: How it is told what moves.

    Attributes:
        dropped: How many sweeps gave no boxes, by reason.
        moving: Tells what moves.
    """

    def __init__(self, node: Node, config: ObjectConfig, motion: MotionSettings) -> None:
        self._node = node
        self._fixed_frame = motion.fixed_frame
        self.moving = MovingObjects(
            config.azimuth_step, config.uncertainty.elevation_step, motion.moving
        )
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)
        self._publisher = node.create_publisher(
            Detection3DArray, topics.LIDAR_DETECTIONS.name, qos_profile(topics.LIDAR_DETECTIONS)
        )
        self.dropped: Counter[str] = Counter()
        self._published = 0
        self._last: LidarDetections | None = None
        self._moving_known = 0.0
        self._refused = ""
        self._heard: float | None = None
        self._diagnostics = DiagnosticsReporter(node, lambda: [self._status()])

    def publish(
        self, found: LidarDetections, sweep: NDArray[np.float32] | Sweep, header: Header
    ) -> None:
        """Publish boxes.

        Args:
            found: The boxes.
            sweep: (N, 3+) every point of the sweep, sensor frame, m.
            header: The sweep's: its capture time and frame.
        """
        moving = self.moving.judge(
            seconds(header.stamp), self._pose(header), sweep, found.members, found.points
        )
        self._publisher.publish(to_detection_array(found, moving, header))
        self._published += 1
        self._last, self._refused, self._heard = found, "", steady_seconds()
        self._moving_known = float(np.isfinite(moving).mean()) if len(moving) else 0.0

    def drop(self, reason: str, text: str) -> None:
        """Count and report a sweep that tells nothing: no boxes is not the same as nothing there.

        Args:
            reason: In a word or two, for the counter.
            text: What is wrong with it.
        """
        self.dropped[reason] += 1
        self._refused, self._heard = text, steady_seconds()
        self._node.get_logger().error(
            f"{text}; {self.dropped.total()} sweep(s) dropped so far", throttle_duration_sec=5.0
        )

    def _status(self) -> Status:
        """Say how the sensor is."""
        level, message = OK, "seeing"
        if self._heard is None:
            level, message = STALE, "no sweep yet"
        elif steady_seconds() - self._heard > _SILENT:
            level, message = STALE, f"no sweep for {steady_seconds() - self._heard:.1f} s"
        elif self._refused:
            level, message = ERROR, self._refused
        elif self._last is not None and self._last.ground and not self._last.ground.estimated:
            level, message = WARN, "too little ground in view: taken to be level"
        values: dict[str, object] = {"sweeps_published": self._published}
        if self._last is not None:
            values["returns"] = self._last.returns
            values["boxes"] = len(self._last)
            values["boxes_whose_motion_is_known"] = self._moving_known
        for reason, count in sorted(self.dropped.items()):
            values[f"dropped_{reason.replace(' ', '_')}"] = count
        return Status("lidar", level, message, values)

    def _pose(self, header: Header) -> NDArray[np.float64] | None:
        """Return the pose of the sensor at the capture time; None if it is not known (yet)."""
        if not self._fixed_frame:
            return None
        try:
            found = self._buffer.lookup_transform(
                self._fixed_frame, header.frame_id, Time.from_msg(header.stamp)
            )
        except TransformException:
            return None
        return pose_matrix(found.transform)


def to_detection_array(
    found: LidarDetections, moving: NDArray[np.float64], header: Header
) -> Detection3DArray:
    """Return boxes as a message.

    Args:
        found: The boxes.
        moving: (M,) probability that each moves; NaN where not known.
        header: The sweep's: its capture time and frame.
    """
    rows = zip(
        found.centers.tolist(),
        found.sizes.tolist(),
        found.yaws.tolist(),
        found.scores.tolist(),
        found.uncertainty.covariance.reshape(-1, 36),
        moving.tolist(),
        strict=True,
    )
    return Detection3DArray(header=header, detections=[_to_detection(header, *row) for row in rows])


def _to_detection(
    header: Header,
    center: list[float],
    size: list[float],
    yaw: float,
    score: float,
    covariance: NDArray[np.float64],
    moving: float,
) -> Detection3D:
    detection = Detection3D(header=header)
    box = detection.bbox
    box.center.position.x, box.center.position.y, box.center.position.z = center
    box.center.orientation = quaternion_from_yaw(yaw)
    box.size.x, box.size.y, box.size.z = size
    hypotheses = [(UNCLASSIFIED, score)]
    if np.isfinite(moving):
        hypotheses.append((MOVING_ID, moving))
    results = []
    for class_id, value in hypotheses:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = class_id
        result.hypothesis.score = value
        result.pose.pose = box.center
        result.pose.covariance = covariance
        results.append(result)
    detection.results = results
    return detection
