"""Settings of a component: a frozen dataclass whose every field says what it means.

The library reads the values, the nodes declare the fields as ROS parameters, text included.
"""

from __future__ import annotations

from dataclasses import field, fields, is_dataclass, replace
from typing import Any, TypeVar

Settings = TypeVar("Settings")


def setting(default: Any, about: str) -> Any:
    """Return a dataclass field with a default and a line on its meaning and unit."""
    return field(default=default, metadata={"about": about})


def with_values(defaults: Settings, values: dict[str, Any]) -> Settings:
    """Return settings with what `values` has for their fields, which is taken out of `values`.

    Fields that are settings themselves are looked into: the names are those of the parameters.

    Args:
        defaults: A settings dataclass instance.
        values: By name; what no field has is left.
    """
    changed: dict[str, Any] = {}
    for item in fields(defaults):  # type: ignore[arg-type]
        default = getattr(defaults, item.name)
        if is_dataclass(default):
            changed[item.name] = with_values(default, values)
        elif item.name in values:
            changed[item.name] = values.pop(item.name)
    return replace(defaults, **changed)  # type: ignore[type-var]
