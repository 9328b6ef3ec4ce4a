"""The units in deploy/systemd: systemd understands them, and they ask for what the code is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_robot.nodes.urgency import Urgency
from edge_robot.share import share_dir
from edge_robot.standalone.launch import arguments_of, find_launch_file

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
ROBOT = "edge-robot@.service"
DROP_INS = sorted((UNITS / f"{ROBOT}.d").glob("*.conf"))
SERVICES = sorted(UNITS.glob("*.service"))


def settings(file: Path) -> dict[str, list[str]]:
    """What a unit file says, comments left out."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Z]\w+)=(.*)$", file.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def analyze() -> str:
    path = shutil.which("systemd-analyze")
    if path is None:
        pytest.skip("systemd-analyze is not installed: nothing checks the units here")
    return path


def installed(folder: Path, *drop_ins: Path) -> None:
    """Lay the units out as an administrator would; their programs are not on this machine."""
    for unit in SERVICES:
        text = re.sub(
            r"^(Exec\w+=-?)\S+", rf"\1{shutil.which('true')}", unit.read_text(), flags=re.M
        )
        (folder / unit.name).write_text(text)
    for file in drop_ins:
        place = folder / f"{ROBOT}.d"
        place.mkdir(exist_ok=True)
        shutil.copy(file, place)


@pytest.mark.parametrize("drop_in", [None, *DROP_INS], ids=lambda d: d.stem if d else "plain")
def test_systemd_understands_every_unit(analyze: str, drop_in: Path | None, tmp_path: Path) -> None:
    installed(tmp_path, *([drop_in] if drop_in else []))
    units = [unit.name.replace("@.", "@robot7.") for unit in SERVICES]
    done = subprocess.run(
        [analyze, "verify", "--man=no", *(str(tmp_path / unit) for unit in units)],
        capture_output=True,
        text=True,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_a_robot_and_its_page_are_hardened(analyze: str, tmp_path: Path) -> None:
    installed(tmp_path)
    for unit in ("edge-robot@.service", "edge-robot-dashboard@.service"):
        subprocess.run(
            [analyze, "security", "--offline=true", "--threshold=25", str(tmp_path / unit)],
            check=True,
            stdout=subprocess.DEVNULL,
        )


@pytest.mark.parametrize(
    ("file", "launch"),
    [
        (UNITS / ROBOT, "robot"),
        (UNITS / f"{ROBOT}.d" / "ros2.conf", "robot"),
        (UNITS / "edge-robot-dashboard@.service", "teleop"),
    ],
    ids=["robot", "ros2", "dashboard"],
)
def test_launches_are_given_arguments_that_they_have(file: Path, launch: str) -> None:
    command = settings(file)["ExecStart"][-1]
    known = {argument.name for argument in arguments_of(find_launch_file(launch))}
    given = set(re.findall(r"(\w+):=", command))
    assert given and given <= known
    assert ":=${" not in command, "ros2 launch refuses an argument without a value"
    assert f"launch {launch} " in command or f"edge_robot {launch}.launch.xml " in command
    if launch == "robot":
        assert "watchdog:=true" in command  # else systemd waits for READY=1 in vain


def test_limits_permit_what_the_nodes_ask_for_and_no_more() -> None:
    robot = settings(UNITS / ROBOT)
    priorities, niceness = zip(*(urgency.value for urgency in Urgency), strict=True)
    assert robot["LimitRTPRIO"] == [str(max(priorities))]
    assert robot["LimitNICE"] == [str(min(niceness))]
    assert "RestrictRealtime" not in robot


def test_the_watchdog_hears_a_node_and_ends_the_launch() -> None:
    robot = settings(UNITS / ROBOT)
    assert robot["Type"] == ["notify"] and robot["NotifyAccess"] == ["all"]
    assert float(robot["WatchdogSec"][0]) >= 2.0
    assert robot["Restart"] == ["always"]
    ros2 = settings(UNITS / f"{ROBOT}.d" / "ros2.conf")["ExecStart"]
    assert ros2[0] == "", "a drop-in replaces the command, it does not add one"
    assert (share_dir() / "launch" / "robot.launch.xml").is_file()
