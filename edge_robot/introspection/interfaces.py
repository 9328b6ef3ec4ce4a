"""Classes of messages, services and actions by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any


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
    if len(path) != 2 or path[1] not in allowed or not all((*path, short)):
        raise ValueError(f"{name!r} is no name of a {kind}")
    try:
        module = import_module(".".join(path))
        if short.endswith("_FeedbackMessage"):
            return getattr(module, short.removesuffix("_FeedbackMessage")).Impl.FeedbackMessage
        return getattr(module, short)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {kind} {name!r}") from error
