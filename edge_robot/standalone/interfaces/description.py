"""Descriptions of types as `type_description_interfaces` has them, with the text they come from."""

from __future__ import annotations

from typing import Any

from edge_robot.standalone.interfaces.definitions import Field, FieldType
from edge_robot.standalone.interfaces.hashing import definition, describe_field_type
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.interfaces.source import InterfaceSource
from edge_robot.standalone.interfaces.store import interfaces

_PACKAGE = "type_description_interfaces/msg"


def type_description(name: str) -> Any:
    """Return a type, and all that it refers to, as a `TypeDescription` message.

    Raises:
        InterfaceError: there is no such interface.
    """
    return message_class(f"{_PACKAGE}/TypeDescription")(
        type_description=_individual(name),
        referenced_type_descriptions=[_individual(other) for other in _references(name)],
    )


def type_sources(name: str) -> list[Any]:
    """Return the texts of a type and of all that it refers to, as `TypeSource` messages.

    Request, response and event of a service are implied by the service's text and have none.
    """
    make = message_class(f"{_PACKAGE}/TypeSource")
    texts = InterfaceSource(interfaces())
    sources = []
    for item in [name, *_references(name)]:
        if interfaces().has(item):
            encoding, text = item.split("/")[1], texts.text(item)
        else:
            encoding, text = "implicit", ""
        sources.append(make(type_name=item, encoding=encoding, raw_file_contents=text))
    return sources


def _individual(name: str) -> Any:
    return message_class(f"{_PACKAGE}/IndividualTypeDescription")(
        type_name=name, fields=[_field(field) for field in definition(name).fields]
    )


def _field(field: Field) -> Any:
    return message_class(f"{_PACKAGE}/Field")(
        name=field.name,
        type=message_class(f"{_PACKAGE}/FieldType")(**describe_field_type(field.type)),
        default_value="" if field.default is None else str(field.default),
    )


def _references(name: str) -> list[str]:
    """Return the names of all types that a type refers to, directly or not, in order."""
    found: set[str] = set()

    def collect(kind: FieldType) -> None:
        if not kind.is_primitive and kind.base not in found:
            found.add(kind.base)
            for field in definition(kind.base).fields:
                collect(field.type)

    for field in definition(name).fields:
        collect(field.type)
    return sorted(found)
