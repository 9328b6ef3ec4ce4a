"""What the demo shows and what it keeps in files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from edge_robot.cli.demo_output import DemoOutput
from edge_robot.standalone.launch import Process

MISSION = Process("mission-2", ("m",), {}, node="/mission")
PLANNER = Process("planner-1", ("p",), {}, node="/planner")
STATUS = {
    "phase": "driving",
    "mode": "NOMINAL",
    "distance": 12.34,
    "link": False,
    "real_time_factor": 0.987,
}


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def statuses() -> list[int]:
    return []


@pytest.fixture
def output(screen: io.StringIO, statuses: list[int], tmp_path: Path) -> DemoOutput:
    console = Console(file=screen, width=200)
    return DemoOutput(console, tmp_path, lambda: statuses.append(1))


def test_ordinary_lines_go_to_files_and_alarms_to_the_screen_too(
    output: DemoOutput, screen: io.StringIO, tmp_path: Path
) -> None:
    with output:
        output.line(PLANNER, "stderr", "[INFO] [1.0] [planner]: fine")
        output.line(PLANNER, "stderr", "[WARN] [2.0] [planner]: late")
    assert (tmp_path / "planner-1.log").read_text().splitlines() == [
        "[INFO] [1.0] [planner]: fine",
        "[WARN] [2.0] [planner]: late",
    ]
    assert "fine" not in screen.getvalue()
    assert "[WARN] [2.0] [planner]: late" in screen.getvalue()


def test_a_repeated_alarm_is_shown_once(output: DemoOutput, screen: io.StringIO) -> None:
    with output:
        for number in range(50):
            output.line(PLANNER, "stderr", f"[WARN] [{number}.5] [planner]: late by {number} ms")
        output.line(PLANNER, "stderr", "[ERROR] [50.5] [planner]: late by 50 ms")
    assert screen.getvalue().count("late by") == 2


def test_events_and_status_of_the_mission_are_shown(
    output: DemoOutput, screen: io.StringIO, statuses: list[int]
) -> None:
    with output:
        output.line(MISSION, "stdout", "event link_cut: 36 % of the way")
        output.line(MISSION, "stdout", f"status {json.dumps(STATUS)}")
        output.line(MISSION, "stdout", f"status {json.dumps(STATUS)}")
        output.line(PLANNER, "stdout", "event of no importance")
    shown = screen.getvalue()
    assert "link_cut: 36 % of the way" in shown
    status = "driving, mode NOMINAL, 12.3 m to the goal, link DOWN, real-time factor 0.99"
    assert shown.count(status) == 1, "not a line a second where lines stay"
    assert len(statuses) == 2
    assert "no importance" not in shown


def test_a_status_before_anything_was_heard(output: DemoOutput, screen: io.StringIO) -> None:
    with output:
        nothing = dict.fromkeys(STATUS) | {"phase": "waiting"}
        output.line(MISSION, "stdout", f"status {json.dumps(nothing)}")
    assert "waiting, mode not heard of, link not heard of" in screen.getvalue()


def test_the_first_mistake_is_kept_for_the_end(output: DemoOutput) -> None:
    with output:
        output.line(PLANNER, "stderr", "error: no model; give one")
        output.line(MISSION, "stderr", "error: not ready")
        output.notice("planner-1: died with status 2, pid 1", error=True)
    assert output.mistake == "planner: no model; give one"


def test_what_a_casualty_said_last_is_kept(output: DemoOutput) -> None:
    with output:
        for number in range(100):
            output.line(PLANNER, "stderr", f"line {number}")
        output.notice("planner-1: died with signal SIGSEGV, pid 1", error=True)
        output.notice("mission-2: died with status 1, pid 2", error=True)
    assert output.casualty[0] == "planner-1: died with signal SIGSEGV, pid 1"
    assert output.casualty[-1] == "line 99"
    assert len(output.casualty) < 20
