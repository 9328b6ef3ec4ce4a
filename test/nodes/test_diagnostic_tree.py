"""config/diagnostic_aggregator.yaml puts all that our nodes say of their health into a branch."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from edge_robot.share import share_dir
from edge_robot.standalone.launch.loader import node_executables

NODES = Path(__file__).resolve().parents[2] / "edge_robot" / "nodes"


def imported(module: str, seen: set[str]) -> set[str]:
    """Return a module of nodes/ and all that it imports from there."""
    if module not in seen:
        seen.add(module)
        text = (NODES / f"{module}.py").read_text()
        for name in re.findall(r"^from edge_robot\.nodes\.(\w+) import", text, re.MULTILINE):
            imported(name, seen)
    return seen


def test_every_status_falls_into_one_branch() -> None:
    file = share_dir() / "config" / "diagnostic_aggregator.yaml"
    (section,) = yaml.safe_load(file.read_text()).values()
    branches = {
        name: value["contains"]
        for name, value in section["ros__parameters"].items()
        if isinstance(value, dict)
    }
    reporting = [node for node in node_executables() if "diagnostics" in imported(node, set())]
    assert {"planner", "dashboard", "lifecycle_manager"} <= set(reporting)
    for node in reporting:
        for prefix in ("", "fleet/robot1/"):
            status = f"{prefix}{node}: deadline control"
            found = [name for name, parts in branches.items() if any(p in status for p in parts)]
            assert len(found) == 1, f"{status} is in {found}"
    assert any(part in "camera_perception_left: camera" for part in branches["perception"])
