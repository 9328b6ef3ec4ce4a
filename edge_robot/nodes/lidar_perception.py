"""Finds objects in the newest lidar sweep: `LIDAR_POINTS` → `LIDAR_DETECTIONS`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from edge_robot import stages, topics
from edge_robot.nodes.conversions import quaternion_from_yaw
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.parameters import declare_settings
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.sensing import read_cloud
from edge_robot.perception.lidar.detector import LidarConfig, LidarDetections, LidarDetector
from edge_robot.perception.lidar.points import CloudError

CLASS_ID = "object"
"""The one class a lidar box has: it says where something is, not what it is."""


class LidarPerception(Node):
    """Boxes what stands on the ground, in the frame of the cloud."""

    def __init__(self) -> None:
        super().__init__("lidar_perception")
        self._detector = LidarDetector(declare_settings(self, LidarConfig()))
        self._dropped = 0
        self._reporter = DeadlineReporter(self, stages.LIDAR_PERCEPTION)
        self._publisher = self.create_publisher(
            Detection3DArray,
            topics.LIDAR_DETECTIONS.name,
            qos_profile(topics.LIDAR_DETECTIONS),
        )
        newest = qos_profile(topics.LIDAR_POINTS)
        newest.depth = 1  # a sweep that waited is a sweep too old: take only the last
        self.create_subscription(PointCloud2, topics.LIDAR_POINTS.name, self._on_cloud, newest)

    def _on_cloud(self, cloud: PointCloud2) -> None:
        try:
            with self._reporter.measure(cloud.header.stamp) as stage_run:
                found = self._detector.detect(read_cloud(cloud))
                self._publisher.publish(to_detection_array(found, cloud.header))
                stage_run.output_stamp = cloud.header.stamp
        except CloudError as error:
            self._dropped += 1
            self.get_logger().error(
                f"{error}; {self._dropped} sweep(s) dropped so far", throttle_duration_sec=5.0
            )
            return
        if not found.ground.estimated:
            self.get_logger().warning(
                "too little ground in view: taking it level at mount_height below the sensor",
                throttle_duration_sec=5.0,
            )


def to_detection_array(found: LidarDetections, header: Header) -> Detection3DArray:
    """Return boxes as a message; `header` is the cloud's: its capture time and frame."""
    rows = zip(
        found.centers.tolist(),
        found.sizes.tolist(),
        found.yaws.tolist(),
        found.scores.tolist(),
        found.uncertainty.covariance.reshape(-1, 36),
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
) -> Detection3D:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = CLASS_ID
    result.hypothesis.score = score
    detection = Detection3D(header=header, results=[result])
    box = detection.bbox
    box.center.position.x, box.center.position.y, box.center.position.z = center
    box.center.orientation = quaternion_from_yaw(yaw)
    box.size.x, box.size.y, box.size.z = size
    result.pose.pose = box.center
    result.pose.covariance = covariance
    return detection


def main() -> None:
    """Run the node."""
    run(LidarPerception)


if __name__ == "__main__":
    main()
