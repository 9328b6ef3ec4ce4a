"""Figures every benchmark reports in the same way."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np


def percentiles(durations: list[float]) -> dict[str, float]:
    """Return p50 and p99 in ms, and their count, of durations in s."""
    p50, p99 = np.percentile(durations, [50, 99]) * 1e3
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "runs": len(durations)}


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
