"""Types of message fields, as rosidl spells them in Python: `sequence<geometry_msgs/Point, 3>`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

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
