"""Writes what the repository keeps of this package anew: `python -m edge_robot.sim.gazebo`."""

from __future__ import annotations

from pathlib import Path

from edge_robot.share import share_dir
from edge_robot.sim.gazebo.bridge import bridge_yaml
from edge_robot.sim.gazebo.world import world_sdf
from edge_robot.sim.scenario import Scenario
from edge_robot.sim.urdf import robot_urdf


def kept_files(scenario: Scenario) -> dict[Path, str]:
    """Return every file with what belongs in it, the world being that of a scenario."""
    root = share_dir()
    return {
        root / "worlds" / "warehouse.sdf": world_sdf(scenario),
        root / "worlds" / "robot.urdf": robot_urdf(),
        root / "config" / "gazebo_bridge.yaml": bridge_yaml(),
    }


if __name__ == "__main__":
    for file, content in kept_files(Scenario.generate(1)).items():
        file.write_text(content)
