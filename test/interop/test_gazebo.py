"""A real Gazebo with ros_gz_bridge against the table of topics: frames, units, rates, motion.

EDGE_ROBOT_GAZEBO_SETUP names the script that sets up both, and the ROS 2 they are built against.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_robot import topics
from edge_robot.share import share_dir
from edge_robot.sim.lidar import Scanner
from edge_robot.sim.robot import CAMERA_FOVX, MOUNTS
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.sensors import HEIGHT, WIDTH
from edge_robot.sim.world import build_world

HERE = Path(__file__).parent
LISTENING = 10.0  # simulated s


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    setup = os.environ.get("EDGE_ROBOT_GAZEBO_SETUP")
    if not setup:
        pytest.skip("EDGE_ROBOT_GAZEBO_SETUP names no script: no Gazebo to try")
    folder = tmp_path_factory.mktemp("gazebo")
    environment = {
        **os.environ,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "EDGE_ROBOT_SENSOR_RELIABILITY": "reliable",
        "GZ_PARTITION": folder.name,
    }
    python, ours = shlex.quote(sys.executable), shlex.quote(str(HERE.parents[1]))
    bridge = share_dir() / "config" / "gazebo_bridge.yaml"
    own = f"PYTHONPATH={ours} exec {python} -m edge_robot"
    sourced = f"source {shlex.quote(setup)}"
    programs = {
        "server": f"{sourced}; {own} gazebo serve --headless -o {folder}/world.sdf",
        "bridge": f"{sourced}; exec ros2 run ros_gz_bridge parameter_bridge --ros-args "
        f"-p config_file:={shlex.quote(str(bridge))}",
        "node": f"{own} run edge_robot.nodes.gazebo_world",
    }
    running = []
    try:
        for name, command in programs.items():
            log = (folder / f"{name}.log").open("w")
            running.append(
                subprocess.Popen(
                    ["bash", "-c", command],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
            )

        listener = [sys.executable, "-m", "edge_robot", "run", str(HERE / "gazebo_listener.py")]
        done = subprocess.run(
            [*listener, str(LISTENING)],
            env={**environment, "PYTHONPATH": str(HERE.parents[1])},
            text=True,
            capture_output=True,
            timeout=170,
        )
        logs = "".join((folder / f"{name}.log").read_text()[-2000:] for name in programs)
        assert done.returncode == 0, done.stdout + done.stderr + logs
        yield json.loads(done.stdout.splitlines()[-1])
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)  # `ros2 run` leaves its child alive
            process.wait(10)


def test_every_topic_comes_at_the_rate_of_the_table(told: dict[str, Any]) -> None:
    rates = dict(told["rates"])
    for topic in (
        *(topics.CLOCK, topics.TF, topics.ODOM, topics.IMU, topics.CAMERA_IMAGE),
        *(topics.CAMERA_INFO, topics.LIDAR_POINTS, topics.SCAN, topics.SIMULATION_TRUTH),
    ):
        assert rates.pop(topic.name) == pytest.approx(float(topic.rate), rel=0.1), topic.name
    assert not rates


def test_every_topic_has_the_frame_of_the_table(told: dict[str, Any]) -> None:
    for topic in (topics.CAMERA_IMAGE, topics.LIDAR_POINTS, topics.SCAN, topics.IMU):
        assert told["frames"][topic.name] in topic.about
    assert told["frames"]["camera/front/camera_info"] == told["frames"]["camera/front/image_raw"]
    assert told["frames"]["odom"] == "odom"
    assert told["frames"]["sim/truth"] == "map"
    assert told["transforms"] == {
        "odom": "map",
        "base_link": "odom",
        "camera_front_optical_frame": "camera_front_link",
        **{mount.frame: "base_link" for mount in MOUNTS},
    }


def test_the_camera_is_that_of_the_description(told: dict[str, Any]) -> None:
    width, height, encoding, darkest, brightest = told["image"]
    assert (width, height) == (WIDTH, HEIGHT)
    assert encoding == "rgb8"
    assert brightest - darkest > 100, "it shows something"
    fx, fy, cx, cy = told["focal"]
    assert fx == pytest.approx(width / 2 / math.tan(math.radians(CAMERA_FOVX / 2)), rel=1e-3)
    assert fy == pytest.approx(fx, rel=1e-3)
    assert (cx, cy) == pytest.approx((width / 2, height / 2), abs=1.0)


def test_lidars_measure_the_same_warehouse_as_the_embedded_ones(told: dict[str, Any]) -> None:
    angle_min, increment, range_min, range_max = told["scan"]
    assert angle_min == pytest.approx(-math.pi, abs=1e-3)
    assert increment == pytest.approx(2 * math.pi / 720, rel=1e-3)
    assert (range_min, range_max) == pytest.approx((0.1, 25.0))
    world = build_world(Scenario.generate(1))
    wanted = Scanner(world, seed=1).scan(world.data)
    measured = np.array([np.nan if r is None else r for r in told["ranges"]])
    both = np.isfinite(measured) & np.isfinite(wanted)
    assert both.mean() > 0.8
    # People have walked on meanwhile, and rays that graze a corner go either way.
    off = np.abs(measured[both] - wanted[both])
    assert np.median(off) < 0.03
    assert (off < 0.1).mean() > 0.85
    assert told["points"] > 5000
    low, high = told["point_heights"]
    assert low == pytest.approx(-0.55, abs=0.15), "the floor, from lidar_link"
    assert 1.0 < high < 8.0
    assert told["nearest_point"] > 0.4, "it does not see the robot"


def test_gravity_points_down(told: dict[str, Any]) -> None:
    assert told["gravity"] == pytest.approx(9.81, abs=0.2)


def test_the_robot_obeys_and_stops_by_itself(told: dict[str, Any]) -> None:
    assert told["speed"] == pytest.approx(0.3, abs=0.05)
    assert told["yaw_rate"] == pytest.approx(0.5, abs=0.1)
    assert told["speed_after"] == pytest.approx(0.0, abs=0.02)
    before, after = told["before"], told["after"]
    start = Scenario.generate(1).start
    assert before["odom"] == pytest.approx([start.x, start.y], abs=0.05)
    assert before["truth"] == pytest.approx([start.x, start.y], abs=0.05)
    moved = [math.dist(before[who], after[who]) for who in ("odom", "truth")]
    assert moved[0] == pytest.approx(moved[1], abs=0.05)
    assert 0.4 < moved[1] < 0.8
    assert after["odom"] == pytest.approx(after["truth"], abs=0.1)
    assert told["collided_with"] == []


def test_people_are_there(told: dict[str, Any]) -> None:
    assert told["people"] == len(Scenario.generate(1).people)
