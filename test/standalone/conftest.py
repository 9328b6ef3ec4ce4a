"""Fixtures for the standalone runtime: an initialized library, and other processes to talk to."""

from __future__ import annotations

import queue
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.node import Node

SPIN_LIMIT = 20.0
"""Longest wait for something that should happen at once, s."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if rclpy.__name__ == "edge_robot.standalone.rclpy":
        return
    skip = pytest.mark.skip(reason="ROS 2 is installed, so the standalone runtime is not in use")
    for item in items:
        if "standalone" in item.path.parts:
            item.add_marker(skip)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process that died be forgotten after one second, not after ten."""
    lease = "<Discovery><LeaseDuration>1s</LeaseDuration></Discovery>"
    monkeypatch.setenv("CYCLONEDDS_URI", f"<CycloneDDS><Domain>{lease}</Domain></CycloneDDS>")


@pytest.fixture
def ros(domain: int) -> Iterator[None]:
    """Initialize the library in a domain of its own."""
    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()


@pytest.fixture
def node(ros: None) -> Iterator[Node]:
    """Give a node."""
    node = rclpy.create_node("tested")
    yield node
    node.destroy_node()


@pytest.fixture
def spin_until(ros: None) -> Callable[[Node, Callable[[], Any]], None]:
    """Give a function that spins a node until a condition holds."""

    def spin(node: Node, condition: Callable[[], Any]) -> None:
        timed_out = threading.Event()
        timer = threading.Timer(SPIN_LIMIT, timed_out.set)
        timer.start()
        try:
            while not condition():
                assert not timed_out.is_set(), f"nothing came of it within {SPIN_LIMIT} s"
                rclpy.spin_once(node, timeout_sec=0.1)
        finally:
            timer.cancel()

    return spin


class Peer:
    """Another process that runs a piece of Python."""

    def __init__(self, code: str, *arguments: str) -> None:
        preamble = "import edge_robot, rclpy\n"
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", preamble + textwrap.dedent(code), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def wait_for(self, text: str) -> str:
        """Return the first line from now on that contains a text."""
        while True:
            try:
                line = self._lines.get(timeout=SPIN_LIMIT)
            except queue.Empty:
                raise AssertionError(f"no line with {text!r} came; so far: {self.output}") from None
            self.output.append(line)
            if text in line:
                return line

    def finish(self) -> int:
        """Wait for the end; return the exit status, and have all output in `output`."""
        status = self.process.wait(SPIN_LIMIT)
        self._reader.join(SPIN_LIMIT)
        while not self._lines.empty():
            self.output.append(self._lines.get())
        return status


@pytest.fixture
def start_peer(domain: int) -> Iterator[Callable[..., Peer]]:
    """Give a function that starts a process; what still runs at the end is killed."""
    peers: list[Peer] = []

    def start(code: str, *arguments: str) -> Peer:
        peers.append(Peer(code, *arguments))
        return peers[-1]

    yield start
    for peer in peers:
        peer.process.kill()
        peer.process.wait()
        peer._reader.join()
        assert peer.process.stdout is not None
        peer.process.stdout.close()
