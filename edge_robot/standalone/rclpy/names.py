"""Renamings: which topic or service a node uses where its source says another."""

from __future__ import annotations

from collections.abc import Sequence

from edge_robot.standalone.rclpy.arguments import Remap
from edge_robot.standalone.rclpy.expand_topic_name import expand_topic_name
from edge_robot.standalone.rclpy.validate_full_topic_name import validate_full_topic_name
from edge_robot.standalone.rclpy.validate_topic_name import validate_topic_name

_KINDS = {"rostopic://": False, "rosservice://": True}
"""Prefixes of rules that are for topics or services alone, and whether for services."""


def remapped_identity(key: str, node_name: str, remaps: Sequence[Remap]) -> str | None:
    """Return what a rule for `__node` or `__ns` says of a node, or None.

    Args:
        key: `__node` or `__ns`.
        node_name: Name of the node.
        remaps: Rules; the first that fits counts.
    """
    keys = {"__node": ("__node", "__name"), "__ns": ("__ns",)}[key]
    for remap in remaps:
        if remap.source in keys and remap.node in (None, node_name):
            return remap.target
    return None


def remap_name(
    name: str, node_name: str, namespace: str, remaps: Sequence[Remap], *, is_service: bool = False
) -> str:
    """Return what the first fitting rule makes of a fully qualified name.

    Args:
        name: Fully qualified name.
        node_name: Name of the node that uses it.
        namespace: Its namespace.
        remaps: Rules; both sides of each may be relative or private.
        is_service: Whether it is a service's name.
    """
    for remap in remaps:
        source = remap.source
        if remap.node not in (None, node_name) or source in ("__node", "__name", "__ns"):
            continue
        for prefix, for_services in _KINDS.items():
            if source.startswith(prefix):
                source = source.removeprefix(prefix) if for_services is is_service else ""
        if source and expand_topic_name(source, node_name, namespace) == name:
            return expand_topic_name(remap.target, node_name, namespace)
    return name


def resolve_name(
    name: str,
    node_name: str,
    namespace: str,
    remaps: Sequence[Remap] = (),
    *,
    is_service: bool = False,
) -> str:
    """Return the fully qualified topic or service name, after renamings.

    Args:
        name: Absolute (`/a`), relative (`a`) or private (`~/a`), with substitutions.
        node_name: Name of the node that uses it.
        namespace: Its namespace.
        remaps: Rules of renaming; the first that fits counts.
        is_service: Whether it is a service's name.

    Raises:
        InvalidTopicNameException: the name is malformed.
        InvalidServiceNameException: the name is malformed, and is a service's.
        ValueError: a substitution is unknown.
    """
    validate_topic_name(name, is_service=is_service)
    full = expand_topic_name(name, node_name, namespace)
    validate_full_topic_name(full, is_service=is_service)
    full = remap_name(full, node_name, namespace, remaps, is_service=is_service)
    validate_full_topic_name(full, is_service=is_service)
    return full
