"""The message definitions of `rosbags`, one set per ROS 2 distribution.

Importing such a set makes hundreds of classes that are not needed here, which takes longer than
all else in a node's start. So what is needed is kept in the user's cache folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Definitions = Mapping[str, Any]
"""Name to constants and fields; the type of a field is a kind and its details."""


def _plain(desc: Any) -> list[Any]:
    """Convert a field description of `rosbags` (see `rosbags.interfaces.Nodetype`)."""
    node, detail = desc
    if node.name in ("ARRAY", "SEQUENCE"):
        inner, size = detail
        return [node.name, [_plain(inner), size]]
    return [node.name, detail]


def _from_rosbags(module: str) -> dict[str, Any]:
    return {
        name: [constants, [[field, _plain(desc)] for field, desc in fields]]
        for name, (constants, fields) in import_module(module).FIELDDEFS.items()
    }


def cache_folder() -> Path:
    """Return where the definitions are kept: `edge_robot` in XDG_CACHE_HOME or `~/.cache`."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache") / "edge_robot"


def _cache_file(distro: str) -> Path | None:
    """Return where the definitions are kept; None where that cannot be told.

    Sizes and dates of the files they are made from tell one version of `rosbags` from another.
    """
    spec = find_spec("rosbags")
    try:
        sources = [
            source.stat()
            for place in (spec and spec.submodule_search_locations) or ()
            for source in (Path(place) / "typesys" / "stores").glob("ros2_*.py")
        ]
        state = sum(source.st_size for source in sources)
        newest = max(source.st_mtime_ns for source in sources)
        return cache_folder() / f"{distro}-{len(sources)}-{state}-{newest}.json"
    except (OSError, RuntimeError, ValueError):  # no source files, or no home
        return None


def common_definitions(distro: str) -> Definitions:
    """Return the common messages of a distribution.

    Raises:
        ModuleNotFoundError: there is no such distribution.
    """
    file = _cache_file(distro)
    if file is not None:
        with suppress(OSError, ValueError):  # not there, cut short, or not ours
            cached = json.loads(file.read_bytes())
            if isinstance(cached, dict):
                return cached
    definitions = _from_rosbags(f"rosbags.typesys.stores.ros2_{distro}")
    if file is not None:
        with suppress(OSError):  # without a cache everything works, only slower
            file.parent.mkdir(parents=True, exist_ok=True)
            # Renamed when complete: several nodes start at once.
            draft = file.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(definitions, separators=(",", ":")))
            draft.replace(file)
    return definitions
