"""The mode manager against real events of DDS, of a process that stops and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from edge_robot.msg import RobotMode
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool
from vision_msgs.msg import Detection2DArray, Detection3DArray

from edge_robot import topics
from edge_robot.nodes.mode_manager import ModeManager
from edge_robot.nodes.qos import contract_profile, qos_profile
from edge_robot.topics import full_name

PATIENCE = 20.0  # s
PROMPT = 0.5  # s; a bound for a loaded machine


class Surroundings(Node):
    """All that the mode manager wants to hear, but the tracks."""

    def __init__(self) -> None:
        super().__init__("surroundings")
        self.modes: list[tuple[float, RobotMode]] = []
        self._out = [
            (self.create_publisher(kind, topic.name, profile(topic)), kind)
            for kind, topic, profile in (
                (Odometry, topics.ODOM, contract_profile),
                (LaserScan, topics.SCAN, qos_profile),  # as drivers: nothing promised
                (Detection2DArray, topics.CAMERA_DETECTIONS, qos_profile),
                (Detection3DArray, topics.LIDAR_DETECTIONS, qos_profile),
            )
        ]
        self._estop = self.create_publisher(Bool, topics.ESTOP.name, qos_profile(topics.ESTOP))
        self.create_subscription(
            RobotMode,
            topics.MODE.name,
            lambda mode: self.modes.append((time.monotonic(), mode)),
            qos_profile(topics.MODE),
        )
        self.create_timer(0.04, self._speak)

    def _speak(self) -> None:
        for publisher, kind in self._out:
            message = kind()
            message.header.stamp = self.get_clock().now().to_msg()
            publisher.publish(message)
        self._estop.publish(Bool())


@pytest.fixture
def watched(domain: int) -> Iterator[tuple[Surroundings, Callable[..., float]]]:
    """Give what is around a mode manager, and a function that spins until a mode with a cause."""
    rclpy.init()
    nodes = [Surroundings(), ModeManager()]
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    modes = nodes[0].modes

    def until(mode: int, *causes: str) -> float:
        end, seen = time.monotonic() + PATIENCE, len(modes)
        while time.monotonic() < end:
            for when, message in modes[seen:]:
                if message.mode == mode and any(cause in message.cause for cause in causes):
                    return when
            seen = len(modes)
            executor.spin_once(timeout_sec=0.05)
        raise AssertionError(f"waited for {mode}, {causes}; last was {modes[-1:]}")

    yield nodes[0], until
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


FUSION = """
import edge_robot, rclpy
from edge_robot import topics
from edge_robot.msg import TrackedObjectArray
from edge_robot.nodes.qos import qos_profile
rclpy.init()
node = rclpy.create_node("fusion")
name, qos = topics.TRACKS.name, qos_profile(topics.TRACKS)
publisher = node.create_publisher(TrackedObjectArray, name, qos)
node.create_timer(0.05, lambda: publisher.publish(TrackedObjectArray()))
rclpy.spin(node)
"""


@pytest.fixture
def fusion(domain: int) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that publishes tracks."""
    process = subprocess.Popen([sys.executable, "-c", FUSION], env=dict(os.environ))
    yield process
    process.kill()
    process.wait()


def test_a_stopped_process_walks_the_mode_down_the_ladder_and_its_return_up_again(
    watched, fusion
) -> None:
    surroundings, until = watched
    # The scan's driver promises nothing: it is heard all the same.
    until(RobotMode.NOMINAL, "all inputs alive")
    stopped = time.monotonic()
    fusion.send_signal(signal.SIGSTOP)
    late = until(RobotMode.LAST_SAFE_PLAN, full_name(topics.TRACKS.name))
    assert late - stopped < topics.TRACKS.qos.deadline + PROMPT
    # Where this very process is held up, its own inputs may be lost before.
    until(RobotMode.CONTROLLED_STOP, "the last safe plan is used up", "lost ")
    speeds = [m.max_speed for when, m in surroundings.modes if when >= late]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[-1] == 0.0
    fusion.send_signal(signal.SIGCONT)
    until(RobotMode.NOMINAL, "all inputs alive")
