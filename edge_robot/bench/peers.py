"""Runs what we are measured beside, in an interpreter that has it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from edge_robot.errors import UserError


def run_peer(python: str, script: Path, argument: str, what: str) -> str:
    """Return what a script prints, run with one thread per library.

    Args:
        python: The interpreter.
        script: Imports nothing of ours.
        argument: Its only one.
        what: It needs, for messages.

    Raises:
        UserError: the interpreter does not start, or the script fails.
    """
    try:
        ran = subprocess.run(
            [python, "-W", "ignore", str(script), argument],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        )
    except OSError as error:
        raise UserError(
            f"cannot run {python}: {error.strerror}; with --peer-python give one that has {what}"
        ) from error
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{what} failed under {python}: {last}")
    return ran.stdout
