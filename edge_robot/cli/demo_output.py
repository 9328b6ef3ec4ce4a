"""What the demo shows of a launch: events and a status line; everything else goes to files."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from edge_robot.standalone.launch.description import Process
from edge_robot.standalone.launch.output import Stream

_ALARM = re.compile(r"^\[?(WARN|ERROR|FATAL)")
_PLAIN_STATUS_PERIOD = 5.0
"""Between two status lines where they cannot overwrite each other, s."""
_REPEAT_PERIOD = 30.0
"""Between two showings of warnings that differ in numbers only, s."""
_TAIL = 15
"""Lines shown of a process that crashed."""


class DemoOutput:
    """Writes each process's output to its file and shows what a person wants to see.

    Args:
        console: The terminal.
        logs: Folder for the files.
        on_status: Called about once a second while the run is on.

    Attributes:
        mistake: The first line a node printed about something the user must mend.
        casualty: How the first process died, and what it had said last.
    """

    def __init__(self, console: Console, logs: Path, on_status: Callable[[], None]) -> None:
        self.mistake: str | None = None
        self.casualty: list[str] = []
        self._console = console
        self._logs = logs
        self._on_status = on_status
        self._files: dict[str, TextIO] = {}
        self._tails: dict[str, deque[str]] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._status_due = 0.0
        self._alarms: dict[str, float] = {}
        self._start = time.monotonic()

    def __enter__(self) -> DemoOutput:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for file in self._files.values():
            file.close()

    def line(self, process: Process, stream: Stream, text: str) -> None:
        """Take a line of a process."""
        self._log(process.name, text)
        self._tails.setdefault(process.name, deque(maxlen=_TAIL)).append(text)
        kind, _, rest = text.partition(" ")
        if process.node == "/mission" and stream == "stdout" and kind == "status":
            self._show_status(json.loads(rest))
            self._on_status()
        elif process.node == "/mission" and stream == "stdout" and kind == "event":
            self._print(f"[bold]{escape(rest)}[/bold]")
        elif kind == "error:":
            name = process.name.rpartition("-")[0]
            self.mistake = self.mistake or (rest if name in rest else f"{name}: {rest}")
        elif _ALARM.match(text) and self._is_news(text):
            self._print(f"[yellow]{escape(text)}[/yellow]")

    def notice(self, text: str, error: bool = False) -> None:
        """Take a line of the launch runner."""
        self._log("launch", text)
        if error and not self.casualty:
            name = text.partition(":")[0]
            self.casualty = [text, *self._tails.get(name, ())]

    def _is_news(self, text: str) -> bool:
        """Return whether nothing like it was shown lately; every line is in the files anyway."""
        kind = re.sub(r"[\d.]+", "#", text)[:80]
        now = self._elapsed()
        news = now - self._alarms.get(kind, -_REPEAT_PERIOD) >= _REPEAT_PERIOD
        if news:
            self._alarms[kind] = now
        return news

    def _log(self, name: str, text: str) -> None:
        if name not in self._files:
            # Line by line: what was said before a crash of the whole machine is on the disk.
            self._files[name] = (self._logs / f"{name}.log").open("w", buffering=1)
        self._files[name].write(text + "\n")

    def _print(self, markup: str) -> None:
        self._console.print(
            f"[dim]{self._elapsed():6.1f} s[/dim]  {markup}", highlight=False, soft_wrap=True
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self._start

    def _show_status(self, status: Mapping[str, Any]) -> None:
        text = status_text(status)
        if self._console.is_terminal:
            self._live.update(Text(f"{self._elapsed():6.1f} s  {text}", style="cyan"), refresh=True)
        elif self._elapsed() >= self._status_due:
            self._status_due = self._elapsed() + _PLAIN_STATUS_PERIOD
            self._print(escape(text))


def status_text(status: Mapping[str, Any]) -> str:
    """Return the mission's status as one line."""
    distance, factor = status["distance"], status["real_time_factor"]
    link = {None: "not heard of", True: "up", False: "DOWN"}[status["link"]]
    parts = [
        status["phase"],
        f"mode {status['mode'] or 'not heard of'}",
        "" if distance is None else f"{distance:.1f} m to the goal",
        f"link {link}",
        "" if factor is None else f"real-time factor {factor:.2f}",
    ]
    return ", ".join(part for part in parts if part)
