"""Settings of a component: a frozen dataclass whose every field says what it means.

The library reads the values, the nodes declare the fields as ROS parameters, text included.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(default: Any, about: str) -> Any:
    """Return a dataclass field with a default and a line on its meaning and unit."""
    return field(default=default, metadata={"about": about})
