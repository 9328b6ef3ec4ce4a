"""Answers of `rosapi`, by which pages look around: roslibjs asks for them as for any service.

They are given here, not by a node: `rosapi_msgs` need not be installed. Only looking is served.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Callable
from typing import Any

from edge_robot.introspection.interfaces import interface_class
from edge_robot.introspection.parameter_values import value_of
from edge_robot.teleop.permissions import checked_name
from edge_robot.teleop.rosbridge.graph import Graph, Names

PREFIX = "/rosapi/"


async def answer(graph: Graph, service: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the response of a service of rosapi.

    Args:
        graph: Where to look.
        service: Its full name, such as `/rosapi/topics`.
        arguments: Fields of its request.

    Raises:
        LookupError: it is not served, or not asked for as it must be.
        ValueError: what is asked about has no name that can be.
        TimeoutError: a node that had to be asked did not answer.
    """
    if service == f"{PREFIX}get_param":
        return {"value": json.dumps(await _parameter(graph, _text(arguments, "name")))}
    if service == f"{PREFIX}has_param":
        return {"exists": await _parameter(graph, _text(arguments, "name")) is not None}
    if service not in _ANSWERS:
        raise LookupError(f"{service} is not served; there are {', '.join(sorted(_ANSWERS))}")
    return _ANSWERS[service](graph, arguments)


def _topics(graph: Graph, _: dict[str, Any]) -> dict[str, Any]:
    topics = graph.topics()
    return {"topics": list(topics), "types": [types[0] for types in topics.values()]}


def _node_details(graph: Graph, arguments: dict[str, Any]) -> dict[str, Any]:
    publishing, subscribing, services = graph.node(_name(arguments, "node"))
    return {"publishing": publishing, "subscribing": subscribing, "services": services}


def _time(graph: Graph, _: dict[str, Any]) -> dict[str, Any]:
    seconds, nanoseconds = graph.now()
    return {"time": {"sec": seconds, "nanosec": nanoseconds}}


def _providers(graph: Graph, arguments: dict[str, Any]) -> list[str]:
    service = _name(arguments, "service")
    found = []
    for node in graph.nodes():
        try:
            _, _, services = graph.node(node)
        except LookupError:
            continue  # gone meanwhile
        if service in services:
            found.append(node)
    return found


_ANSWERS: dict[str, Callable[[Graph, dict[str, Any]], dict[str, Any]]] = {
    f"{PREFIX}topics": _topics,
    f"{PREFIX}topics_for_type": lambda graph, arguments: {
        "topics": _of_type(graph.topics(), _text(arguments, "type"))
    },
    f"{PREFIX}topic_type": lambda graph, arguments: {
        "type": _type_of(graph.topics(), _name(arguments, "topic"))
    },
    f"{PREFIX}publishers": lambda graph, arguments: {
        "publishers": graph.publishers(_name(arguments, "topic"))
    },
    f"{PREFIX}subscribers": lambda graph, arguments: {
        "subscribers": graph.subscribers(_name(arguments, "topic"))
    },
    f"{PREFIX}services": lambda graph, _: {"services": list(graph.services())},
    f"{PREFIX}services_for_type": lambda graph, arguments: {
        "services": _of_type(graph.services(), _text(arguments, "type"))
    },
    f"{PREFIX}service_type": lambda graph, arguments: {
        "type": _type_of(graph.services(), _name(arguments, "service"))
    },
    f"{PREFIX}service_node": lambda graph, arguments: {
        "node": next(iter(_providers(graph, arguments)), "")
    },
    f"{PREFIX}service_providers": lambda graph, arguments: {
        "providers": _providers(graph, arguments)
    },
    f"{PREFIX}nodes": lambda graph, _: {"nodes": graph.nodes()},
    f"{PREFIX}node_details": _node_details,
    f"{PREFIX}get_time": _time,
    f"{PREFIX}get_ros_version": lambda _, __: {
        "version": 2,
        "distro": os.environ.get("ROS_DISTRO", ""),
    },
}


async def _parameter(graph: Graph, name: str) -> Any:
    node, _, parameter = name.partition(":")
    if not node or not parameter:
        raise LookupError(f"{name!r} is no parameter: write NODE:NAME, such as /planner:speed")
    kind = interface_class("rcl_interfaces/GetParameters", "srv")
    call = graph.call(
        f"{checked_name(node)}/get_parameters",
        "rcl_interfaces/GetParameters",
        kind.Request(names=[parameter]),
    )
    values = (await asyncio.wrap_future(call)).values
    value = value_of(values[0]) if values else None
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number
    return [item[0] for item in value] if isinstance(value, list) and _bytes(value) else value


def _bytes(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], bytes)


def _text(arguments: dict[str, Any], key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise LookupError(f"{key} is not a string")
    return value


def _name(arguments: dict[str, Any], key: str) -> str:
    return checked_name(_text(arguments, key))


def _of_type(names: Names, wanted: str) -> list[str]:
    return [name for name, types in names.items() if any(is_same_type(t, wanted) for t in types)]


def _type_of(names: Names, name: str) -> str:
    return names.get(name, [""])[0]


def is_same_type(one: str, other: str) -> bool:
    """Return whether two names mean one type: `std_msgs/String` is `std_msgs/msg/String`."""
    return _ends(one) == _ends(other)


def _ends(name: str) -> tuple[str, str]:
    first, *_, last = name.split("/")
    return first, last
