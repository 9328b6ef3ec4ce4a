"""Rules for node, topic, service and parameter names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge_robot.standalone.rclpy.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def validate_node_name(name: str) -> None:
    """Accept letters, digits and underscores, not starting with a digit.

    Raises:
        InvalidNodeNameException: otherwise.
    """
    if not name:
        raise InvalidNodeNameException(name, "node name must not be empty", 0)
    match = re.search(r"[^A-Za-z0-9_]", name)
    if match:
        raise InvalidNodeNameException(
            name,
            "node name must not contain characters other than alphanumerics or '_'",
            match.start(),
        )
    if name[0].isdigit():
        raise InvalidNodeNameException(name, "node name must not start with a number", 0)


def validate_namespace(namespace: str) -> None:
    """Accept `/` or tokens that each follow a slash.

    Raises:
        InvalidNamespaceException: otherwise.
    """
    if namespace == "/":
        return
    if not namespace.startswith("/"):
        raise InvalidNamespaceException(
            namespace, "namespace must be absolute, starting with '/'", 0
        )
    position = 1
    for token in namespace[1:].split("/"):
        if not _TOKEN.fullmatch(token):
            raise InvalidNamespaceException(
                namespace,
                "every part must be letters, digits and '_', not starting with a digit",
                position,
            )
        position += len(token) + 1


def resolve_name(
    name: str,
    node_name: str,
    namespace: str,
    remaps: Mapping[str, str] | None = None,
    *,
    is_service: bool = False,
) -> str:
    """Return a fully qualified topic or service name.

    Args:
        name: Absolute (`/a`), relative (`a`) or private (`~/a`); `{node}`, `{ns}` and
            `{namespace}` are substituted.
        node_name: Name of the node that uses it.
        namespace: Its namespace.
        remaps: From name to name, as given with `-r from:=to`; both sides may be relative.
        is_service: Whether errors speak of a service.

    Raises:
        InvalidTopicNameException: the name is malformed.
        InvalidServiceNameException: the name is malformed, and is a service's.
    """
    error = InvalidServiceNameException if is_service else InvalidTopicNameException
    full = _expand(name, node_name, namespace, error)
    for source, target in (remaps or {}).items():
        if full == _expand(source, node_name, namespace, error):
            return _expand(target, node_name, namespace, error)
    return full


def _expand(
    name: str,
    node_name: str,
    namespace: str,
    error: type[InvalidTopicNameException] | type[InvalidServiceNameException],
) -> str:
    if not name:
        raise error(name, "name must not be empty", 0)
    prefix = "" if namespace == "/" else namespace
    values = {"node": node_name, "ns": namespace, "namespace": namespace}
    full = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), name)
    if full == "~" or full.startswith("~/"):
        full = f"{prefix}/{node_name}{full[1:]}"
    elif not full.startswith("/"):
        full = f"{prefix}/{full}"
    position = 1
    for token in full[1:].split("/"):
        if not _TOKEN.fullmatch(token):
            raise error(
                full,
                "every part must be letters, digits and '_', not starting with a digit",
                position,
            )
        position += len(token) + 1
    return full
