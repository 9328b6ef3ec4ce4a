"""`ros2 node|param|lifecycle|service|topic` on every node of the package, under `ros2 launch`."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from bags import sensors, write_bag
from conftest import Runtime

from edge_robot import topics
from edge_robot.standalone.launch import load
from edge_robot.standalone.launch.loader import node_executables

GROUPS = {
    "robot": """
        <include file="$(find-pkg-share edge_robot)/launch/robot.launch.xml">
          <arg name="planar_lidar" value="true"/>
          <arg name="lidar" value="true"/>
          <arg name="foxglove" value="FOXGLOVE"/>
          <arg name="foxglove_port" value="0"/>
          <arg name="dashboard_port" value="0"/>
          <arg name="watchdog" value="true"/>
          <arg name="spool" value="FOLDER/spool"/>
          <arg name="audit" value="FOLDER/audit"/>
        </include>
        """,
    "beside it": """
        <include file="$(find-pkg-share edge_robot)/launch/sim.launch.xml"/>
        <include file="$(find-pkg-share edge_robot)/launch/fleet.launch.xml">
          <arg name="fleet_port" value="0"/>
        </include>
        <node pkg="edge_robot" exec="network_link"><param name="port" value="0"/></node>
        <node pkg="edge_robot" exec="recorder">
          <param name="output" value="FOLDER/recording.mcap"/>
        </node>
        <node pkg="edge_robot" exec="mission"><param name="start_timeout" value="600.0"/></node>
        <node pkg="edge_robot" exec="replay_source">
          <param name="path" value="FOLDER/bag"/>
          <param name="timeout" value="600.0"/>
        </node>
        <node pkg="edge_robot" exec="gazebo_world" namespace="gazebo"/>
        """,
}
"""What runs together, between them every executable; FOLDER stands for the test's."""

HEARD = {
    "robot": ("cmd_vel", "cmd_vel/mux", "cmd_vel/nav", "robot/mode", "estop", "fleet/link"),
    "beside it": ("/clock", "/tf", "odom", "scan", "lidar/points", "camera/front/camera_info"),
}
"""Topics that somebody says all the time, whatever else is there."""

HZ = {"robot": ("/cmd_vel", 50.0), "beside it": ("/odom", 50.0)}
"""A topic, and how often it is to be heard, Hz."""


class Terminal:
    """Types `ros2 …`, and tells what is printed."""

    def __init__(self, ros: Runtime) -> None:
        self._process = ros.start_piped(ros.python("typed_commands.py"))
        self.disappointments: list[str] = []

    def type(self, *words: str) -> str:
        """Return what a command printed, and its exit status if not 0."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        aside = ""
        while not (line := self._process.stdout.readline()).startswith("["):
            aside += line
            assert line, f"ros2 {' '.join(words)} has ended the terminal: {aside}"
        text, status = json.loads(line)
        return f"{text}status {status}\n" if status else str(text)

    def expect(self, wanted: str, *words: str) -> str:
        """Type a command; note if it does not print what is wanted."""
        text = self.type(*words)
        if wanted not in text:
            self.disappointments.append(f"ros2 {' '.join(words)}: no {wanted!r} in {text}")
        return text

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Listen as systemd does to a unit's processes."""
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)

        def listen() -> None:
            while listener.recv(4096) != b"end":
                pass

        listening = Thread(target=listen)
        listening.start()
        yield
        listener.sendto(b"end", address)
        listening.join()


def test_between_them_they_are_all(tmp_path: Path) -> None:
    started = [name for group in GROUPS for name in programs(group, tmp_path)]
    assert sorted(started) == node_executables()


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize("group", GROUPS)
def test_every_node_answers(group: str, stacks: dict[str, Runtime], tmp_path: Path) -> None:
    ros = stacks["ros2"]
    write_bag(tmp_path / "bag", sensors(1000))
    # Its SDK is an extra of pip's.
    foxglove = "status" not in ros.show(ros.python("-c", "import foxglove"))
    file = launch_file(group, tmp_path, foxglove)
    nodes = [str(process.node) for process in load(file, {}).processes]
    launch = ros.start(ros.tool("launch", "--noninteractive", str(file)))
    terminal = Terminal(ros)
    try:
        terminal.type("daemon", "start")
        managed = [name for name in nodes if name != "/lifecycle_manager"]
        for name in managed:
            wait_until_active(terminal, name)
        listed = terminal.type("node", "list")
        assert set(nodes) <= set(listed.split())
        for name in managed:
            ask_managed(terminal, name)
        if "/lifecycle_manager" in nodes:
            ask_manager(terminal)
        ask_topics(terminal, HEARD[group])
        topic, rate = HZ[group]
        heard = [float(value) for value in re.findall(r"average rate: ([\d.]+)", hz(ros, topic))]
        assert heard and heard[-1] == pytest.approx(rate, rel=0.3)
    finally:
        terminal.close()
        ros.show(ros.tool("daemon", "stop"))
        launch.send_signal(signal.SIGINT)
        printed = launch.communicate(timeout=60)[0]
        print(printed)
    assert not terminal.disappointments, "\n".join(terminal.disappointments)
    assert launch.returncode == 0, printed
    assert not re.search("Traceback|has died", printed), printed


def programs(group: str, folder: Path) -> list[str]:
    """Return the executables of this package that a group starts."""
    commands = [process.command for process in load(launch_file(group, folder), {}).processes]
    words = [word for command in commands for word in command]
    return [word.split(".")[-1] for word in words if word.startswith("edge_robot.nodes.")]


def launch_file(group: str, folder: Path, foxglove: bool = True) -> Path:
    file = folder / "all.launch.xml"
    text = GROUPS[group].replace("FOLDER", str(folder)).replace("FOXGLOVE", str(foxglove).lower())
    file.write_text(f"<launch>{text}</launch>")
    return file


def wait_until_active(terminal: Terminal, node: str) -> None:
    end = time.monotonic() + 120.0
    while "active [3]" not in (text := terminal.type("lifecycle", "get", node)):
        assert time.monotonic() < end, f"{node}: {text}"


def ask_managed(terminal: Terminal, node: str) -> None:
    """Ask a node all that may be asked of one, and send it through its life cycle."""
    expect = terminal.expect
    expect(f"{node}/change_state: lifecycle_msgs/srv/ChangeState", "node", "info", node)
    expect("  autostart\n", "param", "list", node)
    expect("String value is: ", "param", "get", node, "cpus")
    expect("processors it keeps to", "param", "describe", node, "cpus")
    expect("- deactivate [4]", "lifecycle", "list", node)
    state = f"{node}/get_state"
    expect("lifecycle_msgs/srv/GetState", "service", "type", state)
    expect("label='active'", "service", "call", state, "lifecycle_msgs/srv/GetState")
    is_true = "True" in expect("Boolean value is: ", "param", "get", node, "autostart")
    other = "false" if is_true else "true"
    expect("Setting parameter failed", "param", "set", node, "autostart", other)
    for transition in ("deactivate", "cleanup"):
        expect("Transitioning successful", "lifecycle", "set", node, transition)
    expect("unconfigured [1]", "lifecycle", "get", node)
    expect("Set parameter successful", "param", "set", node, "autostart", other)
    for transition in ("configure", "activate"):
        expect("Transitioning successful", "lifecycle", "set", node, transition)


def ask_manager(terminal: Terminal) -> None:
    node, expect = "/lifecycle_manager", terminal.expect
    expect(f"{node}/is_active: std_srvs/srv/Trigger", "node", "info", node)
    expect("  node_names\n", "param", "list", node)
    expect("Double value is: 2.0", "param", "get", node, "order_patience")
    expect("longest wait for a node", "param", "describe", node, "order_patience")
    expect("Set parameter successful", "param", "set", node, "order_patience", "1.0")
    manage, command = f"{node}/manage_nodes", "nav2_msgs/srv/ManageLifecycleNodes"
    expect("success=True", "service", "call", manage, command, "{command: 0}")
    expect("nodes are active", "service", "call", f"{node}/is_active", "std_srvs/srv/Trigger")


def ask_topics(terminal: Terminal, heard: tuple[str, ...]) -> None:
    """Hold the graph against the table of topics, and listen."""
    table = {topics.full_name(topic.name): topic for topic in topics.TOPICS}
    listed = re.findall(r"^(\S+) \[(\S+)\]$", terminal.type("topic", "list", "-t"), re.MULTILINE)
    known = [(name, kind) for name, kind in listed if name in table]
    assert len(known) > 10, listed
    for name, kind in known:
        assert kind.replace("/msg", "") == table[name].type, name
        terminal.expect(f"Type: {kind}\n", "topic", "info", "-v", name)
    for topic in heard:
        terminal.expect("---", "topic", "echo", "--once", "--no-arr", topics.full_name(topic))


def hz(ros: Runtime, topic: str) -> str:
    """Return what `ros2 topic hz` prints in six seconds."""
    command = ros.tool("topic", "hz", topic)
    process = subprocess.Popen(
        command, env=ros.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    time.sleep(6.0)
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=10)[0]
