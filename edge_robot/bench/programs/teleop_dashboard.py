"""The real dashboard node, with a note of what went in and out of it.

Arguments, as JSON: `parameters` of the node, and `trace`, whether to count its memory (slow). It
prints its process id when it serves, and answers orders, lines of JSON, by one each:

- `{"notes": true}`: what was noted since. `ticks`: sent [number, when]; `inputs`: received [number
  of the sample, tick it answers, when]; `commands`: published [when, forward velocity];
- `{"memory": true}`: `traced`, bytes that Python holds, 0 if that is not counted.

Times are of the steady clock, s.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import threading
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import rclpy
from aiohttp import WSMessage, WSMsgType, web
from rclpy.executors import ExternalShutdownException
from rclpy.publisher import Publisher

from edge_robot import topics
from edge_robot.nodes.dashboard import Dashboard
from edge_robot.topics import full_name

_TICK = re.compile(r'"tick": ?(\d+)')
_SAMPLE = re.compile(r'"n": ?(\d+)')


class Notes:
    """Looks over the shoulder of every WebSocket and of the publisher of commands."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Any]] = {}
        self.take()
        self._send, self._receive = web.WebSocketResponse.send_str, web.WebSocketResponse.receive
        self._publish = Publisher.publish
        notes = self

        async def send_str(socket: web.WebSocketResponse, data: str, *more: Any) -> None:
            if data.startswith(('{"type": "tick"', '{"type":"tick"')):
                notes.on_tick(data)
            await notes._send(socket, data, *more)

        async def receive(socket: web.WebSocketResponse, *more: Any) -> WSMessage:
            message = await notes._receive(socket, *more)
            if message.type is WSMsgType.TEXT and '"input"' in message.data:
                notes.on_input(message.data)
            return message

        def publish(publisher: Publisher, message: Any) -> None:
            if publisher.topic_name == full_name(topics.CMD_VEL_TELEOP.name):
                notes.on_command(message.twist.linear.x)
            notes._publish(publisher, message)

        web.WebSocketResponse.send_str = send_str  # type: ignore[assignment]
        web.WebSocketResponse.receive = receive  # type: ignore[assignment, method-assign]
        Publisher.publish = publish

    def take(self) -> dict[str, list[Any]]:
        """Return what was noted since the last time."""
        kept, self._kept = self._kept, {"ticks": [], "inputs": [], "commands": []}
        return kept

    def on_tick(self, text: str) -> None:
        """Note a tick that is sent now."""
        tick = _TICK.search(text)
        if tick:
            self._kept["ticks"].append((int(tick[1]), time.monotonic()))

    def on_input(self, text: str) -> None:
        """Note an input that was received now."""
        tick, sample = _TICK.search(text), _SAMPLE.search(text)
        if tick and sample:
            self._kept["inputs"].append((int(sample[1]), int(tick[1]), time.monotonic()))

    def on_command(self, velocity: float) -> None:
        """Note a command that is published now."""
        self._kept["commands"].append((time.monotonic(), velocity))


def main(parameters: dict[str, Any], trace: bool) -> None:
    """Serve until the input ends."""
    if trace:
        tracemalloc.start()
    arguments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", *arguments])
    notes = Notes()
    node = Dashboard()
    node.trigger_configure()
    node.trigger_activate()

    def answer() -> None:
        for line in sys.stdin:
            if "memory" in json.loads(line):
                if trace:
                    gc.collect()
                print(json.dumps({"traced": tracemalloc.get_traced_memory()[0]}), flush=True)
            else:
                print(json.dumps(notes.take()), flush=True)
        rclpy.try_shutdown()

    threading.Thread(target=answer, daemon=True).start()
    print(json.dumps({"serving": True}), flush=True)
    with suppress(ExternalShutdownException):
        rclpy.spin(node)
    node.destroy_node()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
