"""Rigs side by side, each a process in a network of its own: whichever is free does a trial."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_robot.bench.runtimes import bench_domain, standalone
from edge_robot.bench.stop import network
from edge_robot.bench.stop.trials import Order

_SILENCE = 120.0  # s without any news: something hangs


class _Rig:
    """The process of `trials`, and the folder in which it leaves its log."""

    def __init__(self, options: Mapping[str, Any], folder: Path) -> None:
        self._log = folder / "log"
        environment = {**standalone(bench_domain()).environment, "TMPDIR": str(folder)}
        arguments = json.dumps({**options, "folder": str(folder)})
        program = (sys.executable, "-m", "edge_robot.bench.stop.trials", arguments)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*network.ALONE, *program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
                start_new_session=True,
            )

    def read(self, number: int, lines: queue.Queue[tuple[int, str | None]]) -> None:
        """Pass on what it prints, and None at its end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            lines.put((number, line))
        lines.put((number, None))

    def order(self, order: Order) -> None:
        """Have it do a trial."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()

    def log(self) -> str:
        """Return the end of its log."""
        return self._log.read_text()[-3000:]

    def end(self) -> None:
        """End it: with the first of its processes all others end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Rigs:
    """The rigs; they live as long as the context.

    Args:
        count: How many.
        seed: Of what they draw.
        browser: Whether the operators work a real browser.

    Attributes:
        autonomy_drove: In how many of those that are ready autonomy drove before an operator came.
    """

    def __init__(self, count: int, seed: int, browser: bool) -> None:
        self.autonomy_drove = 0
        self._options = [{"seed": seed + number, "browser": browser} for number in range(count)]
        self._stack = ExitStack()
        self._lines: queue.Queue[tuple[int, str | None]] = queue.Queue()
        self._rigs: list[_Rig] = []

    def __enter__(self) -> Rigs:
        with self._stack as stack:
            for number, options in enumerate(self._options):
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                rig = _Rig(options, Path(folder))
                stack.callback(rig.end)
                threading.Thread(target=rig.read, args=(number, self._lines), daemon=True).start()
                self._rigs.append(rig)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.close()

    def work_off(self, orders: list[Order]) -> Iterator[dict[str, Any]]:
        """Have all orders done, the last one first, and yield what each trial showed.

        Args:
            orders: They are taken out of the list; more may be put in between two results.

        Raises:
            RuntimeError: a rig ended, or all are silent; the end of its log is in the text.
        """
        busy = set(range(len(self._rigs)))  # until they say that they are ready
        while busy:
            number, told = self._next()
            if "autonomy_drove" in told:
                self.autonomy_drove += told["autonomy_drove"]
            else:
                yield told
            busy.discard(number)
            for idle in set(range(len(self._rigs))) - busy:
                if orders:
                    self._rigs[idle].order(orders.pop())
                    busy.add(idle)

    def _next(self) -> tuple[int, dict[str, Any]]:
        try:
            number, line = self._lines.get(timeout=_SILENCE)
        except queue.Empty:
            raise RuntimeError(f"no rig said anything for {_SILENCE:.0f} s") from None
        if line is None:
            raise RuntimeError(
                f"rig {number} failed; the end of its log:\n{self._rigs[number].log()}"
            )
        return number, json.loads(line)
