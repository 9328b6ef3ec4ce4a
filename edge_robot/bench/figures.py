"""Figures every benchmark reports in the same way."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np


def percentiles(durations: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and maximum in ms, and their count, of durations in s; nothing of nothing."""
    if not len(durations):
        return {}
    found = np.percentile(durations, [50, 99, 100]) * 1e3
    named = zip(("p50_ms", "p99_ms", "max_ms"), found, strict=True)
    return {**{name: round(float(value), 3) for name, value in named}, "runs": len(durations)}


def machine() -> dict[str, Any]:
    """Return what the figures were measured on; absolute times mean nothing without it."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
    }


def merge(figures: dict[str, Any], more: dict[str, Any]) -> None:
    """Add figures to others; what both have of the same name is merged in turn."""
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(figures.get(name), dict):
            merge(figures[name], value)
        else:
            figures[name] = value
