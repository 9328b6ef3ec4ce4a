"""Where engines keep what takes them long to make: compiled networks, measured timings."""

from __future__ import annotations

import os
from pathlib import Path


def engine_cache(engine: str) -> Path | None:
    """Return the folder of an engine within the user's cache, made if need be.

    It is `edge_robot/engines/ENGINE` in XDG_CACHE_HOME or `~/.cache`, readable and writable by
    the user alone: what lies there is executed.

    Returns:
        None where there is no home or it cannot be written: everything works then, but slower.
    """
    chosen = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(chosen) if chosen else Path.home() / ".cache"
        folder = base / "edge_robot" / "engines" / engine
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder
