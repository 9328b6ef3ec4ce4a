"""Finds out what a replay is to be fed from."""

from __future__ import annotations

from pathlib import Path

from edge_robot.errors import UserError
from edge_robot.replay.bag import BagSource
from edge_robot.replay.folder import FolderSource
from edge_robot.replay.source import Source

BAG_SUFFIXES = (".mcap", ".db3")


def open_source(
    path: Path, *, image_topic: str = "", points_topic: str = "", lidar_height: float = 0.0
) -> Source:
    """Open recorded data.

    Args:
        path: A folder with `image/`, `lidar/` and `calibration.json`; a ROS 2 bag directory; an
            MCAP or SQLite bag file.
        image_topic: Of a bag with several cameras.
        points_topic: Of a bag with several lidars.
        lidar_height: Of a folder: of the lidar above the ground, m.

    Raises:
        UserError: It is none of these, or broken, or incomplete.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; give a folder, a ROS 2 bag or an MCAP file")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        return FolderSource(path, lidar_height)
    if path.is_file() and path.suffix not in BAG_SUFFIXES:
        raise UserError(
            f"{path} is no recording this can read; give a folder with image/, lidar/ and "
            "calibration.json, a ROS 2 bag directory, or an .mcap or .db3 file"
        )
    return BagSource(path, image_topic, points_topic)
