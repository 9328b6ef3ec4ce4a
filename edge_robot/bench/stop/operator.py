"""An operator in a process of its own, that does what it is told by lines of JSON.

Two programs obey the same words: `protocol` speaks the dashboard's protocol, `browser`
works the page in a real browser.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import IO, Any

Does = Callable[..., Awaitable[dict[str, Any] | None]]
"""Does one thing that an operator does; returns what there is to tell of it."""


class Operator:
    """The process, seen from whoever tells it what to do.

    Args:
        prefix: What its command is appended to: the network it runs in.
        module: `edge_robot.bench.stop.protocol` or `….browser`.
        options: Arguments of the module's `main`.
        environment: Of the process.
        log: Where it writes what goes wrong.

    Raises:
        RuntimeError: in any method, what was to be done could not be, or the process has ended.
    """

    def __init__(
        self,
        prefix: Sequence[str],
        module: str,
        options: Mapping[str, Any],
        environment: Mapping[str, str],
        log: IO[str],
    ) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(environment),
            text=True,
        )
        self._stopped: list[int] = []
        self._told()

    def do(self, what: str, /, **how: Any) -> dict[str, Any]:
        """Have something done, and return what is told of it; `at` is when it began."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        self._process.stdin.flush()
        told = self._told()
        if "failed" in told:
            raise RuntimeError(f"the operator cannot {what.replace('_', ' ')}: {told['failed']}")
        return told

    def freeze(self) -> float:
        """Stop the processes that hold the page; return when, s on the steady clock."""
        self._stopped = self.do("page_processes")["pids"]
        at = time.monotonic()
        for pid in self._stopped:
            os.kill(pid, signal.SIGSTOP)
        return at

    def thaw(self) -> None:
        """Let them go on, with the stick still held."""
        for pid in self._stopped:
            os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """End the process."""
        self._process.communicate()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the operator's process has ended: see the log")
        told: dict[str, Any] = json.loads(line)
        return told


async def obey(worker: object) -> None:
    """Have a worker do what standard input says, one thing after the other, until it ends.

    Args:
        worker: Its coroutine methods are what can be done.
    """
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line)
        loop.call_soon_threadsafe(orders.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    print(json.dumps({}), flush=True)
    while (line := await orders.get()) is not None:
        order = json.loads(line)
        at = time.monotonic()
        try:
            does: Does = getattr(worker, order.pop("do"))
            told = await does(**order) or {}
        except Exception as error:  # whatever it is, who gave the order is told
            told = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps({"at": at, **told}), flush=True)
