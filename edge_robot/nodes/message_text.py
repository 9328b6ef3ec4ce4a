"""The text of message definitions, as recordings carry them so that any tool can decode them."""

from __future__ import annotations

from typing import Any

from edge_robot.introspection.field_types import field_type
from edge_robot.introspection.interfaces import interface_class
from edge_robot.share import share_dir

_SEPARATOR = "=" * 80
_PRIMITIVES = {"boolean": "bool", "octet": "byte", "float": "float32", "double": "float64"}
"""rosidl's names of types in Python that are not those of .msg files."""


def definition_with_dependencies(type_name: str) -> str:
    """Return the definition of a type and of all types it holds, in MCAP's `ros2msg` encoding.

    Args:
        type_name: ROS 2 type such as `sensor_msgs/Image`, or of a service's half, such as
            `std_srvs/srv/SetBool_Request`.
    """
    texts: dict[str, str] = {}
    _collect(type_name, texts)
    own, *others = texts.items()
    parts = [f"{_SEPARATOR}\nMSG: {name}\n{text}" for name, text in others]
    return "\n".join([own[1], *parts])


def _collect(type_name: str, texts: dict[str, str]) -> None:
    fields = interface_class(type_name).get_fields_and_field_types()
    texts[type_name] = _own_text(type_name) or _text_of_fields(fields)
    for text in fields.values():
        element = field_type(text)
        if element.is_nested and element.element not in texts:
            _collect(element.element, texts)


def _own_text(type_name: str) -> str | None:
    """Return the .msg file of one of this package's messages: it has comments and constants."""
    package, *kind, name = type_name.split("/")
    if package != "edge_robot" or kind not in ([], ["msg"]):
        return None
    return (share_dir() / "msg" / f"{name}.msg").read_text(encoding="utf-8").rstrip()


def _text_of_fields(fields: dict[str, Any]) -> str:
    return "\n".join(f"{_spelling(text)} {name}" for name, text in fields.items())


def _spelling(text: str) -> str:
    """Return how a .msg file spells rosidl's `sequence<double, 3>`: `float64[<=3]`."""
    kind = field_type(text)
    base = _PRIMITIVES.get(kind.element, kind.element)
    if kind.string_bound is not None:
        base = f"{base}<={kind.string_bound}"
    if kind.array is not None:
        return f"{base}[{kind.array}]"
    if kind.sequence:
        return f"{base}[]" if kind.bound is None else f"{base}[<={kind.bound}]"
    return base
