"""The real thing beside ours: ROS 2 from EDGE_ROBOT_ROS_SETUP, the `setup.bash` to source."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT = 180.0
"""Longest run of one program, s."""

_ROS_VARIABLES = (
    "EDGE_ROBOT_RUNTIME",
    "AMENT_",
    "COLCON_",
    "ROS_",
    "RMW_",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "CMAKE_",
)


class Runtime:
    """Runs programs written for rclpy, with ours or with the real ROS 2."""

    def __init__(self, name: str, setup: str, environment: dict[str, str]) -> None:
        self.name = name
        self._setup = setup
        self.environment = environment

    def python(self, *arguments: str) -> list[str]:
        """Return the command that runs a Python program."""
        if self.name == "standalone":
            return [sys.executable, "-m", "edge_robot", "run", *arguments]
        return self._sourced(f"exec python3 {shlex.join(arguments)}")

    def tool(self, *arguments: str) -> list[str]:
        """Return the command of `ros2 …`, or of `edge-robot …`."""
        if self.name == "standalone":
            return [sys.executable, "-m", "edge_robot", *arguments]
        return self._sourced(f"exec ros2 {shlex.join(arguments)}")

    def _sourced(self, command: str) -> list[str]:
        return ["bash", "-c", f"source {shlex.quote(self._setup)} && {command}"]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a command of this runtime."""
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=HERE,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def start_piped(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a command of this runtime that reads what it is to do."""
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=HERE,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, command: list[str], limit: float = LIMIT) -> str:
        """Run a command of this runtime to its end; return what it printed."""
        done = subprocess.run(
            command, env=self.environment, cwd=HERE, text=True, capture_output=True, timeout=limit
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def show(self, command: list[str]) -> str:
        """Run a command of this runtime; return what it printed, and its status if not 0."""
        done = subprocess.run(
            command, env=self.environment, cwd=HERE, text=True, capture_output=True, timeout=LIMIT
        )
        status = f"status {done.returncode}\n" if done.returncode else ""
        return done.stdout + done.stderr + status

    def json(self, *arguments: str) -> Any:
        """Run a Python program; return the JSON of its last line."""
        return json.loads(self.run(self.python(*arguments)).splitlines()[-1])


@pytest.fixture(scope="session")
def ros_setup() -> str:
    """Return the script that sets up the real ROS 2, or skip."""
    setup = os.environ.get("EDGE_ROBOT_ROS_SETUP")
    if not setup:
        pytest.skip("EDGE_ROBOT_ROS_SETUP names no setup.bash: nothing to compare with")
    return setup


@pytest.fixture(scope="session")
def built(
    ros_setup: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[str, str]]:
    """Give a function that builds this package with colcon, once for given options.

    It returns the workspace's `setup.bash`, and what the build printed.
    """

    @cache
    def build(options: str) -> tuple[str, str]:
        folder = tmp_path_factory.mktemp("workspace")
        (folder / "src").mkdir()
        (folder / "src" / "edge_robot").symlink_to(ROOT)
        command = (
            f"source {shlex.quote(ros_setup)} && colcon build {options} --event-handlers "
            "console_direct+ --cmake-args -DPython3_EXECUTABLE=$(command -v python3)"
        )
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=_environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return str(folder / "install" / "setup.bash"), done.stdout

    return build


@pytest.fixture(scope="session")
def workspace(ros_setup: str, built: Callable[[str], tuple[str, str]]) -> str:
    """Return a `setup.bash` that knows this package: the one given, or that of a build."""
    there = Runtime("ros2", ros_setup, _environment()).show(
        ["bash", "-c", f"source {shlex.quote(ros_setup)} && ros2 pkg prefix edge_robot"]
    )
    return built("")[0] if "status" in there else ros_setup


def _environment() -> dict[str, str]:
    """Return this process' environment without what belongs to a ROS 2 that is sourced."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_ROS_VARIABLES)
    }


@pytest.fixture
def runtimes(ros_setup: str, domain: int) -> dict[str, Runtime]:
    """Return both runtimes, in one domain of this machine."""
    return _runtimes(ros_setup, domain)


@pytest.fixture
def stacks(workspace: str, domain: int) -> dict[str, Runtime]:
    """Return both runtimes with edge_robot installed in each, in one domain of this machine."""
    return _runtimes(workspace, domain)


def _runtimes(setup: str, domain: int) -> dict[str, Runtime]:
    kept = _environment() | {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
        "PYTHONUNBUFFERED": "1",
    }
    ours = {**kept, "PYTHONPATH": str(ROOT)}
    return {
        "standalone": Runtime("standalone", setup, ours),
        "ros2": Runtime("ros2", setup, kept),
    }


@pytest.fixture
def start(runtimes: dict[str, Runtime]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Give a function that starts a program of a runtime and waits until it says `ready`."""
    running: list[subprocess.Popen[str]] = []

    def begin(runtime: str, *arguments: str) -> subprocess.Popen[str]:
        process = runtimes[runtime].start(runtimes[runtime].python(*arguments))
        running.append(process)
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "ready" in line:
                return process
        raise AssertionError(printed)

    yield begin
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
