"""What several tests of launch files need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def ros_gz_bridge(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine that has the package which gazebo.launch.xml needs."""
    program = tmp_path / "lib/ros_gz_bridge/parameter_bridge"
    program.parent.mkdir(parents=True)
    (tmp_path / "share/ros_gz_bridge").mkdir(parents=True)
    program.write_text("\x7fELF")
    program.chmod(0o755)
    return {**os.environ, "AMENT_PREFIX_PATH": str(tmp_path)}
