"""`fleet_telemetry` as a process: what it hears reaches the archive of a real backend, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from edge_robot.msg import Event, FleetDetections, LinkState, RobotMode
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from edge_robot import topics
from edge_robot.fleet.backend.archive import Archive, Archived
from edge_robot.fleet.backend.scheduler import Scheduler
from edge_robot.fleet.backend.server import Backend
from edge_robot.fleet.spool.payload import unpack
from edge_robot.nodes.detection_messages import to_detection_array
from edge_robot.nodes.qos import qos_profile
from edge_robot.perception.detections import Detections

LIMIT = 40.0


class Robot(Node):
    """The rest of the robot."""

    def __init__(self) -> None:
        super().__init__("rest_of_the_robot")
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)
        self._out = {
            topic: self.create_publisher(kind, topic.name, qos_profile(topic))
            for topic, kind in (
                (topics.EVENTS, Event),
                (topics.MODE, RobotMode),
                (topics.LINK, LinkState),
                (topics.ODOM, Odometry),
                (topics.CAMERA_IMAGE, Image),
                (topics.CAMERA_DETECTIONS, Detection2DArray),
                (topics.FLEET_DETECTIONS, FleetDetections),
            )
        }

    def header(self) -> Header:
        return Header(stamp=self.get_clock().now().to_msg(), frame_id="camera")

    def publish(self, topic: topics.Topic, message: Any) -> None:
        self._out[topic].publish(message)

    def show(self, found: Detections, fleet: Detections) -> None:
        """A frame, what the robot found in it, and what the fleet did."""
        header = self.header()
        pixels = np.full((96, 128, 3), 90, np.uint8)
        pixels[::2] = 255
        image = Image(header=header, height=96, width=128, encoding="bgr8", step=384)
        image.data = pixels.tobytes()
        self.publish(topics.CAMERA_IMAGE, image)
        self.publish(topics.CAMERA_DETECTIONS, to_detection_array(found, header))
        self.spin(0.05)
        answer = FleetDetections(detections=to_detection_array(fleet, header), model="fleet@1")
        self.publish(topics.FLEET_DETECTIONS, answer)

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._spinner.spin_once(timeout_sec=0.02)

    def until(self, condition: Callable[[], Any], act: Callable[[], None], what: str) -> None:
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"waited {LIMIT} s in vain for {what}"
            act()
            self.spin(0.1)


@pytest.fixture
def robot(domain: int) -> Iterator[Robot]:
    rclpy.init()
    node = Robot()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def found(*boxes: tuple[float, float, float, float]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32),
        np.zeros(len(boxes), np.int64),
        ("person",),
    )


def test_what_it_hears_reaches_the_archive_once(robot: Robot, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    backend = Backend(lambda: Scheduler([archive]), port=0)
    policy = tmp_path / "privacy.yaml"
    policy.write_text("levels:\n  fog: {default: blurred}\nprotected_classes: [person]\n")
    command = [sys.executable, "-m", "edge_robot.nodes.fleet_telemetry", "--ros-args"]
    for name, value in {
        "archive.address": f"127.0.0.1:{backend.port}",
        "robot": "robot7",
        "folder": tmp_path / "spool",
        "privacy_policy": policy,
        "odometry_rate": 5.0,
    }.items():
        command += ["-p", f"{name}:={value}"]

    def records(kind: str) -> list[Archived]:
        return list(archive.records("robot7", kind))

    event = Event(header=robot.header(), name="goal_sent", detail="to the door")
    robot.publish(topics.EVENTS, event)
    mode = RobotMode(header=robot.header(), mode=RobotMode.NOMINAL, cause="all is well")
    robot.publish(topics.MODE, mode)
    link = LinkState(header=robot.header(), up=True, bandwidth=1e6, rtt_p50=0.01)
    robot.publish(topics.LINK, link)
    process = subprocess.Popen(command, env=dict(os.environ))
    try:
        robot.until(
            lambda: records("telemetry/odometry"),
            lambda: robot.publish(topics.ODOM, Odometry(header=robot.header())),
            "odometry",
        )
        robot.until(
            lambda: records("hard_example/frame"),
            lambda: robot.show(found(), found((10, 8, 60, 88), (80, 8, 110, 88))),
            "a hard example",
        )
        robot.show(found((10, 8, 60, 88)), found((10, 8, 60, 88)))  # they agree
        process.kill()
        process.wait()
        process = subprocess.Popen(command, env=dict(os.environ))
        before = len(records("telemetry/odometry"))
        robot.until(
            lambda: len(records("telemetry/odometry")) > before and len(records("event/mode")) > 1,
            lambda: robot.publish(topics.ODOM, Odometry(header=robot.header())),
            "odometry after a kill",
        )
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=LIMIT)
        backend.stop()
    assert status == 0
    (goal,) = records("event/event")  # though heard again after the kill
    assert unpack(goal.payload)[0] == {"name": "goal_sent", "detail": "to the door"}
    assert unpack(records("event/mode")[0].payload)[0]["mode"] == "nominal"
    for example in records("hard_example"):
        values, jpeg = unpack(example.payload)
        assert (values["missed_on_board"], values["fleet_model"]) == (pytest.approx(1.8), "fleet@1")
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert np.ptp(image[30:60, 20:50]) < 40  # nobody can be recognised
        assert np.ptp(image[:, 69:74]) > 100
    archive.close()


def test_bad_parameters_are_one_clear_line(domain: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_robot.nodes.fleet_telemetry", "--ros-args"]
    cases = (
        ("archive.address", "nowhere", "host:port"),
        ("max_mb", 1, "max_mb"),
        ("share", 2.0, "share"),
    )
    processes = [
        subprocess.Popen(
            [*command, "-p", f"folder:={tmp_path}", "-p", f"{name}:={value}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, value, _ in cases
    ]
    for process, (_, _, words) in zip(processes, cases, strict=True):
        _, complaint = process.communicate(timeout=LIMIT)
        assert process.returncode == 2, complaint
        assert complaint.startswith("error: ") and complaint.count("\n") == 1, complaint
        assert words in complaint
