"""`edge-robot lifecycle` against a real managed node; texts as ros2cli's."""

from __future__ import annotations

import pytest

LIFECYCLE_NODE = """
from rclpy.lifecycle import LifecycleNode
node.destroy_node()
node = LifecycleNode("camera")
"""


@pytest.fixture
def camera(start_node) -> None:
    start_node(LIFECYCLE_NODE, name="other")


def test_a_node_is_led_through_its_states(tools, camera) -> None:
    assert tools.out("lifecycle", "nodes") == "/camera\n"
    assert tools.out("lifecycle", "nodes", "-c") == "1\n"
    assert tools.out("lifecycle", "get", "camera") == "unconfigured [1]\n"
    assert tools.out("lifecycle", "list", "camera") == (
        "- configure [1]\n\tStart: unconfigured\n\tGoal: configuring\n"
        "- shutdown [5]\n\tStart: unconfigured\n\tGoal: shuttingdown\n"
    )
    assert tools.out("lifecycle", "set", "camera", "configure") == "Transitioning successful\n"
    assert tools.out("lifecycle", "set", "camera", "3") == "Transitioning successful\n"
    assert tools.out("lifecycle", "get") == "/camera: active [3]\n"
    graph = tools.out("lifecycle", "list", "-a", "camera")
    assert "- transition_success [10]\n\tStart: configuring\n\tGoal: inactive\n" in graph


def test_what_cannot_be_is_said(tools, camera) -> None:
    done = tools.run("lifecycle", "set", "camera", "fly")
    assert (done.returncode, done.stderr) == (
        1,
        "Unknown transition requested, available ones are:\n- configure [1]\n- shutdown [5]\n",
    )
    for verb in (("get", "/nobody"), ("list", "/nobody"), ("set", "/nobody", "configure")):
        done = tools.run("lifecycle", *verb)
        assert (done.returncode, done.stderr) == (1, "Node not found\n")
