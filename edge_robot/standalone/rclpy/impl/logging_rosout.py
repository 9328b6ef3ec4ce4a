"""Publishes what nodes log on `/rosout`.

A node's logger, and what `get_child` makes of it, publish through the node; loggers of other names
only write to the terminal. Publishing never waits for a subscription, and never raises.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass

from edge_robot.standalone.dds.endpoints import Writer
from edge_robot.standalone.dds.library import DdsError
from edge_robot.standalone.dds.naming import topic_name, type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.interfaces.codec import codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.constants import S_TO_NS
from edge_robot.standalone.rclpy.impl.logging_console import Record
from edge_robot.standalone.rclpy.impl.logging_levels import SEPARATOR
from edge_robot.standalone.rclpy.qos import dds_qos, qos_profile_rosout_default

LOG_TYPE = "rcl_interfaces/msg/Log"


class RosoutPublisher:
    """Publishes one node's messages.

    Args:
        participant: DDS parent.
        topic: `/rosout`, after renamings.
        name: The node's logger.
    """

    def __init__(self, participant: Participant, topic: str, name: str) -> None:
        self.name = name
        self.left_out = 0
        self._participant = participant
        self.writer = Writer(
            participant,
            topic_name(topic),
            type_name(LOG_TYPE),
            # Keep-last: Cyclone overwrites what a stuck reader has not acknowledged, and goes on.
            dds_qos(qos_profile_rosout_default),
            type_hash_user_data(LOG_TYPE),
        )

    @property
    def is_open(self) -> bool:
        """Whether neither the node nor its context has ended."""
        return bool(self.writer.handle and self._participant.handle)

    def publish(self, record: Record) -> None:
        """Publish a message; one that cannot be is left out."""
        log = message_class(LOG_TYPE)
        stamp = message_class("builtin_interfaces/msg/Time")
        sec, nanosec = divmod(record.stamp, S_TO_NS)
        message = log(
            stamp=stamp(sec=sec, nanosec=nanosec),
            level=int(record.severity),
            name=record.name,
            msg=record.message,
            file=record.file,
            function=record.function,
            line=record.line,
        )
        try:
            self.writer.write(codec(log).write(message))
        except (DdsError, UnicodeEncodeError):
            self.left_out += 1


@dataclass
class _Child:
    """How many loggers of a name `get_child` has made, and which node's logger they come from."""

    root: str
    loggers: int = 0


# Re-entrant: a logger may be collected, and take its child back, wherever memory is asked for.
_lock = threading.RLock()
# Weak: a node that is forgotten, not destroyed, takes its publisher along.
_nodes: dict[str, list[weakref.ref[RosoutPublisher]]] = {}
_children: dict[str, _Child] = {}


def add_node(publisher: RosoutPublisher) -> None:
    """Let the logger of a node publish; of several nodes of one name the first does."""
    with _lock:
        _nodes[publisher.name] = [*_open(publisher.name), weakref.ref(publisher)]


def remove_node(publisher: RosoutPublisher) -> None:
    """Let a node's loggers publish no more."""
    with _lock:
        publisher.writer.close()
        others = _open(publisher.name)
        if others:
            _nodes[publisher.name] = others
        else:
            _nodes.pop(publisher.name, None)


def add_child(parent: str, name: str) -> bool:
    """Let a child of a logger publish as the logger does; return whether that is a node's."""
    with _lock:
        root = _children[parent].root if parent in _children else parent
        if root not in _nodes:
            return False
        child = _children.setdefault(f"{parent}{SEPARATOR}{name}", _Child(root))
        child.loggers += 1
        return True


def remove_child(full_name: str) -> None:
    """Take one `add_child` back."""
    with _lock:
        child = _children[full_name]
        child.loggers -= 1
        if not child.loggers:
            del _children[full_name]


def publish(record: Record) -> None:
    """Publish a message if its logger belongs to a node."""
    child = _children.get(record.name)
    for reference in _nodes.get(record.name if child is None else child.root, ()):
        publisher = reference()
        if publisher is not None and publisher.is_open:
            publisher.publish(record)
            return


def _open(name: str) -> list[weakref.ref[RosoutPublisher]]:
    """Return the publishers of a name that can still publish."""
    return [
        reference
        for reference in _nodes.get(name, ())
        if (publisher := reference()) is not None and publisher.is_open
    ]
