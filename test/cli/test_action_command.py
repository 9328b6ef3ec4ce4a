"""`edge-robot action` against a real action server; texts as ros2cli's."""

from __future__ import annotations

import re
import signal

import pytest

SERVER = """
import time
from example_interfaces.action import Fibonacci
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor

def execute(handle):
    sequence = [0, 1]
    time.sleep(0.3)  # or feedback would come before the goal's acceptance is printed
    while len(sequence) <= handle.request.order:
        if handle.is_cancel_requested:
            handle.canceled()
            return Fibonacci.Result()
        sequence.append(sequence[-1] + sequence[-2])
        handle.publish_feedback(Fibonacci.Feedback(sequence=sequence))
        time.sleep(0.1)
    handle.succeed()
    return Fibonacci.Result(sequence=sequence)

server = ActionServer(
    node, Fibonacci, "fibonacci", execute,
    callback_group=ReentrantCallbackGroup(),
    goal_callback=lambda goal: GoalResponse.REJECT if goal.order < 0 else GoalResponse.ACCEPT,
    cancel_callback=lambda handle: CancelResponse.ACCEPT,
)
executor = MultiThreadedExecutor()
rclpy.spin = lambda node: rclpy.executors.Executor.spin(executor)
executor.add_node(node)
"""

TYPE = "example_interfaces/action/Fibonacci"


@pytest.fixture
def server(start_node) -> None:
    start_node(SERVER, name="server")


def test_actions_are_listed(tools, server) -> None:
    assert tools.out("action", "list", "-t") == f"/fibonacci [{TYPE}]\n"
    assert tools.out("action", "list", "-c") == "1\n"
    assert tools.out("action", "type", "/fibonacci") == f"{TYPE}\n"
    assert tools.out("action", "info", "-t", "/fibonacci") == (
        f"Action: /fibonacci\nAction clients: 0\nAction servers: 1\n    /server [{TYPE}]\n"
    )
    assert f"  Action Servers:\n    /fibonacci: {TYPE}\n" in tools.out("node", "info", "/server")
    assert tools.run("action", "type", "/nothing").returncode == 1


def test_a_goal_gets_its_result(tools, server) -> None:
    text = tools.out("action", "send_goal", "-f", "/fibonacci", TYPE, "{order: 3}")
    assert re.sub("ID: [0-9a-f]{32}", "ID: N", text) == (
        "Waiting for an action server to become available...\n"
        "Sending goal:\n     order: 3\n\n"
        "Goal accepted with ID: N\n\n"
        "Feedback:\n    sequence:\n- 0\n- 1\n- 1\n\n"
        "Feedback:\n    sequence:\n- 0\n- 1\n- 1\n- 2\n\n"
        "Result:\n    sequence:\n- 0\n- 1\n- 1\n- 2\n\n"
        "Goal finished with status: SUCCEEDED\n"
    )


def test_a_goal_may_be_rejected_or_canceled(tools, server) -> None:
    text = tools.out("action", "send_goal", "/fibonacci", TYPE, "{order: -1}")
    assert text.endswith("Goal was rejected.\n")
    sending = tools.start("action", "send_goal", "-f", "/fibonacci", TYPE, "{order: 300}")
    sending.wait_for("Feedback")
    assert sending.stop(signal.SIGINT) == signal.SIGINT
    assert "Canceling goal..." in sending.lines
    assert sending.lines[-1] == "Goal canceled."


def test_what_cannot_be_sent_is_said(tools) -> None:
    for arguments, error in (
        (("/x", "example_interfaces/action/Nothing"), "The passed action type is invalid\n"),
        (("/x", TYPE, "{ardor: 1}"), "Failed to populate message fields: AttributeError("),
    ):
        done = tools.run("action", "send_goal", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(error)
