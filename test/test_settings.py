"""Every settings class of the stack: defaults that are permitted, and ranges that hold."""

from __future__ import annotations

import importlib
from dataclasses import fields
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

import edge_robot
from edge_robot.errors import UserError
from edge_robot.settings import Meaning, Settings, meanings, with_values

PACKAGE = Path(edge_robot.__file__).parent


def _classes() -> list[type[Settings]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        if "(Settings):" in file.read_text(encoding="utf-8"):
            name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
            importlib.import_module(name)
    return Settings.__subclasses__()


def _beyond(meaning: Meaning, default: Any) -> list[Any]:
    """Return values that are no more permitted, of a default's type."""
    if meaning.one_of:
        return ["none of them"]
    step = 1 if isinstance(default, int) else 1e-6
    ends = [meaning.ge] * (meaning.ge is not None) + [meaning.le] * (meaning.le is not None)
    wrong = [end - step if end is meaning.ge else end + step for end in ends]
    return wrong + [nan] * (isinstance(default, float) and bool(ends))


@pytest.mark.parametrize("kind", _classes(), ids=lambda kind: kind.__name__)
def test_defaults_are_permitted_and_what_lies_beyond_a_range_is_refused(kind: type[Any]) -> None:
    settings = kind()
    for name, meaning in meanings(kind).items():
        default = getattr(settings, name)
        for value in _beyond(meaning, default):
            several = isinstance(default, (list, tuple))
            with pytest.raises(UserError, match=name):
                kind(**{name: [value] if several else value})


def test_numbers_of_nodes_have_ranges() -> None:
    """But for scores of detectors of others, which are on any scale."""
    for kind in _classes():
        if kind.__name__ == "BoxClass":
            continue
        for name, meaning in meanings(kind).items():
            default = next(item.default for item in fields(kind) if item.name == name)
            if type(default) in (int, float):
                assert meaning.expected, f"{kind.__name__}.{name}"


def test_values_by_name_reach_settings_within_settings() -> None:
    from edge_robot.teleop.helm import HelmSettings

    values: dict[str, Any] = {"operator_speed": 0.5, "unknown": 1}
    settings = with_values(HelmSettings(), values)
    assert settings.speed.operator_speed == 0.5
    assert values == {"unknown": 1}
    with pytest.raises(UserError, match=r"operator_speed is inf; give 0.01 to 20"):
        with_values(HelmSettings(), {"operator_speed": inf})
