"""The demo under ROS 2 reaches its goal, and gives the same figures.

Slow, and it needs the machine for itself: a whole stack in real time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import Runtime

from edge_robot.listening import free_port

PORTS = ("fleet_port", "link_port", "dashboard_port")
PACE = os.environ.get("EDGE_ROBOT_PACE", "1.0")
"""Of the world: less where the machine does not carry the whole under rclpy."""


def shape(figures: Any) -> Any:
    """Return the names in a run's figures, at every depth."""
    return {key: shape(value) for key, value in figures.items()} if isinstance(figures, dict) else 0


@pytest.mark.timeout(900)
def test_the_demo_gives_the_same_json_as_standalone(
    stacks: dict[str, Runtime], tmp_path: Path
) -> None:
    figures = {}
    for name, runtime in stacks.items():
        folder = tmp_path / name
        folder.mkdir()
        ports = [f"{port}:={free_port()}" for port in PORTS]
        more = ["--noninteractive", "edge_robot", "demo.launch.xml"] if name == "ros2" else ["demo"]
        launch = runtime.tool(
            "launch", *more, "seed:=3", f"pace:={PACE}", f"folder:={folder}", *ports
        )
        printed = runtime.run(launch, limit=300.0)
        assert "Traceback" not in printed
        file = folder / "figures.json"
        ours = stacks["standalone"]
        ours.run(ours.tool("report", str(folder), "--json", str(file)))
        figures[name] = json.loads(file.read_text())
        assert figures[name]["reached_goal"] is True
        assert figures[name]["collisions"] == 0
        assert figures[name]["link"]["cuts"] == 1
        assert figures[name]["link"]["recovered"] is True
    assert shape(figures["ros2"]) == shape(figures["standalone"])
