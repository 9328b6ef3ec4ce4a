"""Classes of messages, services and actions by name."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGE = re.compile(r"[a-z]\w*", re.ASCII)
_NAME = re.compile(r"[A-Z]\w*", re.ASCII)


def interface_class(name: str, kind: str = "msg") -> Any:
    """Return the class of an interface: `std_msgs/msg/String`, or `std_msgs/String` of its kind.

    Args:
        name: Name of the interface.
        kind: What stands for the middle part where it is left out: `msg`, `srv`, `action`.

    Raises:
        ValueError: there is no such interface.
    """
    *path, short = name.split("/")
    if len(path) == 1:
        path.append(kind)
    # Requests, goals and so on are messages beside their service or action.
    allowed = ("msg", "srv", "action") if kind == "msg" else (kind,)
    if len(path) != 2 or path[1] not in allowed or not _PACKAGE.fullmatch(path[0]):
        raise ValueError(f"{name!r} is no name of a {kind}")
    try:
        if not _NAME.fullmatch(short) or not _holds_interfaces(*path):
            raise ImportError(f"{path[0]} holds no {path[1]} {short}")
        module = import_module(".".join(path))
        if short.endswith("_FeedbackMessage"):
            return getattr(module, short.removesuffix("_FeedbackMessage")).Impl.FeedbackMessage
        return getattr(module, short)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {kind} {name!r}") from error


def _holds_interfaces(package: str, kind: str) -> bool:
    """Return whether a package holds interfaces of a kind, without importing it.

    Names come from strangers as well, and importing a module is running it.
    """
    if f"{package}.{kind}" in sys.modules or package == __name__.partition(".")[0]:
        return True
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return False
    folders = list(spec.submodule_search_locations)
    # Of packages that are made on import (without ROS 2) there are no folders.
    return not folders or any((Path(folder) / kind).is_dir() for folder in folders)
