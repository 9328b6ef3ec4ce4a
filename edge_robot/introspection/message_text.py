"""Messages as YAML and as CSV, as `ros2 topic echo` prints them."""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
import yaml

from edge_robot.introspection.field_types import field_type

_COLLECTIONS = (list, tuple, array.array, np.ndarray)


class _Dumper(yaml.Dumper):
    """Leaves mappings in block style even where flow style is asked for, as ROS 2's tools do."""


def _represent_mapping(dumper: _Dumper, data: dict[str, Any]) -> yaml.nodes.MappingNode:
    items = [(dumper.represent_data(k), dumper.represent_data(v)) for k, v in data.items()]
    return yaml.nodes.MappingNode("tag:yaml.org,2002:map", items)


_Dumper.add_representer(dict, _represent_mapping)


def yaml_text(
    message: Any,
    *,
    truncate: int | None = None,
    no_arrays: bool = False,
    no_strings: bool = False,
    flow_style: bool = False,
) -> str:
    """Return a message as YAML.

    Args:
        message: The message.
        truncate: Most elements of a sequence and characters of a string; None for all.
        no_arrays: Name type and length of sequences instead of their elements.
        no_strings: Name the length of strings instead of their characters.
        flow_style: Write sequences on one line.
    """
    return yaml.dump(
        plain(message, truncate=truncate, no_arrays=no_arrays, no_strings=no_strings),
        Dumper=_Dumper,
        allow_unicode=True,
        width=sys.maxsize,
        default_flow_style=flow_style,
    )


def plain(
    message: Any, *, truncate: int | None = None, no_arrays: bool = False, no_strings: bool = False
) -> dict[str, Any]:
    """Return a message as dictionaries, lists and scalars; arguments as for `yaml_text`."""
    return {
        name: _plain_value(getattr(message, name), kind, truncate, no_arrays, no_strings)
        for name, kind in message.get_fields_and_field_types().items()
    }


def _plain_value(
    value: Any, kind: str | None, truncate: int | None, no_arrays: bool, no_strings: bool
) -> Any:
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        return text if truncate is None or len(text) <= truncate else text[:truncate] + "..."
    if isinstance(value, str):
        if no_strings:
            return f"<string length: <{len(value)}>>"
        return value if truncate is None or len(value) <= truncate else value[:truncate] + "..."
    if isinstance(value, _COLLECTIONS):
        if no_arrays and kind is not None:
            return abbreviation(value, kind)
        shown = value if truncate is None else value[:truncate]
        items = [_plain_value(item, None, truncate, no_arrays, no_strings) for item in shown]
        return [*items, "..."] if len(shown) < len(value) else items
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bool, int, float)):
        return value
    return plain(value, truncate=truncate, no_arrays=no_arrays, no_strings=no_strings)


def abbreviation(value: Any, kind: str) -> str:
    """Return what stands for a sequence whose elements are not to be shown.

    Args:
        value: The sequence.
        kind: Type of its field, as rosidl spells it.
    """
    parsed = field_type(kind)
    element = parsed.element.replace("/", "/msg/")
    if parsed.array is not None:
        return f"<array type: {element}[{parsed.array}]>"
    if parsed.bound is not None:
        return f"<sequence type: {element}[{parsed.bound}], length: {len(value)}>"
    return f"<sequence type: {element}, length: {len(value)}>"


def csv_text(
    message: Any, *, truncate: int | None = None, no_arrays: bool = False, no_strings: bool = False
) -> str:
    """Return all values of a message separated by commas; arguments as for `yaml_text`."""
    return ",".join(
        _csv_value(getattr(message, name), kind, truncate, no_arrays, no_strings)
        for name, kind in message.get_fields_and_field_types().items()
    )


def _csv_value(
    value: Any, kind: str | None, truncate: int | None, no_arrays: bool, no_strings: bool
) -> str:
    if isinstance(value, _COLLECTIONS):
        if no_arrays and kind is not None:
            return abbreviation(value, kind)
        shown = value if truncate is None else value[:truncate]
        items = [_csv_value(item, None, truncate, no_arrays, no_strings) for item in shown]
        return ",".join([*items, "..."] if len(shown) < len(value) else items)
    if isinstance(value, str):
        if no_strings:
            return f"<string length: <{len(value)}>>"
        return value if truncate is None or len(value) <= truncate else value[:truncate] + "..."
    if isinstance(value, bytes):
        return str(
            value if truncate is None or len(value) <= truncate else value[:truncate] + b"..."
        )
    if isinstance(value, (bool, int, float, np.generic)):
        return str(value)
    return csv_text(value, truncate=truncate, no_arrays=no_arrays, no_strings=no_strings)
