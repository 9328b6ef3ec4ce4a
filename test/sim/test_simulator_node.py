"""The node as a process of its own, heard and driven over DDS."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.time import Time

from edge_robot import topics
from edge_robot.introspection.interfaces import interface_class
from edge_robot.nodes.conversions import seconds
from edge_robot.nodes.qos import qos_profile
from edge_robot.sim.scenario import Scenario

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
SEED = 2


def start_simulator(*parameters: str) -> subprocess.Popen[str]:
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    return subprocess.Popen(
        [sys.executable, "-m", "edge_robot.nodes.simulator", "--ros-args", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def simulator(domain: int) -> Iterator[subprocess.Popen[str]]:
    process = start_simulator(f"seed:={SEED}", "camera_width:=160", "camera_height:=120")
    yield process
    process.kill()
    process.communicate()


class Listener(Node):
    """Keeps the messages of every topic the simulator speaks on."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.heard: dict[str, list[Any]] = {}
        for topic in (
            topics.CLOCK,
            topics.CAMERA_IMAGE,
            topics.CAMERA_INFO,
            topics.LIDAR_POINTS,
            topics.SCAN,
            topics.ODOM,
            topics.TF,
            topics.TF_STATIC,
            topics.SIMULATION_TRUTH,
        ):
            messages = self.heard.setdefault(topic.name, [])
            self.create_subscription(
                interface_class(topic.type), topic.name, messages.append, qos_profile(topic)
            )
        self.commands = self.create_publisher(
            TwistStamped, topics.CMD_VEL.name, qos_profile(topics.CMD_VEL)
        )

    def listen_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, {k: len(v) for k, v in self.heard.items()}
            rclpy.spin_once(self, timeout_sec=0.05)

    def last(self, topic: topics.Topic) -> Any:
        return self.heard[topic.name][-1]


@pytest.fixture
def listener(domain: int) -> Iterator[Listener]:
    rclpy.init()
    node = Listener()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def test_speaks_on_every_topic_and_obeys(
    simulator: subprocess.Popen[str], listener: Listener
) -> None:
    heard = listener.heard
    listener.listen_until(lambda: all(heard.values()))
    start = Scenario.generate(SEED).start
    odometry = heard[topics.ODOM.name][0]
    assert (odometry.header.frame_id, odometry.child_frame_id) == ("odom", "base_link")
    assert odometry.pose.pose.position.x == pytest.approx(start.x, abs=0.01)
    assert odometry.pose.pose.position.y == pytest.approx(start.y, abs=0.01)

    image, info = listener.last(topics.CAMERA_IMAGE), listener.last(topics.CAMERA_INFO)
    assert (image.width, image.height, image.step, image.encoding) == (160, 120, 480, "rgb8")
    assert image.header.frame_id == info.header.frame_id == "camera_front_optical_frame"
    assert np.frombuffer(image.data, np.uint8).std() > 10
    assert info.k[0] == pytest.approx(80.0 / math.tan(math.radians(40.0)))
    assert seconds(image.header.stamp) % 0.1 == pytest.approx(0, abs=1e-6) or seconds(
        image.header.stamp
    ) % 0.1 == pytest.approx(0.1)

    cloud = listener.last(topics.LIDAR_POINTS)
    points = np.frombuffer(cloud.data, np.float32).reshape(-1, 4)
    assert cloud.header.frame_id == "lidar_link"
    assert len(points) == cloud.width * cloud.height > 5000
    assert np.isfinite(points).all()
    scan = listener.last(topics.SCAN)
    assert scan.header.frame_id == "scan_link"
    assert len(scan.ranges) == 720
    assert scan.angle_max == pytest.approx(scan.angle_min + 719 * scan.angle_increment)

    frames = {
        transform.child_frame_id: transform.header.frame_id
        for transform in heard[topics.TF_STATIC.name][0].transforms
    }
    assert frames == {
        "odom": "map",
        "camera_front_link": "base_link",
        "lidar_link": "base_link",
        "scan_link": "base_link",
        "imu_link": "base_link",
        "camera_front_optical_frame": "camera_front_link",
    }
    assert heard[topics.TF.name][0].transforms[0].child_frame_id == "base_link"
    truth = listener.last(topics.SIMULATION_TRUTH)
    assert truth.collisions == 0
    assert len(truth.people) == len(Scenario.generate(SEED).people)
    assert truth.real_time_factor > 0

    def turn(age: float) -> float:
        command = TwistStamped()
        stamp = max(0.0, seconds(listener.last(topics.CLOCK).clock) - age)
        command.header.stamp = Time(nanoseconds=round(stamp * 1e9)).to_msg()
        command.twist.angular.z = 1.0
        listener.commands.publish(command)
        return float(listener.last(topics.ODOM).twist.twist.angular.z)

    odometry_heard = len(heard[topics.ODOM.name])
    turning = [0.0]
    listener.listen_until(
        lambda: turning.append(turn(age=0.3)) or len(heard[topics.ODOM.name]) > odometry_heard + 20
    )
    assert max(turning) < 0.2, "a command was obeyed after its lifespan"
    listener.listen_until(lambda: turn(age=0.0) > 0.7)
    # The base stops by itself when commands cease.
    listener.listen_until(lambda: abs(listener.last(topics.ODOM).twist.twist.angular.z) < 0.05)
    stamps = [seconds(message.header.stamp) for message in heard[topics.ODOM.name]]
    assert np.diff(stamps).min() == pytest.approx(0.02)
    assert np.array(stamps) == pytest.approx(0.02 * np.rint(np.array(stamps) / 0.02))

    simulator.send_signal(signal.SIGINT)
    _, complaints = simulator.communicate(timeout=PATIENCE)
    assert simulator.returncode == 0, complaints
    assert "Traceback" not in complaints


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("seed:=-5", "seed out of range"),
        ("camera_rate:=0.0", "camera_rate"),
        ("gl_backend:=magic", "gl_backend is 'magic'"),
        ("ray_stride:=0", "ray_stride"),
    ],
)
def test_bad_parameters_give_one_line_and_status_2(
    domain: int, parameter: str, complaint: str
) -> None:
    process = start_simulator(parameter)
    _, stderr = process.communicate(timeout=PATIENCE)
    errors = [line for line in stderr.splitlines() if line.startswith("error:")]
    assert process.returncode == 2, stderr
    assert len(errors) == 1
    assert complaint in errors[0]
    assert "Traceback" not in stderr
