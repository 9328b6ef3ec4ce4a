"""A robot on paper around a real dashboard: what it publishes, and what it is told.

Arguments, as JSON: `rate` of the camera, Hz; 0: none. It prints one line when all is published, and
at every line of input the commands of `CMD_VEL_TELEOP` heard since: stamp, s, and forward velocity,
m/s.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image, LaserScan

from edge_robot import topics
from edge_robot.bench.teleop.scene import HEIGHT, WIDTH, Scene
from edge_robot.msg import TrackedObject, TrackedObjectArray
from edge_robot.nodes.conversions import seconds, stamp_from_nanoseconds
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.topics import Topic

PEOPLE = 5
CELLS = 200  # of the map, along each side
RAYS = 360


class Robot(Node):
    """Publishes what a page shows, at the rates of the table of topics, and notes commands."""

    def __init__(self, rate: float) -> None:
        super().__init__("robot")
        self.heard: list[tuple[float, float]] = []
        self._scene = Scene()
        self._images = self._publisher(Image, topics.CAMERA_IMAGE)
        self._odometry = self._publisher(Odometry, topics.ODOM)
        self._scans = self._publisher(LaserScan, topics.SCAN)
        self._tracks = self._publisher(TrackedObjectArray, topics.TRACKS)
        self._paths = self._publisher(Path, topics.PATH)
        self._maps = self._publisher(OccupancyGrid, topics.COSTMAP)
        self._random = np.random.default_rng(0)
        self.create_subscription(
            TwistStamped,
            topics.CMD_VEL_TELEOP.name,
            self._on_command,
            qos_profile(topics.CMD_VEL_TELEOP),
        )
        for period, publish in (
            (1.0 / rate if rate else None, self._publish_image),
            (0.02, self._publish_odometry),
            (0.05, self._publish_scan),
            (0.05, self._publish_tracks),
            (1.0, self._publish_plans),
        ):
            if period is not None:
                self.create_timer(period, publish)

    def _publisher(self, kind: Any, topic: Topic) -> Any:
        return self.create_publisher(kind, topic.name, contract_profile(topic))

    def _on_command(self, command: TwistStamped) -> None:
        self.heard.append((seconds(command.header.stamp), command.twist.linear.x))

    def _stamped(self, message: Any, frame: str) -> Any:
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = frame
        return message

    def _publish_image(self) -> None:
        captured = time.time_ns()
        message = Image(width=WIDTH, height=HEIGHT, step=3 * WIDTH, encoding="bgr8")
        message.header.stamp = stamp_from_nanoseconds(captured)
        message.header.frame_id = "camera_front_optical_frame"
        message.data = self._scene.frame(captured * 1e-9).reshape(-1)
        self._images.publish(message)

    def _publish_odometry(self) -> None:
        message = self._stamped(Odometry(child_frame_id="base_link"), "odom")
        message.pose.pose.position.x = time.monotonic() % 10.0
        message.pose.pose.orientation.w = 1.0
        self._odometry.publish(message)

    def _publish_scan(self) -> None:
        message = LaserScan(
            angle_min=-np.pi, angle_max=np.pi, angle_increment=2 * np.pi / RAYS, range_max=20.0
        )
        message.ranges = self._random.uniform(4.0, 5.0, RAYS).astype(np.float32)
        self._scans.publish(self._stamped(message, "scan_link"))

    def _publish_tracks(self) -> None:
        message = self._stamped(TrackedObjectArray(), "odom")
        for number in range(PEOPLE):
            person = TrackedObject(id=number, class_name="person", existence=0.9)
            person.position.x, person.position.y = self._random.uniform(-5.0, 5.0, 2)
            person.size.x = person.size.y = 0.6
            message.objects.append(person)
        self._tracks.publish(message)

    def _publish_plans(self) -> None:
        path = self._stamped(Path(), "odom")
        for step in range(50):
            pose = PoseStamped()
            pose.pose.position.x = 0.1 * step
            path.poses.append(pose)
        self._paths.publish(path)
        grid = self._stamped(OccupancyGrid(), "odom")
        grid.info.resolution, grid.info.width, grid.info.height = 0.05, CELLS, CELLS
        walls = self._random.random((CELLS, CELLS)) < 0.02
        grid.data = np.where(walls, 100, 0).astype(np.int8).reshape(-1)
        self._maps.publish(grid)


def main(rate: float) -> None:
    """Publish until the input ends."""
    rclpy.init(args=[])
    node = Robot(rate)
    print(json.dumps({"publishing": True}), flush=True)

    def answer() -> None:
        for _ in sys.stdin:
            heard, node.heard = node.heard, []
            print(json.dumps({"heard": heard}), flush=True)
        rclpy.try_shutdown()

    threading.Thread(target=answer, daemon=True).start()
    with suppress(ExternalShutdownException):
        rclpy.spin(node)
    node.destroy_node()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
