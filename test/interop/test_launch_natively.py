"""`ros2 launch` of every launch file: arguments, parameters as they arrive, a clean end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from bags import sensors, write_bag
from conftest import Runtime

from edge_robot.share import share_dir
from edge_robot.standalone.launch import arguments_of, load

FOLDER = share_dir() / "launch"
NAMES = sorted(file.name.removesuffix(".launch.xml") for file in FOLDER.glob("*.launch.xml"))

GIVEN: dict[str, dict[str, str]] = {
    "camera": {"camera": "left", "namespace": "robot1", "image_transport": "compressed"},
    "lidar": {"lidar": "rear", "namespace": "robot1", "use_sim_time": "true"},
    "replay": {"path": "PATH/bag", "recording": "PATH/again.mcap", "speed": "2"},
    "demo": {
        "seed": "7",
        "drive_timeout": "60",
        "folder": "PATH",
        "robot_name": "007",
        "fleet_port": "18001",
        "link_port": "18002",
        "served_as": "heavy",
        "dashboard_port": "0",
        "dashboard_host": "127.0.0.2",
        "peers": "[robot2]",
        "stamped": "false",
        "foxglove": "true",
        "foxglove_port": "0",
        "planar_lidar": "true",
        "control_cpus": "0",
        "respawn": "true",
        "lifecycle_manager": "true",
        "cameras": "[front, left]",
    },
}
"""What each is given; PATH stands for the test's folder. `demo` includes all the others."""

ARRIVED: dict[str, dict[str, dict[str, Any]]] = {
    "camera": {"/robot1/camera_perception_left": {"transport": "compressed"}},
    "lidar": {"/robot1/lidar_perception_rear": {"use_sim_time": True}},
    "replay": {
        "/replay_source": {"speed": 2.0, "use_sim_time": False},
        "/camera_perception": {"adaptive": False, "use_sim_time": True},
    },
    "demo": {
        "/simulator": {"seed": 7, "use_sim_time": False},
        "/mission": {"seed": 7, "drive_timeout": 60.0, "use_sim_time": True},
        "/fleet_backend": {"port": 18001, "name": "heavy", "use_sim_time": False},
        "/network_link": {"port": 18002, "target": "127.0.0.1:18001"},
        "/fleet_bridge": {"endpoint": "127.0.0.1:18002", "robot": "007", "autostart": False},
        "/fleet_telemetry": {"archive.address": "127.0.0.1:18002", "robot": "007"},
        "/dashboard": {"port": 0, "host": "127.0.0.2", "cameras": ["front", "left"]},
        "/fusion": {"cameras": ["front", "left"], "peers": ["robot2"]},
        "/collision_monitor": {"stamped": False, "cpus": "0"},
        "/foxglove_bridge": {"port": 0},
        "/lifecycle_manager": {"autostart": True},
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_show_args_lists_what_ours_lists(stacks: dict[str, Runtime], name: str) -> None:
    command = stacks["ros2"].tool("launch", "edge_robot", f"{name}.launch.xml", "--show-args")
    shown = re.findall(r"^    '(\w+)':\n        (.*)$", stacks["ros2"].run(command), re.MULTILINE)
    ours = {(item.name, item.description) for item in arguments_of(FOLDER / f"{name}.launch.xml")}
    assert ours <= set(shown)
    # It shows also what a file gives to those it includes, which nobody else can give.
    texts = "".join(file.read_text() for file in FOLDER.glob("*.launch.xml"))
    passed = set(re.findall(r'<arg name="(\w+)" value=', texts))
    assert {argument for argument, _ in set(shown) - ours} <= passed
    assert not [argument for argument, about in shown if about == "no description given"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", GIVEN)
def test_arguments_arrive_as_with_ours(
    stacks: dict[str, Runtime], name: str, tmp_path: Path
) -> None:
    write_bag(tmp_path / "bag", sensors(1000))
    given = {key: value.replace("PATH", str(tmp_path)) for key, value in GIVEN[name].items()}
    found = load(FOLDER / f"{name}.launch.xml", given).processes
    nodes = [process.node for process in found if process.node is not None]
    arguments = [f"{key}:={value}" for key, value in given.items()]
    told = {}
    for runtime in stacks.values():
        launch = start_launch(runtime, name, arguments)
        try:
            found_there = json.dumps(runtime.json("parameters_of.py", *nodes))
        finally:
            printed = interrupt(launch)
        assert launch.returncode == 0, printed
        assert not re.search("Traceback|has died|error", printed), printed
        # Each has the package's files in a folder of its own.
        told[runtime.name] = json.loads(found_there.replace(share_of(runtime), "SHARE"))
    for node, wanted in ARRIVED[name].items():
        assert told["ros2"][node].items() >= wanted.items(), node
    different = {
        (node, key): (value, told["standalone"][node].get(key))
        for node, values in told["ros2"].items()
        for key, value in values.items()
        if value != told["standalone"][node].get(key)
    }
    assert not different
    assert told["ros2"] == told["standalone"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", [0.5, 4.0])
@pytest.mark.parametrize("name", GIVEN)
def test_an_interrupt_while_it_starts_ends_it_cleanly(
    stacks: dict[str, Runtime], name: str, after: float, tmp_path: Path
) -> None:
    """`after`: s from the start of the last process."""
    write_bag(tmp_path / "bag", sensors(1000))
    given = {key: value.replace("PATH", str(tmp_path)) for key, value in GIVEN[name].items()}
    arguments = [f"{key}:={value}" for key, value in given.items()]
    launch = start_launch(stacks["ros2"], name, arguments)
    left = len(load(FOLDER / f"{name}.launch.xml", given).processes)
    assert launch.stdout is not None
    while left:
        line = launch.stdout.readline()
        assert line, "it ended by itself"
        left -= "process started with pid" in line
    time.sleep(after)
    printed = interrupt(launch)
    assert launch.returncode == 0, printed
    assert not re.search("Traceback|has died", printed), printed


def start_launch(runtime: Runtime, name: str, arguments: list[str]) -> subprocess.Popen[str]:
    if runtime.name == "ros2":
        more = ["--noninteractive", "edge_robot", f"{name}.launch.xml"]
    else:
        more = [name]
    return runtime.start(runtime.tool("launch", *more, *arguments))


def share_of(runtime: Runtime) -> str:
    """Return the folder of launch files and parameters that a runtime's launch takes."""
    if runtime.name == "standalone":
        return str(FOLDER.parent)
    return runtime.run(runtime.tool("pkg", "prefix", "--share", "edge_robot")).strip()


def interrupt(launch: subprocess.Popen[str]) -> str:
    """Interrupt a launch, as Ctrl-C does; return what it had printed to its end."""
    launch.send_signal(signal.SIGINT)
    try:
        return launch.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        launch.kill()
        return launch.communicate()[0]
