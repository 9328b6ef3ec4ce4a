"""The tracker's parameters in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_robot.errors import UserError
from edge_robot.fusion.config import read_config

KITTI = Path(__file__).parents[2] / "config" / "tracking_kitti.yaml"


def test_the_file_that_ships_has_one_set_per_class() -> None:
    config = read_config(KITTI)
    assert set(config.box_classes) == {"car", "pedestrian", "cyclist"}
    assert config.box_classes["car"] != config.box_classes["pedestrian"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no_such: 1.0", "no such setting: no_such"),
        ("box_classes: {car: {no_such: 1.0}}", "no such setting: no_such"),
        ("box_classes: {car: {detection: often}}", "detection: not a number"),
        ("box_classes: 3", "3 where settings by name are expected"),
        ("[1, 2]", "where settings by name are expected"),
        ("a: [", "cannot read"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_config(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_config(tmp_path / "none.yaml")
