"""Reads the parameters of other nodes, for threads that do not spin a node."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, wait
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters

from edge_robot.introspection.parameter_values import value_of
from edge_robot.nodes.service_calls import ServiceCalls

TIMEOUT = 2.0
"""Longest wait for a node's parameter services, s: a busy one is left out."""


def get_parameters(calls: ServiceCalls, node: str, names: list[str]) -> Future[Any]:
    """Return the future of a node's `rcl_interfaces/srv/GetParameters` response.

    Args:
        calls: Who calls.
        node: Full name of the node.
        names: Names of the parameters.
    """
    request = GetParameters.Request(names=names)
    return calls.call(f"{node}/get_parameters", "rcl_interfaces/GetParameters", request, TIMEOUT)


def read_parameters(
    calls: ServiceCalls, wanted: dict[str, list[str]]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Read parameters of several nodes at once; blocks for two times `TIMEOUT` at most.

    Args:
        calls: Who calls.
        wanted: Full name of a node to names of its parameters; none of them: all it has.

    Returns:
        Node to name to value, without parameters that are not set; and the nodes that did not
        answer.
    """
    listings = {
        node: calls.call(
            f"{node}/list_parameters",
            "rcl_interfaces/ListParameters",
            ListParameters.Request(),
            TIMEOUT,
        )
        for node, names in wanted.items()
        if not names
    }
    listed = _answers(listings)
    names = {
        node: wanted[node] or list(listed[node].result.names)
        for node in wanted
        if wanted[node] or node in listed
    }
    got = _answers({node: get_parameters(calls, node, names[node]) for node in names})
    values = {
        node: {
            name: value_of(value)
            for name, value in zip(names[node], response.values, strict=False)
            if value_of(value) is not None
        }
        for node, response in got.items()
    }
    return values, sorted(set(wanted) - set(got))


def by_node(names: Iterable[str], separator: str) -> dict[str, list[str]]:
    """Return parameters by their nodes.

    Args:
        names: Such as `/planner.speed`.
        separator: What stands between node and parameter: `.` in Foxglove, `:` in rosapi.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        node, _, parameter = name.partition(separator)
        if node and parameter:
            found.setdefault(f"/{node.lstrip('/')}", []).append(parameter)
    return found


def _answers(calls: dict[str, Future[Any]]) -> dict[str, Any]:
    wait(calls.values())  # each ends by its time-out
    return {node: call.result() for node, call in calls.items() if call.exception() is None}
