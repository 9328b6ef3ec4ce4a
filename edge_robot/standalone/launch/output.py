"""Where the output of the processes of a launch goes."""

from __future__ import annotations

import os
import sys
from typing import Literal, Protocol, TextIO

from edge_robot.standalone.launch.description import Process

Stream = Literal["stdout", "stderr"]

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Output(Protocol):
    """Takes the lines of a launch; a `BrokenPipeError` from it ends the launch."""

    def line(self, process: Process, stream: Stream, text: str) -> None:
        """Take one line a process has written, without its line end."""

    def notice(self, text: str, error: bool = False) -> None:
        """Take one line of the launch runner itself."""


class Console:
    """Prints every line with the name of its process, in colour on a terminal."""

    def __init__(self) -> None:
        self._colours: dict[str, int] = {}

    def line(self, process: Process, stream: Stream, text: str) -> None:
        """Print a line of a process, unless it asked for a log only."""
        if process.output in ("log", "own_log") and stream == "stdout":
            return
        colour = self._colours.setdefault(
            process.name, _COLOURS[len(self._colours) % len(_COLOURS)]
        )
        file = sys.stderr if stream == "stderr" else sys.stdout
        self._print(f"[{process.name}]", colour, text, file)

    def notice(self, text: str, error: bool = False) -> None:
        """Print a line of the launch itself."""
        self._print("[launch]", 31 if error else 2, text, sys.stderr if error else sys.stdout)

    def _print(self, label: str, colour: int, text: str, file: TextIO) -> None:
        try:
            print(f"{paint(label, colour, file)} {text}", file=file, flush=True)
        except BrokenPipeError:
            # What is said after this, to the last flush, has nowhere to go and must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
            raise


def paint(text: str, colour: int, file: TextIO) -> str:
    """Return `text` in an ANSI colour where `file` is a terminal that wants colours."""
    if not file.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{colour}m{text}\033[0m"
