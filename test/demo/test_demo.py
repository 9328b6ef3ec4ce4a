"""The main job: the closed loop as a user runs it, and its refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from edge_robot.cli.main import main; main()", "demo")


def demo(*arguments: str | Path, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=dict(os.environ),
    )


@pytest.mark.timeout(240)
def test_the_robot_reaches_its_goal_through_a_lost_link(tmp_path: Path, domain: int) -> None:
    """One camera period is 100 ms; the bound leaves room for a machine that does other things."""
    figures = tmp_path / "figures.json"
    folder = tmp_path / "run"
    result = demo("--headless", "--seed", 3, "--json", figures, "--report", folder, timeout=220.0)
    assert result.returncode == 0, result.stdout + result.stderr
    run = json.loads(figures.read_text())
    assert run["reached_goal"] is True
    assert run["collisions"] == 0
    assert run["referee"]["reached_goal"] is True
    assert run["referee"]["collisions"] == 0
    assert run["link"]["cuts"] == 1
    assert run["link"]["fallback_ms"] < 500.0
    assert run["link"]["offloaded_before"] > 0
    assert run["link"]["offloaded_after"] > 0
    assert run["link"]["recovered"] is True
    assert run["camera_to_cmd_ms"]["p50"] > 0.0
    assert run["sim_seconds"] > 10.0
    assert run["processes"] >= 14
    assert (folder / "index.html").stat().st_size > 10_000
    assert (folder / "recording.mcap").stat().st_size > 100_000
    assert (folder / "logs" / "launch.log").is_file()
    assert "Traceback" not in "".join(f.read_text() for f in (folder / "logs").iterdir())

    command = [sys.executable, "-m", "edge_robot", "report", str(folder), "--json", str(figures)]
    subprocess.run(command, check=True, timeout=60.0)
    again = json.loads(figures.read_text())
    assert again == {**run, "processes": None, "usage": {}}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["sed:=3"], "has no launch argument 'sed'; did you mean seed?"),
        (["seed=3"], "write NAME:=VALUE"),
        (["--json", "/no/such/folder/x.json"], "cannot write the figures to /no/such/folder"),
        (["--report", "/proc/run"], "cannot make the report folder /proc/run"),
        (["model:=/no/such/model.onnx"], "/no/such/model.onnx"),
        (["--model", "no_such_model"], "no_such_model"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, domain: int, arguments: list[str], problem: str
) -> None:
    report = [] if "--report" in arguments else ["--report", str(tmp_path)]
    result = demo("--headless", *report, *arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert problem in line
