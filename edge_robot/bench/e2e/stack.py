"""The whole stack of the demo as processes that can be killed, stopped and cut off."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.listening import free_port
from edge_robot.standalone.launch.usage import usage_of

_STARTED = re.compile(r"(.+)-\d+: started with pid (\d+)")
_END_PATIENCE = 20.0
"""How long the processes may take to end, s."""


class Stack:
    """Processes of the demo, but for its conductor; what dies is started again after half a second.

    Args:
        folder: For recording and logs.
        seed: Of the warehouse.
        remappings: Node name to remapping rules.
        environment: Of the processes.
        without: Names of nodes that are left out.

    Attributes:
        log: File with all that they say.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        remappings: Mapping[str, Sequence[str]],
        environment: Mapping[str, str],
        without: Sequence[str] = (),
    ) -> None:
        arguments = {
            "seed": str(seed),
            "folder": str(folder),
            **{name: str(free_port()) for name in ("fleet_port", "link_port", "dashboard_port")},
        }
        wanted = {"arguments": arguments, "remappings": remappings, "without": list(without)}
        self.log = folder / "stack.log"
        self._log = self.log.open("w")
        self._pids: dict[str, int] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge_robot.bench.programs.stack", json.dumps(wanted)],
            env={"EDGE_ROBOT_TOKEN": secrets.token_urlsafe(9), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def pid(self, node: str) -> int:
        """Return the pid that a node has now.

        Raises:
            UserError: there is no such node.
        """
        if node not in self._pids:
            raise UserError(f"no node {node!r} runs; there are {', '.join(sorted(self._pids))}")
        return self._pids[node]

    def processor_seconds(self) -> dict[str, float]:
        """Return what every node has computed since it started, s."""
        used = usage_of(self._pids.values())
        return {node: used[pid].cpu for node, pid in self._pids.items() if pid in used}

    def check(self) -> None:
        """Check that the stack runs.

        Raises:
            UserError: it has ended.
        """
        if self._process.poll() is not None:
            raise UserError(f"the stack has ended by itself; its log is {self.log}")

    def signal(self, node: str, number: signal.Signals) -> None:
        """Send a node a signal."""
        os.kill(self.pid(node), number)

    def end(self) -> None:
        """End all processes."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the processes die with it
            self._process.wait()
        self._reader.join()
        self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log.write(line)
            self._log.flush()
            if line.startswith('{"notice"'):
                found = _STARTED.match(json.loads(line)["notice"])
                if found:
                    self._pids[found[1]] = int(found[2])


@contextmanager
def stress(processes: int) -> Iterator[None]:
    """Load the machine with processes that only compute."""
    spinners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
