"""The tools as users run them: processes that look at other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

LIMIT = 60.0
"""Longest run of a tool that should end by itself, s."""

SPIN_TIME = "1"
"""Time a tool listens for others: this machine may be busy."""

LISTENING = {"list", "info", "type", "find", "echo", "hz", "bw", "delay"}


class Running:
    """A tool, or a node, that runs."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._came:
                self.lines.append(line.rstrip("\n"))
                self._came.notify()

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until so many lines hold a text."""
        with self._came:
            came = self._came.wait_for(
                lambda: sum(text in line for line in self.lines) >= count, LIMIT
            )
        assert came, f"{count} lines with {text!r} did not come; so far: {self.lines}"

    def stop(self, number: int) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return status

    def end(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.wait()
        self._reader.join(LIMIT)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass(frozen=True)
class Tools:
    """The `edge-robot` command."""

    started: list[Running]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        spin = ["--spin-time", SPIN_TIME] if arguments[1] in LISTENING else []
        if arguments[0] in ("interface", "bag"):
            spin = []
        return [sys.executable, "-m", "edge_robot", *arguments, *spin]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a tool to its end."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={**os.environ, "COLUMNS": "200"},
        )

    def out(self, *arguments: str) -> str:
        """Run a tool that must succeed; return what it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> Running:
        """Start a tool that goes on."""
        self.started.append(Running(self.command(*arguments)))
        return self.started[-1]


@pytest.fixture
def tools(domain: int) -> Iterator[Tools]:
    """Give the tools, in a domain of their own."""
    tools = Tools([])
    yield tools
    for running in tools.started:
        running.end()


@pytest.fixture
def start_node(domain: int) -> Iterator[Callable[[str], Running]]:
    """Give a function that starts a node: code that has `node`, and is spun when it has run."""
    nodes: list[Running] = []

    def start(code: str, *, name: str = "talker") -> Running:
        program = (
            "import edge_robot, rclpy\nrclpy.init()\n"
            f"node = rclpy.create_node({name!r})\n"
            f"{textwrap.dedent(code)}\n"
            "print('ready', flush=True)\n"
            "try:\n    rclpy.spin(node)\nexcept (KeyboardInterrupt, SystemExit):\n    pass\n"
        )
        nodes.append(Running([sys.executable, "-c", program]))
        nodes[-1].wait_for("ready")
        return nodes[-1]

    yield start
    for node in nodes:
        node.end()


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
