"""What several tests of launch files need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROGRAMS = {
    "diagnostic_aggregator": "aggregator_node",
    "robot_state_publisher": "robot_state_publisher",
    "ros_gz_bridge": "parameter_bridge",
    "rviz2": "rviz2",
}
"""Of other packages, as our launch files start them."""


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine that has all packages our launch files need."""
    for package, name in PROGRAMS.items():
        program = tmp_path / "lib" / package / name
        program.parent.mkdir(parents=True)
        (tmp_path / "share" / package).mkdir(parents=True)
        program.write_text("\x7fELF")
        program.chmod(0o755)
    return {**os.environ, "AMENT_PREFIX_PATH": str(tmp_path)}
