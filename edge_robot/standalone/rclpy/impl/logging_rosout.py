"""Publishes what nodes log on `/rosout`.

A node's logger, and what `get_child` makes of it, publish through the node; loggers of other names
only write to the terminal. Publishing never blocks: while a subscription that is stuck keeps the
history full, messages are left out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from edge_robot.standalone.dds.endpoints import Writer
from edge_robot.standalone.dds.library import DdsError
from edge_robot.standalone.dds.naming import topic_name, type_name
from edge_robot.standalone.dds.participant import Participant
from edge_robot.standalone.interfaces.codec import codec
from edge_robot.standalone.interfaces.hashing import type_hash_user_data
from edge_robot.standalone.interfaces.message import message_class
from edge_robot.standalone.rclpy.impl.logging_console import Record
from edge_robot.standalone.rclpy.impl.logging_levels import SEPARATOR
from edge_robot.standalone.rclpy.qos import dds_qos, qos_profile_rosout_default

LOG_TYPE = "rcl_interfaces/msg/Log"

_S_TO_NS = 1_000_000_000


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
        self.writer = Writer(
            participant,
            topic_name(topic),
            type_name(LOG_TYPE),
            # A full history that a stuck reader has not acknowledged must not stop the caller.
            replace(dds_qos(qos_profile_rosout_default), max_blocking=0),
            type_hash_user_data(LOG_TYPE),
        )

    def publish(self, record: Record) -> None:
        """Publish a message, or leave it out if there is no room."""
        log = message_class(LOG_TYPE)
        stamp = message_class("builtin_interfaces/msg/Time")
        sec, nanosec = divmod(record.stamp, _S_TO_NS)
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
    publisher: RosoutPublisher
    loggers: int = 0


_lock = threading.Lock()
_nodes: dict[str, list[RosoutPublisher]] = {}
_children: dict[str, _Child] = {}


def add_node(publisher: RosoutPublisher) -> None:
    """Let the logger of a node publish; of several nodes of one name the first does."""
    with _lock:
        _nodes.setdefault(publisher.name, []).append(publisher)


def remove_node(publisher: RosoutPublisher) -> None:
    """Let a node's loggers publish no more."""
    with _lock:
        same_name = _nodes.get(publisher.name, [])
        if publisher in same_name:
            same_name.remove(publisher)
            if not same_name:
                del _nodes[publisher.name]
        for name, child in list(_children.items()):
            if child.publisher is publisher:
                del _children[name]


def add_child(parent: str, name: str) -> bool:
    """Let a child of a logger publish if the logger does; return whether it does."""
    with _lock:
        publisher = _find(parent)
        if publisher is None:
            return False
        child = _children.setdefault(f"{parent}{SEPARATOR}{name}", _Child(publisher))
        child.loggers += 1
        return True


def remove_child(full_name: str) -> None:
    """Take one `add_child` back."""
    with _lock:
        child = _children.get(full_name)
        if child is not None:
            child.loggers -= 1
            if not child.loggers:
                del _children[full_name]


def publish(record: Record) -> None:
    """Publish a message if its logger belongs to a node."""
    publisher = _find(record.name)
    if publisher is not None:
        publisher.publish(record)


def _find(name: str) -> RosoutPublisher | None:
    nodes = _nodes.get(name)
    if nodes:
        return nodes[0]
    child = _children.get(name)
    return None if child is None else child.publisher
