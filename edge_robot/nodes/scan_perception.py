"""Finds objects in the newest planar scan: `SCAN` → `LIDAR_DETECTIONS`.

For robots without a 3D lidar, in place of `lidar_perception`.
"""

from __future__ import annotations

from sensor_msgs.msg import LaserScan

from edge_robot import stages, topics
from edge_robot.nodes.box_publisher import BoxPublisher, MotionSettings
from edge_robot.nodes.deadline_reporter import DeadlineReporter
from edge_robot.nodes.managed import ManagedNode
from edge_robot.nodes.qos import qos_profile
from edge_robot.nodes.runner import run
from edge_robot.nodes.sensing import check_scan, scan_angles, scan_ranges
from edge_robot.nodes.urgency import Urgency
from edge_robot.perception.lidar.scan_geometry import ScanError
from edge_robot.perception.lidar.scans import ScanConfig, ScanDetector


class ScanPerception(ManagedNode):
    """Boxes what a scan meets, in the frame of the scan."""

    def __init__(self) -> None:
        super().__init__("scan_perception")
        self._config = self.settings(ScanConfig())
        self._motion = self.settings(MotionSettings())

    def activate(self) -> None:
        """Listen."""
        config = self._config.value
        self._detector = ScanDetector(config)
        self._reporter = DeadlineReporter(self, stages.LIDAR_PERCEPTION)
        self.boxes = BoxPublisher(self, config.objects, self._motion.value)
        newest = qos_profile(topics.SCAN)
        newest.depth = 1  # a scan that waited is a scan too old: take only the last
        self.create_subscription(LaserScan, topics.SCAN.name, self._on_scan, newest)

    def reconfigure(self) -> None:
        """Look at the next scan with the new settings."""
        if self.is_active:
            self._detector.config = self._config.value
            self.boxes.moving.config = self._motion.value.moving

    def _on_scan(self, scan: LaserScan) -> None:
        try:
            check_scan(scan)
            with self._reporter.measure(scan.header.stamp) as stage_run:
                found, points = self._detector.detect(scan_ranges(scan), scan_angles(scan))
                self.boxes.publish(found, points, scan.header)
                stage_run.output_stamp = scan.header.stamp
        except ScanError as error:
            self.boxes.drop("malformed", str(error))


def main() -> None:
    """Run the node."""
    run(ScanPerception, Urgency.PERCEPTION)


if __name__ == "__main__":
    main()
