"""Follows a page of the documentation as a reader does: types its commands, saves its files.

A comment before a fenced block says what is to be done with it:

    <!-- run -->                  type it; the next block goes on in the same folder and environment
    <!-- run, says "reached" -->  and the words must be in what is printed
    <!-- run in background -->    in another terminal, ended by Ctrl-C at the end of the page
    <!-- run alone -->            type it when what runs in other terminals was ended
    <!-- run, needs ros2 -->      where that is (`NEEDS`); else it is left out

A block with a title (```python title="talker.py") is a file, to be saved in the reader's folder.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDS = {
    "new": "a fresh clone and environment (`make new-user`)",
    "ros2": "a ROS 2 that is sourced, with colcon",
    "gazebo": "Gazebo with ros_gz_bridge",
}
"""What a block may need beyond the environment of the tests."""

_BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<mark>run\b.*?) -->\n(?P=indent))?"
    r"```(?P<language>\w*)(?: title=\"(?P<file>[^\"]+)\")?\n(?P<text>.*?)\n(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(
    r"run(?P<background> in background)?(?P<alone> alone)?"
    r'(?:, needs (?P<need>\w+))?(?:, says "(?P<says>[^"]+)")?'
)
_LOOKS_FOR_NODES = re.compile(r"edge-robot (topic|node|service|action|param|lifecycle) ")
PATIENCE = 90.0
"""For one block, s; those of a new user's machine have more."""
NEW_PATIENCE = 900.0


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: Of the page, from 1.
        language: As the fence names it.
        text: What is between the fences.
        typed: Whether a comment says that it is to be.
        file: To be saved as; empty: not a file.
        background: Whether it goes on while the page does.
        alone: Whether what does is ended before.
        need: A key of `NEEDS`, or empty.
        says: Words that it must print.
    """

    line: int
    language: str
    text: str
    typed: bool = False
    file: str = ""
    background: bool = False
    alone: bool = False
    need: str = ""
    says: str = ""


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order.

    Raises:
        ValueError: a comment before one is not understood.
    """
    content = page.read_text()
    for match in _BLOCK.finditer(content):
        line = content.count("\n", 0, match.start()) + 1
        indent = match["indent"]
        text = "\n".join(row.removeprefix(indent) for row in match["text"].split("\n"))
        if match["mark"] is None:
            yield Block(line, match["language"], text, file=match["file"] or "")
            continue
        mark = _MARK.fullmatch(match["mark"])
        if mark is None or mark["need"] not in (None, *NEEDS):
            raise ValueError(f"{page.name}:{line}: `{match['mark']}` is not understood")
        yield Block(
            line,
            match["language"],
            text,
            typed=True,
            background=bool(mark["background"]),
            alone=bool(mark["alone"]),
            need=mark["need"] or "",
            says=mark["says"] or "",
        )


def follow(
    page: Path, folder: Path, environment: Mapping[str, str], available: Collection[str]
) -> tuple[int, list[str]]:
    """Do what a page says.

    Args:
        page: Markdown.
        folder: The reader's; files that the page takes for granted are in it. A terminal that was
            used in it before is used again.
        environment: Of the commands.
        available: Those of `NEEDS` that are there.

    Returns:
        How many blocks were typed, and which were not because of what they need.

    Raises:
        AssertionError: a command fails, takes too long, or does not print what it should.
    """
    typed, left_out = 0, []
    with _Reader(folder, environment).reading() as reader:
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if block.need and block.need not in available:
                left_out.append(f"{where} needs {NEEDS[block.need]}")
                continue
            if block.alone:
                reader.end()
            if block.file:
                (reader.here() / block.file).write_text(block.text + "\n")
            elif block.background:
                reader.start(block, where)
            elif block.typed:
                reader.type(block, where)
            typed += block.typed
    return typed, left_out


class _Reader:
    """Somebody at a terminal, and what runs in their other terminals."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._state = folder / ".terminal"
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._outputs: list[Path] = []

    @contextmanager
    def reading(self) -> Iterator[_Reader]:
        """End, at the end, what still runs in other terminals."""
        try:
            yield self
            for where, process in self._running:
                assert process.poll() is None, f"{where} ended by itself{self._said()}"
        finally:
            self.end()

    def end(self) -> None:
        """End what runs in other terminals, by Ctrl-C as a reader would."""
        running = [process for _, process in self._running if process.poll() is None]
        self._running.clear()
        for process in running:
            os.killpg(process.pid, signal.SIGINT)
        for process in running:
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise

    def here(self) -> Path:
        """Return the folder in which the terminal is."""
        state = self._state.read_text() if self._state.is_file() else ""
        found = re.findall(r"^cd '(.*)'$", state, re.MULTILINE)
        return Path(found[-1]) if found else self._folder

    def type(self, block: Block, where: str) -> None:
        """Type commands and wait for their end.

        What looks for nodes and fails is typed again, with a warning, as a reader would: on a busy
        machine they are found later than a command listens for them.
        """
        looks_for_nodes = not block.need and _LOOKS_FOR_NODES.match(block.text)
        end = f"{{ export -p; echo \"cd '$PWD'\"; }} > '{self._state}'"
        for is_last in (False, False, True) if looks_for_nodes else (True,):
            process, output = self._open(f"{block.text}\n{end}")
            patience = NEW_PATIENCE if block.need else PATIENCE
            try:
                status = process.wait(patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise AssertionError(f"{where} takes over {patience} s{self._said()}") from None
            if status == 0 or is_last:
                break
            warnings.warn(f"{where} failed and is typed again{self._said()}", stacklevel=2)
        assert status == 0, f"{where} ends with {status}{self._said()}"
        assert block.says in output.read_text(), f"{where} lacks {block.says!r}{self._said()}"

    def start(self, block: Block, where: str) -> None:
        """Type commands in another terminal; wait only until they have said what they should."""
        process, output = self._open(block.text)
        self._running.append((where, process))
        end = time.monotonic() + PATIENCE
        while block.says not in output.read_text():
            assert process.poll() is None, f"{where} ended by itself{self._said()}"
            assert time.monotonic() < end, f"{where} lacks {block.says!r}{self._said()}"
            time.sleep(0.05)

    def _open(self, script: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a terminal that goes on where the one before was; return where it prints."""
        output = self._folder / f".terminal-{len(self._outputs)}"
        self._outputs.append(output)
        state = f"[ ! -f '{self._state}' ] || . '{self._state}'"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"{state}\nset -e -o pipefail\n{script}"],
                cwd=self._folder,
                env=dict(self._environment),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        return process, output

    def _said(self) -> str:
        """Return what all terminals have printed last."""
        return "".join(f"\n--- {file.name}\n{file.read_text()[-2000:]}" for file in self._outputs)
