"""What a node does not import, and what it keeps for the next start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_robot.standalone.interfaces import common
from edge_robot.standalone.interfaces.store import DEFAULT_DISTRO


def test_a_simple_node_needs_neither_numpy_nor_the_rest_of_the_binding(domain: int) -> None:
    code = """if True:
        import sys
        import edge_robot, rclpy
        from std_msgs.msg import String
        from std_srvs.srv import SetBool
        rclpy.init(args=[])
        node = rclpy.create_node("simple")
        node.create_publisher(String, "news", 10).publish(String(data="x"))
        node.create_subscription(String, "news", print, 10)
        node.create_service(SetBool, "switch", print)
        node.create_timer(1.0, print)
        rclpy.spin_once(node, timeout_sec=0.1)
        heavy = {"numpy", "cyclonedds.idl", "rosbags", "asyncio", "urllib.request"}
        print(sorted(heavy & set(sys.modules)))
    """
    common.common_definitions(DEFAULT_DISTRO)  # from now on they are in the cache
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_definitions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = common.common_definitions("jazzy")
    (file,) = (tmp_path / "edge_robot").iterdir()
    assert json.loads(file.read_bytes()) == json.loads(json.dumps(made))
    file.write_text('{"only": "this"}')
    assert common.common_definitions("jazzy") == {"only": "this"}
    file.write_text("cut sho")
    assert common.common_definitions("jazzy").keys() == made.keys()
    assert json.loads(file.read_bytes()).keys() == made.keys()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_cache_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "std_msgs/msg/String" in common.common_definitions("jazzy")


def test_an_unknown_distribution_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        common.common_definitions("nonsense")
