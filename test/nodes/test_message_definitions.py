"""Definitions that recordings and the Foxglove bridge carry are all that a reader needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from filled_messages import filled
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from edge_robot.nodes.message_text import definition_with_dependencies
from edge_robot.share import share_dir
from edge_robot.topics import TOPICS, full_name

TYPES = {topic.type: topic.type.replace("/", "/msg/") for topic in TOPICS}


def same(told: Any, sent: Any) -> bool:
    """Return whether a message as a stranger reads it is the one that was sent."""
    if hasattr(sent, "get_fields_and_field_types"):
        return all(
            same(getattr(told, n), getattr(sent, n)) for n in sent.get_fields_and_field_types()
        )
    if isinstance(sent, (list, tuple)):
        return len(told) == len(sent) and all(map(same, told, sent))
    if isinstance(sent, bytes):
        return bytes([told]) == sent
    return bool(np.array_equal(told, sent))


def test_a_stranger_reads_every_message_of_the_table_by_its_definition_alone() -> None:
    known: dict[str, Any] = {}
    for type_name, name in TYPES.items():
        defined = get_types_from_msg(definition_with_dependencies(type_name), name)
        assert all(known.get(one, types) == types for one, types in defined.items())
        assert referred(defined) <= defined.keys(), f"the definition of {name} lacks a part"
        known.update(defined)
    store = get_typestore(Stores.EMPTY)  # knows nothing: not even builtin_interfaces
    store.register(known)
    for type_name, name in TYPES.items():
        message = filled(type_name)
        assert same(store.deserialize_cdr(bytes(serialize_message(message)), name), message), name


def referred(defined: dict[str, Any]) -> set[str]:
    """Return the names of all messages that fields in rosbags' definitions are made of."""

    def names(field: Any) -> Iterator[str]:
        if isinstance(field, tuple):
            for part in field:
                yield from names(part)
        elif isinstance(field, str) and "/msg/" in field:
            yield field

    return {name for _, fields in defined.values() for name in names(tuple(f for _, f in fields))}


def test_the_foxglove_layout_shows_topics_and_fields_that_there_are() -> None:
    layout = json.loads((share_dir() / "config" / "foxglove_layout.json").read_text())
    types = {full_name(topic.name): topic.type for topic in TOPICS}
    panels = layout["configById"]
    used = set(re.findall(r'"([A-Za-z0-9]+![a-z]+)"', json.dumps(layout["layout"])))
    used |= {tab["layout"] for panel in panels.values() for tab in panel.get("tabs", ())}
    assert used == panels.keys()
    paths = [path["value"] for panel in panels.values() for path in panel.get("paths", ())]
    assert len(paths) > 10
    for path in paths:
        topic, _, fields = re.sub(r"\{.*?\}|\[:\]", "", path).partition(".")
        value = filled(types[topic])
        for field in fields.split("."):
            value = getattr(value[0] if isinstance(value, list) else value, field)
    for panel in panels.values():
        shown = [*panel.get("topics", ()), *panel.get("imageMode", {}).values()]
        assert set(shown) <= types.keys()
