"""Helpers to run `edge-robot launch` as a user does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = (
    sys.executable,
    "-c",
    "from edge_robot.cli.main import main; main()",
    "launch",
)
BOUND = 20.0
"""How long a test waits for what should take a moment, s."""


def write(folder: Path, body: str, name: str = "test.launch.xml") -> Path:
    file = folder / name
    file.write_text(f"<launch>\n{body}\n</launch>\n")
    return file


def python(code: str) -> str:
    """Return the `cmd` attribute that runs Python code (without double quotes in it)."""
    assert '"' not in code
    return f"{sys.executable} -u -c &quot;{code}&quot;"


def launch(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a launch to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=BOUND,
        env=os.environ | environment,
    )


class Running:
    """A launch in the background; its standard output is read line by line."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | environment,
        )
        self.lines: list[str] = []

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def wait_for(self, *texts: str) -> None:
        """Read output until every text has been seen."""
        assert self.process.stdout is not None
        missing = [text for text in texts if not any(text in line for line in self.lines)]
        while missing:
            line = self.process.stdout.readline()
            assert line, f"the launch ended without saying {missing}: {self.lines}"
            self.lines.append(line.rstrip("\n"))
            missing = [text for text in missing if text not in line]

    def finish(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal; return the exit status and how long it took, s."""
        start = time.monotonic()
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=BOUND)
        self.lines += rest.splitlines()
        return self.process.returncode, time.monotonic() - start

    def pids(self) -> list[int]:
        """The processes started so far, as the launch said."""
        return [
            int(line.rsplit(maxsplit=1)[1]) for line in self.lines if "started with pid" in line
        ]


def wait_until_gone(pids: list[int]) -> None:
    """Wait until none of the processes exists; a zombie nobody has collected yet is gone too."""
    deadline = time.monotonic() + BOUND
    for pid in pids:
        while _lives(pid):
            assert time.monotonic() < deadline, f"process {pid} still runs"
            time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
