"""The dashboard's node as users run it: what it tells programs, and what it keeps to itself."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from edge_robot.msg import RobotMode
from rclpy.node import Node
from std_msgs.msg import Bool

from edge_robot import topics
from edge_robot.nodes.qos import qos_profile

PATIENCE = 20.0


@pytest.fixture
def robot(domain: int) -> Iterator[Node]:
    rclpy.init()
    node = rclpy.create_node("robot")
    yield node
    node.destroy_node()
    rclpy.shutdown()


def dashboard(*parameters: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge_robot.nodes.dashboard", "--ros-args", "-p", "port:=0"]
    for parameter in parameters:
        command += ["-p", parameter]
    environment = {name: text for name, text in os.environ.items() if name != "EDGE_ROBOT_TOKEN"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def test_programs_are_told_what_is_known_and_the_token_is_in_no_log(
    robot: Node, tmp_path: Path
) -> None:
    process = dashboard(f"audit_folder:={tmp_path / 'audit'}", "robot:=robot7")
    try:
        assert process.stdout is not None and process.stderr is not None
        told = re.search(r"(http://\S+/) access token: (\S+)", process.stdout.readline())
        assert told is not None
        url, token = told.groups()

        def summary() -> dict[str, Any]:
            request = urllib.request.Request(
                f"{url}summary", headers={"Authorization": f"Bearer {token}"}
            )
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return dict(json.load(answer))

        unknown = ("mode", "stopped", "holder", "operator", "battery", "link")
        assert summary() == {"name": "robot7", **dict.fromkeys(unknown)}
        mode = robot.create_publisher(RobotMode, topics.MODE.name, qos_profile(topics.MODE))
        stop = robot.create_publisher(Bool, topics.ESTOP.name, qos_profile(topics.ESTOP))
        mode.publish(RobotMode(mode=RobotMode.EMERGENCY_STOP, cause="pressed"))
        stop.publish(Bool(data=True))
        limit = time.monotonic() + PATIENCE
        while (now := summary())["stopped"] is None or now["mode"] is None:
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert (now["stopped"], now["mode"]) == (True, "emergency stop")
        process.send_signal(signal.SIGINT)
        _, logged = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        written = "".join(file.read_text() for file in (tmp_path / "audit").iterdir())
        assert url in logged and token not in logged + written
    finally:
        process.kill()
        process.communicate()


def test_it_listens_wider_only_where_it_is_protected(domain: int, tmp_path: Path) -> None:
    process = dashboard("host:=0.0.0.0", f"audit_folder:={tmp_path}")
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert re.fullmatch(r"error: dashboard: 0\.0\.0\.0 can be reached .* lacks TLS .*\n", error)
