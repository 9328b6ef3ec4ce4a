"""`ros2 …` and `edge-robot …` on nodes of either runtime print the same."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

RUNTIMES = ("ros2", "standalone")
NODE = "/lab/everything"

COMMANDS: dict[str, list[str]] = {
    "node list": ["node", "list"],
    "node list all": ["node", "list", "-a"],
    "node info": ["node", "info", NODE],
    "node info managed": ["node", "info", "/lab/managed"],
    "topic list": ["topic", "list"],
    "topic list types": ["topic", "list", "-t"],
    "topic list hidden": ["topic", "list", "--include-hidden-topics"],
    "topic list verbose": ["topic", "list", "-v"],
    "topic list count": ["topic", "list", "-c"],
    "topic info": ["topic", "info", "/lab/counter"],
    "topic info verbose": ["topic", "info", "-v", "/lab/counter"],
    "topic info service": ["topic", "info", "-v", "/rosout"],
    "topic type": ["topic", "type", "/lab/counter"],
    "topic find": ["topic", "find", "sensor_msgs/msg/Image"],
    "topic echo": ["topic", "echo", "--once", "/lab/image"],
    "topic echo field": ["topic", "echo", "--once", "--field", "data", "/lab/image"],
    "topic echo flow": ["topic", "echo", "--once", "--flow-style", "/lab/image"],
    "topic echo csv": ["topic", "echo", "--once", "--csv", "/lab/image"],
    "topic pub": ["topic", "pub", "--once", "/lab/in", "std_msgs/msg/String", "{data: hello}"],
    "service list": ["service", "list"],
    "service list types": ["service", "list", "-t"],
    "service type": ["service", "type", "/lab/add"],
    "service find": ["service", "find", "example_interfaces/srv/AddTwoInts"],
    "service call": [
        *("service", "call", "/lab/add", "example_interfaces/srv/AddTwoInts", "{a: 2, b: 3}")
    ],
    "param list": ["param", "list"],
    "param list node": ["param", "list", NODE],
    "param list types": ["param", "list", NODE, "--param-type"],
    "param get": ["param", "get", NODE, "gain"],
    "param get array": ["param", "get", NODE, "names"],
    "param set": ["param", "set", NODE, "label", "renamed"],
    "param set refused": ["param", "set", NODE, "count", "13"],
    "param describe": ["param", "describe", NODE, "gain", "count", "fixed"],
    "param dump": ["param", "dump", NODE],
    "lifecycle nodes": ["lifecycle", "nodes"],
    "lifecycle get": ["lifecycle", "get", "/lab/managed"],
    "lifecycle list": ["lifecycle", "list", "/lab/managed"],
    "lifecycle set": ["lifecycle", "set", "/lab/managed", "configure"],
    "lifecycle set impossible": ["lifecycle", "set", "/lab/managed", "deactivate"],
    "action list": ["action", "list", "-t"],
    "action info": ["action", "info", "-t", "/lab/fibonacci"],
    "action send_goal": [
        *("action", "send_goal", "--feedback", "/lab/fibonacci"),
        *("example_interfaces/action/Fibonacci", "{order: 5}"),
    ],
}
"""What to ask, in this order; `lifecycle set` leaves its mark on what comes after."""

NO_SPIN_TIME = ("topic pub", "service call", "action send_goal")
"""What takes no time to look around: it waits for what it needs."""

BY_DAEMON = ("service type", "service find", "action list", "action info")
"""What `ros2` can only ask its daemon."""


def comparable(text: str) -> str:
    """Return what a tool printed without what differs from run to run."""
    text = re.sub(r"GID: [0-9a-f.]+", "GID: …", text)
    # The order in which endpoints were discovered.
    blocks = [block.strip("\n") for block in text.split("\n\n")]
    spots = [index for index, block in enumerate(blocks) if block.startswith("Node name: ")]
    for index, block in zip(spots, sorted(blocks[spot] for spot in spots), strict=True):
        blocks[index] = block
    text = "\n\n".join(blocks)
    # What `ros2` makes of a name that its daemon tells it, letter by letter.
    text = text.replace("//l/a/beverything", NODE)
    text = re.sub(r"Goal accepted with ID: [0-9a-f]+", "Goal accepted with ID: …", text)
    # Nodes that tools start for themselves, and what they tell of themselves.
    passing = ("_ros2cli", "waiting for service to become available", "Waiting for at least 1")
    lines = [line for line in text.splitlines() if not any(part in line for part in passing)]
    return "\n".join(lines)


@pytest.fixture(scope="session")
def printed() -> dict[tuple[str, str], dict[str, str]]:
    return {}


@pytest.fixture
def prints(
    runtimes: dict[str, Any],
    start: Callable[..., Any],
    printed: dict[tuple[str, str], dict[str, str]],
) -> Callable[[str, str], dict[str, str]]:
    """Give a function that returns what the tool of one runtime prints of nodes of another."""

    def show(shown: str, tool: str) -> dict[str, str]:
        pair = shown, tool
        if pair not in printed:
            node = start(shown, "everything_node.py")
            runtime = runtimes[tool]
            texts = {}
            direct = [name for name in COMMANDS if name not in BY_DAEMON]
            for name in direct:
                more = []
                if name not in NO_SPIN_TIME:
                    more = ["--spin-time", "3"] + (["--no-daemon"] if tool == "ros2" else [])
                texts[name] = comparable(runtime.show(runtime.tool(*COMMANDS[name], *more)))
            if tool == "ros2":
                runtime.show(runtime.tool("daemon", "start"))
                time.sleep(3.0)  # it looks around
            for name in BY_DAEMON:
                texts[name] = comparable(runtime.show(runtime.tool(*COMMANDS[name])))
            if tool == "ros2":
                runtime.show(runtime.tool("daemon", "stop"))
            node.kill()
            node.wait()
            printed[pair] = texts
        return printed[pair]

    return show


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("tool", RUNTIMES)
@pytest.mark.parametrize("shown", RUNTIMES)
def test_the_tools_print_the_same(
    shown: str, tool: str, name: str, prints: Callable[[str, str], dict[str, str]]
) -> None:
    wanted = prints("ros2", "ros2")[name]
    assert prints(shown, tool)[name] == wanted
