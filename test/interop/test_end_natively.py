"""A managed node that is destroyed leaves nothing of DDS running, under the real ROS 2."""

from __future__ import annotations

from conftest import Runtime

PROGRAM = """
import json
from pathlib import Path

import rclpy

from edge_robot.nodes.managed import ManagedNode

def threads():
    return {file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")}

rclpy.init()
before = threads()
node = ManagedNode("pupil")
during = threads()
node.destroy_node()
print(json.dumps([sorted(during - before), sorted(threads() - before)]))
"""


def test_a_destroyed_node_takes_its_participant_along(stacks: dict[str, Runtime]) -> None:
    during, after = stacks["ros2"].json("-c", PROGRAM)
    assert during, "DDS has threads of its own"
    assert not after
