"""The road settings of `config/replay_kitti.yaml`, as the nodes would declare them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from edge_robot.fusion.config import ClassPrior, TrackerConfig
from edge_robot.perception.lidar.detector import LidarConfig

Settings = TypeVar("Settings")
_FILE = Path(__file__).parents[1] / "config" / "replay_kitti.yaml"


def lidar_config() -> LidarConfig:
    values = _section("lidar_perception")
    config = _fill(LidarConfig(), values)
    assert values.pop("fixed_frame") == ""  # the node's, not the detector's
    assert not values, f"unknown settings {values}"
    return config


def tracker_config() -> TrackerConfig:
    values = _section("fusion")
    config = _fill(TrackerConfig(), values)
    columns = ("names", "lengths", "widths", "heights", "height_errors")
    rows = zip(*(values.pop(f"class_{column}") for column in columns), strict=True)
    assert not values, f"unknown settings {values}"
    return replace(config, priors={name: ClassPrior(*row) for name, *row in rows})


def _section(node: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(_FILE.read_text())[f"/**/{node}"]["ros__parameters"]
    return values


def _fill(defaults: Settings, values: dict[str, Any]) -> Settings:
    """Return `defaults` with what `values` holds for its fields, which is taken out of `values`."""
    changed: dict[str, Any] = {}
    for item in fields(defaults):  # type: ignore[arg-type]
        default = getattr(defaults, item.name)
        if is_dataclass(default):
            changed[item.name] = _fill(default, values)
        elif item.name in values:
            changed[item.name] = values.pop(item.name)
    return replace(defaults, **changed)  # type: ignore[type-var]
