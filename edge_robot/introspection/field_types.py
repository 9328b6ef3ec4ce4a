"""Types of message fields, as rosidl spells them in Python: `sequence<geometry_msgs/Point, 3>`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

_SEQUENCE = re.compile(r"sequence<(.+?)(?:, (\d+))?>$")
_ARRAY = re.compile(r"(.+)\[(\d+)\]$")
_BOUNDED_STRING = re.compile(r"(w?string)<(\d+)>$")


@dataclass(frozen=True)
class FieldType:
    """Type of a field.

    Attributes:
        element: Type of the field or of its elements: `double`, `string`, `geometry_msgs/Point`.
        array: Number of elements of a fixed array; None otherwise.
        sequence: Whether it is a sequence.
        bound: Longest sequence; None for no bound.
        string_bound: Longest string; None for no bound.
    """

    element: str
    array: int | None = None
    sequence: bool = False
    bound: int | None = None
    string_bound: int | None = None

    @property
    def is_nested(self) -> bool:
        """Whether the elements are messages."""
        return "/" in self.element

    @property
    def is_collection(self) -> bool:
        """Whether there may be several elements."""
        return self.sequence or self.array is not None


@cache
def field_type(text: str) -> FieldType:
    """Return a type, read from rosidl's spelling of it."""
    array = bound = string_bound = None
    sequence = False
    if match := _SEQUENCE.match(text):
        text, sequence, bound = match[1], True, _number(match[2])
    elif match := _ARRAY.match(text):
        text, array = match[1], int(match[2])
    if match := _BOUNDED_STRING.match(text):
        text, string_bound = match[1], int(match[2])
    return FieldType(text, array, sequence, bound, string_bound)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


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
