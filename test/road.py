"""The road settings of `config/replay_kitti.yaml`, as the nodes would declare them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from edge_robot.fusion.config import ClassSettings, TrackerConfig
from edge_robot.perception.lidar.detector import LidarConfig
from edge_robot.settings import with_values

_FILE = Path(__file__).parents[1] / "config" / "replay_kitti.yaml"


def lidar_config() -> LidarConfig:
    values = _section("lidar_perception")
    config = with_values(LidarConfig(), values)
    assert values.pop("fixed_frame") == ""  # the node's, not the detector's
    assert not values, f"unknown settings {values}"
    return config


def tracker_config() -> TrackerConfig:
    values = _section("fusion")
    config = with_values(TrackerConfig(), values)
    classes = with_values(ClassSettings(), values)
    assert not values, f"unknown settings {values}"
    return replace(config, priors=classes.priors())


def _section(node: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(_FILE.read_text())[f"/**/{node}"]["ros__parameters"]
    return values
