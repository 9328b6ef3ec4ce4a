"""The text of message definitions, as recordings carry them so that any tool can decode them."""

from __future__ import annotations

import re
from typing import Any

from edge_robot.nodes.conversions import message_class
from edge_robot.share import share_dir

_SEPARATOR = "=" * 80
_PRIMITIVES = {"boolean": "bool", "octet": "byte", "float": "float32", "double": "float64"}
"""rosidl's names of types in Python that are not those of .msg files."""

_SEQUENCE = re.compile(r"sequence<(.+?)(?:, (\d+))?>$")
_ARRAY = re.compile(r"(.+)\[(\d+)\]$")
_BOUNDED_STRING = re.compile(r"(w?string)<(\d+)>$")


def definition_with_dependencies(type_name: str) -> str:
    """Return the definition of a type and of all types it holds, in MCAP's `ros2msg` encoding.

    Args:
        type_name: ROS 2 type such as `sensor_msgs/Image`.
    """
    texts: dict[str, str] = {}
    _collect(type_name, texts)
    own, *others = texts.items()
    parts = [f"{_SEPARATOR}\nMSG: {name}\n{text}" for name, text in others]
    return "\n".join([own[1], *parts])


def _collect(type_name: str, texts: dict[str, str]) -> None:
    fields = message_class(type_name).get_fields_and_field_types()
    texts[type_name] = _own_text(type_name) or _text_of_fields(fields)
    for field_type in fields.values():
        element = _split(field_type)[0]
        if "/" in element and element not in texts:
            _collect(element, texts)


def _own_text(type_name: str) -> str | None:
    """Return the .msg file of one of this package's messages: it has comments and constants."""
    package, name = type_name.split("/")
    if package != "edge_robot":
        return None
    return (share_dir() / "msg" / f"{name}.msg").read_text(encoding="utf-8").rstrip()


def _text_of_fields(fields: dict[str, Any]) -> str:
    return "\n".join(f"{''.join(_split(kind))} {name}" for name, kind in fields.items())


def _split(field_type: str) -> tuple[str, str]:
    """Split rosidl's `sequence<double, 3>` into `float64` and `[<=3]`."""
    suffix = ""
    if match := _SEQUENCE.match(field_type):
        field_type, bound = match.groups()
        suffix = f"[<={bound}]" if bound else "[]"
    elif match := _ARRAY.match(field_type):
        field_type, suffix = match.group(1), f"[{match.group(2)}]"
    if match := _BOUNDED_STRING.match(field_type):
        return f"{match.group(1)}<={match.group(2)}", suffix
    return _PRIMITIVES.get(field_type, field_type), suffix
