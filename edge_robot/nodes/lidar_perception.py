"""Finds objects in the newest sweep: `LIDAR_POINTS` → `LIDAR_DETECTIONS`, `LIDAR_CLEARANCE`."""

from __future__ import annotations

from sensor_msgs.msg import LaserScan, PointCloud2

from edge_robot import stages, topics
from edge_robot.nodes.box_publisher import BoxPublisher, MotionSettings
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.sensing import read_cloud
from edge_robot.nodes.track_messages import clearance_scan
from edge_robot.nodes.urgency import Urgency
from edge_robot.perception.lidar.clearance import ClearanceConfig, clearance
from edge_robot.perception.lidar.detector import LidarConfig, LidarDetector
from edge_robot.perception.lidar.points import CloudError, Sweep


class LidarPerception(ManagedNode):
    """Boxes what stands on the ground, and tells how far one sees, in the frame of the cloud."""

    def __init__(self) -> None:
        super().__init__("lidar_perception")
        self._config = self.settings(LidarConfig())
        self._motion = self.settings(MotionSettings())
        self._clear = self.settings(ClearanceConfig())

    def activate(self) -> None:
        """Listen."""
        config = self._config.value
        self._detector = LidarDetector(config)
        self._reporter = DeadlineReporter(self, stages.LIDAR_PERCEPTION)
        self.boxes = BoxPublisher(self, config.objects, self._motion.value)
        topic = topics.LIDAR_CLEARANCE
        self._clearance = self.create_publisher(LaserScan, topic.name, qos_profile(topic))
        newest = qos_profile(topics.LIDAR_POINTS)
        newest.depth = 1  # a sweep that waited is a sweep too old: take only the last
        self.create_subscription(PointCloud2, topics.LIDAR_POINTS.name, self._on_cloud, newest)

    def reconfigure(self) -> None:
        """Look at the next sweep with the new settings."""
        if self.is_active:
            self._detector.config = self._config.value
            self.boxes.moving.config = self._motion.value.moving

    def _on_cloud(self, cloud: PointCloud2) -> None:
        try:
            with self._reporter.measure(cloud.header.stamp) as stage_run:
                sweep = Sweep.of(read_cloud(cloud))
                found = self._detector.detect(sweep)
                if not found.returns:
                    self.boxes.drop(
                        "no returns",
                        f"none of the cloud's {cloud.width * cloud.height} points is a return in "
                        "range: that is a blind lidar, not an empty room",
                    )
                    return
                self.boxes.publish(found, sweep, cloud.header)
                stage_run.output_stamp = cloud.header.stamp
            if found.ground is not None:
                told = clearance(sweep, found.ground, self._clear.value)
                if told.any():  # else it is mounted too high, or too low
                    self._clearance.publish(clearance_scan(told, cloud.header))
        except CloudError as error:
            self.boxes.drop("malformed", str(error))
            return
        if found.ground is None or not found.ground.estimated:
            self.get_logger().warning(
                "too little ground in view: taking it level at mount_height below the sensor",
                throttle_duration_sec=5.0,
            )


def main() -> None:
    """Run the node."""
    run(LidarPerception, Urgency.PERCEPTION)


if __name__ == "__main__":
    main()
