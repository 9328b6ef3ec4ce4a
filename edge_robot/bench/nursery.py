"""Starts processes within milliseconds of being asked, and kills them.

Run as a program, it imports a module once and forks a process for every line it reads:
`{"role": "archive", …}`. What is forked is a process like any other: own memory, real files, real
sockets, and a SIGKILL ends it wherever it is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import IO, Any


class Nursery:
    """Starts the roles of a module as processes, and ends them.

    Args:
        module: Its name; its `ROLES` are functions by name. Importing it must start no thread.
        environment: Of the processes; None: this process's.
        log: Where they write what they say; None: to this process's standard error.
    """

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str] | None = None,
        log: IO[str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
        self._children: set[int] = set()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *exception: object) -> None:
        for pid in list(self._children):
            self.kill(pid)
        self._process.communicate()

    def start(self, role: str, **arguments: Any) -> int:
        """Start a process; return its id."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"role": role, **arguments}) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._children.add(pid)
        return pid

    def kill(self, pid: int) -> bool:
        """Kill a process and wait until it is gone; return whether it was still there."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            self._children.discard(pid)
        with suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                time.sleep(0.0005)
        return True


def main() -> None:
    """Fork a process for every line of standard input; write its id."""
    roles = import_module(sys.argv[1]).ROLES
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            roles[order.pop("role")](**order)
            return
        print(pid, flush=True)


if __name__ == "__main__":
    main()
