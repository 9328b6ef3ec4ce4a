"""Our own launch files: what their arguments do, and that two robots on one machine are two."""

from __future__ import annotations

import os
import re
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from edge_robot import topics
from edge_robot.nodes.qos import qos_profile
from edge_robot.share import share_dir
from edge_robot.standalone.launch import arguments_of, load
from edge_robot.standalone.launch.description import Process
from edge_robot.topics import full_name

LAUNCH_FILES = sorted((share_dir() / "launch").glob("*.launch.xml"))
REQUIRED = {"replay": {"path": "drive"}, "camera": {"camera": "left"}, "lidar": {"lidar": "rear"}}
FLAGS = {
    **{name: name for name in ("collision_monitor", "command_mux", "controller", "mode_manager")},
    **{name: name for name in ("planner", "fusion", "fleet_bridge", "fleet_telemetry")},
    "camera": "camera_perception",
    "lidar": "lidar_perception",
    "markers": "track_markers",
    "dashboard": "dashboard",
    "lifecycle_manager": "lifecycle_manager",
}
"""Arguments of robot.launch.xml that leave a node out, with its name."""

HUMBLE = {
    "launch": set(),
    "arg": {"name", "default", "description", "value"},
    "let": {"name", "value", "if", "unless"},
    "set_env": {"name", "value", "if"},
    "group": {"if"},
    "include": {"file"},
    "push_ros_namespace": {"namespace"},
    "set_remap": {"from", "to"},
    "set_parameter": {"name", "value", "if"},
    "node": {
        *("pkg", "exec", "name", "args", "ros_args", "output", "launch-prefix", "if"),
        *("respawn", "respawn_delay"),
    },
    "executable": {"cmd", "name", "output", "launch-prefix"},
    "param": {"name", "value", "type", "from"},
    "remap": {"from", "to"},
}
"""Elements and attributes that launch, launch_xml and launch_ros of Humble know (their humble
branches), as far as these files need them."""

HUMBLE_SUBSTITUTIONS = {"var", "env", "not", "and", "or", "eval", "command", "find-pkg-share"}


def launched(
    name: str, environment: Mapping[str, str] | None = None, **arguments: str
) -> dict[str, Process]:
    """Return the processes of one of our launch files, by their nodes."""
    file = share_dir() / "launch" / f"{name}.launch.xml"
    found = load(file, {**REQUIRED.get(name, {}), **arguments}, environment or {}).processes
    return {process.node: process for process in found if process.node}


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda file: file.name)
def test_every_argument_is_described(file: Path) -> None:
    for argument in arguments_of(file):
        assert argument.description, argument.name


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda file: file.name)
def test_nothing_is_said_that_humble_does_not_know(file: Path) -> None:
    ends = ("closed_loop", "replay", "gazebo")  # of Iron and newer
    late = {"on_exit"} if file.name.split(".")[0] in ends else set()
    for element in ET.parse(file).getroot().iter():
        unknown = set(element.attrib) - HUMBLE[element.tag] - (late & set(element.attrib))
        assert not unknown, element.tag
        for value in element.attrib.values():
            assert set(re.findall(r"\$\(([\w-]+)", value)) <= HUMBLE_SUBSTITUTIONS


def test_every_node_can_be_left_out() -> None:
    everything = launched("robot")
    for flag, node in FLAGS.items():
        assert everything.keys() - launched("robot", **{flag: "false"}).keys() == {f"/{node}"}
    planar = launched("robot", planar_lidar="true")
    assert planar.keys() ^ everything.keys() == {"/lidar_perception", "/scan_perception"}
    assert not launched("robot", **dict.fromkeys(FLAGS, "false"))


@pytest.mark.parametrize("namespace", ["robot7", "/robot7", "site/robot7"])
def test_a_robot_is_called_as_its_namespace_is(namespace: str) -> None:
    (bridge,) = (
        process.command
        for name, process in launched("robot", namespace=namespace).items()
        if name.endswith("/fleet_bridge")
    )
    assert re.search(r"\brobot:=['\"]?robot7\b", " ".join(bridge))


def test_the_manager_is_told_of_whom_the_flags_leave() -> None:
    def told(**arguments: str) -> list[str]:
        robot = launched("robot", **arguments)
        words = " ".join(robot["/lifecycle_manager"].command)
        managed = re.findall(r"\w+", words.split("node_names:=")[1])
        for name in managed:
            assert "autostart:=false" in robot[f"/{name}"].command
        assert "autostart:=false" not in robot["/lifecycle_manager"].command
        return managed

    assert set(told()) - set(told(planner="false")) == {"planner"}
    alone = launched("robot", lifecycle_manager="false").values()
    assert not any("autostart:=false" in process.command for process in alone)


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda file: file.name)
def test_what_ros_launch_reads_otherwise_is_not_written(file: Path) -> None:
    """Seen on Jazzy: nodes after a nested group get its parameters; `[$(var x)]` is one text."""
    root = ET.parse(file).getroot()
    for outer in root.findall("group"):
        for inner in outer.findall("group"):
            assert inner.find("set_parameter") is None or inner is outer[-1]
    assert not [p for p in root.iter("param") if p.get("value", "").startswith("[$(")]


@pytest.mark.parametrize("name", [file.name.split(".")[0] for file in LAUNCH_FILES])
def test_a_namespace_moves_every_node_and_its_transforms(
    name: str, desktop: dict[str, str]
) -> None:
    here, there = launched(name, desktop), launched(name, desktop, namespace="robot1")
    assert there.keys() == {f"/robot1{node}" for node in here}
    for process in there.values():
        assert {"/tf:=tf", "/tf_static:=tf_static"} <= set(process.command)


def test_robots_keep_what_they_have_to_tell_apart() -> None:
    one, two = (launched("robot", namespace=name) for name in ("robot1", "robot2"))
    for node in ("fleet_telemetry", "dashboard"):
        told = [
            [
                w
                for w in robot[f"/{name}/{node}"].command
                if ":=" in w and ("/.ros" in w or "robot:=" in w)
            ]
            for robot, name in ((one, "robot1"), (two, "robot2"))
        ]
        assert len(told[0]) == 2 and not set(told[0]) & set(told[1])


def test_drivers_may_call_their_topics_as_they_like() -> None:
    names = {
        "image_topic": ("/color/image", topics.CAMERA_IMAGE),
        "camera_info_topic": ("/color/info", topics.CAMERA_INFO),
        "points_topic": ("/velodyne", topics.LIDAR_POINTS),
        "scan_topic": ("/front/scan", topics.SCAN),
        "odom_topic": ("/wheels/odom", topics.ODOM),
        "cmd_vel_topic": ("/base/cmd_vel", topics.CMD_VEL),
    }
    given = {argument: name for argument, (name, _) in names.items()}
    robot = launched("robot", stamped="false", **given)
    for process in robot.values():
        assert {f"{topic.name}:={name}" for name, topic in names.values()} <= set(process.command)
        assert "camera/front/image_raw/compressed:=/color/image/compressed" in process.command
    assert "stamped:=false" in robot["/collision_monitor"].command


def test_all_of_a_slower_world_goes_at_its_pace(desktop: dict[str, str]) -> None:
    # A base that hears commands by a stricter contract than they come with hears none.
    processes = launched("gazebo", desktop, pace="0.2", headless="true")
    assert {"/gazebo_world", "/mode_manager", "/collision_monitor"} <= processes.keys()
    assert {process.environment["EDGE_ROBOT_PACE"] for process in processes.values()} == {"0.2"}
    exported = launched("demo", {"EDGE_ROBOT_PACE": "0.3"})
    assert exported["/mission"].environment["EDGE_ROBOT_PACE"] == "0.3"


def test_keys_are_asked_for_on_request() -> None:
    plain, secure = (
        launched("demo"),
        launched("demo", security="true", keystore="keys", enclave="/r1"),
    )
    assert not any("ROS_SECURITY_ENABLE" in process.environment for process in plain.values())
    for node, process in secure.items():
        assert process.environment["ROS_SECURITY_ENABLE"] == "true"
        assert process.environment["ROS_SECURITY_KEYSTORE"] == "keys"
        assert process.command[process.command.index("--enclave") + 1] == f"/r1{node}"


@contextmanager
def running(processes: list[Process]) -> Iterator[None]:
    started = [
        subprocess.Popen(process.command, env={**os.environ, **process.environment})
        for process in processes
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(20)


def test_two_robots_on_one_network_do_not_hear_each_other(domain: int) -> None:
    off = dict.fromkeys(FLAGS, "false") | {"command_mux": "true", "mode_manager": "true"}
    robots = [launched("robot", namespace=name, **off) for name in ("robot1", "robot2")]
    rclpy.init()
    node = rclpy.create_node("onlooker")
    stopped: dict[str, bool] = {}
    for name in ("/robot1", "/robot2"):
        node.create_subscription(
            Bool,
            full_name(topics.ESTOP.name, name),
            lambda message, name=name: stopped.update({name: message.data}),
            qos_profile(topics.ESTOP),
        )
    stop = node.create_client(SetBool, "/robot1/estop/set")

    def until(condition, what: str) -> None:
        end = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}"
            rclpy.spin_once(node, timeout_sec=0.1)

    try:
        with running([process for robot in robots for process in robot.values()]):
            until(lambda: stopped == {"/robot1": False, "/robot2": False}, "both to be there")
            until(stop.service_is_ready, "robot1's emergency stop")
            answer = stop.call_async(SetBool.Request(data=True))
            until(answer.done, "its answer")
            until(lambda: stopped["/robot1"], "robot1 to stop")
            until(lambda: len(node.get_node_names()) == 5, "all nodes")
            names = {name for name, _ in node.get_topic_names_and_types()}
            shared = {"/rosout", "/parameter_events", topics.DIAGNOSTICS.name}
            assert all(name.startswith(("/robot1/", "/robot2/")) for name in names - shared), names
            assert node.count_publishers("/robot2/estop") == 1
            assert node.count_subscribers("/robot2/estop") == 2  # its own mode manager, and we
            assert stopped == {"/robot1": True, "/robot2": False}
    finally:
        rclpy.shutdown()
