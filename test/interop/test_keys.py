"""SROS2 with our policies: nodes with keys talk as far as they may, strangers hear nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Runtime

ROOT = Path(__file__).resolve().parents[2]
ROBOT = "/robot7"


@pytest.fixture
def keystore(runtimes: dict[str, Runtime], tmp_path: Path) -> Path:
    """Return keys for a robot in a namespace, made as docs/security.md says."""
    if runtimes["ros2"].show(runtimes["ros2"].tool("pkg", "prefix", "edge_robot")).count("status"):
        pytest.skip("edge_robot is not built in the ROS 2 of EDGE_ROBOT_ROS_SETUP")
    if runtimes["ros2"].show(runtimes["ros2"].tool("pkg", "prefix", "sros2")).count("status"):
        pytest.skip("sros2 is not in the ROS 2 of EDGE_ROBOT_ROS_SETUP")
    for name in ("common.xml", "policy.xml"):
        text = (ROOT / "config" / "sros2" / name).read_text()
        text = text.replace('ns="/"', f'ns="{ROBOT}"').replace(
            'path="/edge_robot', f'path="{ROBOT}'
        )
        (tmp_path / name).write_text(text)
    folder = tmp_path / "keystore"
    policy = str(tmp_path / "policy.xml")
    ros = runtimes["ros2"]
    ros.run(ros.tool("security", "generate_artifacts", "-k", str(folder), "-p", policy))
    return folder


def locked(command: list[str], keystore: Path) -> list[str]:
    """A command, with security enforced."""
    settings = {"ENABLE": "true", "STRATEGY": "Enforce", "KEYSTORE": str(keystore)}
    return ["env", *(f"ROS_SECURITY_{name}={value}" for name, value in settings.items()), *command]


@pytest.fixture
def monitor(runtimes: dict[str, Runtime], keystore: Path) -> Iterator[None]:
    """A node of ours that says /robot7/cmd_vel all the time, behind its key."""
    command = runtimes["ros2"].python(
        *("-m", "edge_robot.nodes.collision_monitor", "--ros-args"),
        *("-r", f"__ns:={ROBOT}", "-r", "/tf_static:=tf_static"),
        *("--enclave", f"{ROBOT}/collision_monitor"),
    )
    process = runtimes["ros2"].start(locked(command, keystore))
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "no command on" in line:
            break
    else:
        raise AssertionError(printed)
    yield
    process.kill()
    process.communicate()


@pytest.mark.usefixtures("monitor")
def test_who_has_a_key_hears_what_its_policy_permits_and_nobody_else_anything(
    runtimes: dict[str, Runtime], keystore: Path
) -> None:
    ros, ours = runtimes["ros2"], runtimes["standalone"]
    base = ros.python("heard_commands.py", ROBOT, "--ros-args", "--enclave", f"{ROBOT}/drivers")
    heard, may_command = json.loads(ros.run(locked(base, keystore)).splitlines()[-1])
    assert heard > 40 and not may_command
    stranger = ("heard_commands.py", ROBOT)
    assert ros.json(*stranger)[0] == 0
    assert ours.json(*stranger)[0] == 0
    refused = subprocess.run(
        locked(ours.python(*stranger), keystore),
        env=ours.environment,
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2 and "no DDS security" in refused.stderr
