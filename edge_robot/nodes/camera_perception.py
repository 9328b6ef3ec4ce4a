"""Finds objects in the newest camera image: `CAMERA_IMAGE` → `CAMERA_DETECTIONS`."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from edge_robot import stages, topics
from edge_robot.nodes.conversions import image_to_bgr
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.perception.detector import Detector


class CameraPerception(Node):
    """Runs the onboard detector on every image it can keep up with, and on none twice."""

    def __init__(self) -> None:
        super().__init__("camera_perception")
        model = self._parameter(
            "model", "warehouse_edge", "name of a model in models/, or its path"
        )
        min_score = self._parameter(
            "min_score", -1.0, "lowest score published, 0..1; negative: the model card's own"
        )
        threads = self._parameter("threads", 1, "threads of one inference")
        self._detector = Detector(
            model, min_score=min_score if min_score >= 0.0 else None, threads=threads
        )
        self._detector.warm_up()
        self.dropped = 0
        self._reporter = DeadlineReporter(self, stages.CAMERA_PERCEPTION)
        self._publisher = self.create_publisher(
            Detection2DArray,
            topics.CAMERA_DETECTIONS.name,
            qos_profile(topics.CAMERA_DETECTIONS),
        )
        newest = qos_profile(topics.CAMERA_IMAGE)
        newest.depth = 1  # a frame that waited is a frame too old: take only the last
        self.create_subscription(Image, topics.CAMERA_IMAGE.name, self._on_image, newest)
        self.get_logger().info(
            f"{self._detector.path.name} sha256 {self._detector.sha256[:12]} on "
            f"{self._detector.provider}, {threads} thread(s), "
            f"score >= {self._detector.min_score:.2f}"
        )

    def _parameter(self, name: str, default: Any, about: str) -> Any:
        return self.declare_parameter(name, default, ParameterDescriptor(description=about)).value

    def _on_image(self, image: Image) -> None:
        try:
            pixels = image_to_bgr(image)
        except ValueError as error:
            self.dropped += 1
            self.get_logger().error(
                f"{error}; {self.dropped} frame(s) dropped so far", throttle_duration_sec=5.0
            )
            return
        with self._reporter.measure(image.header.stamp) as stage_run:
            found = self._detector.detect(pixels)
            self._publisher.publish(to_detection_array(found, image.header))
            stage_run.output_stamp = image.header.stamp


def main() -> None:
    """Run the node."""
    run(CameraPerception)


if __name__ == "__main__":
    main()
